/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver: what the mapping engine asks of a protocol, and what it hears back.
 *
 * There is one driver per protocol and family of the network in force: PCP and NAT-PMP to the IPv4
 * gateway, PCP to the IPv6 gateway, and UPnP, which does both. A driver belongs to one network (one
 * interface, one gateway): when that changes, the owner stops the drivers and starts new ones.
 *
 * The engine never waits: each call below returns at once, and what came out arrives later through
 * struct portmap_heard, never from inside a call. A driver retransmits as its protocol says and
 * keeps within its protocol's pace by itself; the engine decides what to ask and when to renew.
 */
#ifndef POSTERN_PORTMAP_GATEWAY_DRIVER_H
#define POSTERN_PORTMAP_GATEWAY_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"

#define PORTMAP_NONCE_BYTES	  12u
#define PORTMAP_DESCRIPTION_BYTES 64u
#define PORTMAP_TAG_BYTES	  7u /* six hexadecimal digits, and a zero byte */
#define PORTMAP_TEXT_BYTES	  192u

enum portmap_protocol { PORTMAP_PCP, PORTMAP_NATPMP, PORTMAP_UPNP, PORTMAP_PROTOCOLS };
enum portmap_transport { PORTMAP_TCP, PORTMAP_UDP };
enum portmap_family { PORTMAP_IPV4, PORTMAP_IPV6, PORTMAP_FAMILIES }; /* mapping, or pinhole */

/* Why a gateway did not do as asked. */
enum portmap_failure {
	PORTMAP_CONFLICT,     /* the external port is another's */
	PORTMAP_REFUSED,      /* the gateway does not allow it (to us, or for this port) */
	PORTMAP_UNSUPPORTED,  /* it cannot do this at all */
	PORTMAP_UNNEEDED,     /* it lets in all that comes, and has nothing to open */
	PORTMAP_NO_RESOURCES, /* its table is full, or our quota */
	PORTMAP_NO_EXTERNAL,  /* it has no external address itself: not connected, or double NAT */
	PORTMAP_TRANSIENT,    /* it tried and failed, which passes */
	PORTMAP_MISDIRECTED,  /* it did something, but leads the port elsewhere than asked */
	PORTMAP_SILENT,	      /* it stopped answering */
	PORTMAP_MALFORMED,    /* it answers, but not as the protocol says */
	PORTMAP_FAILURES
};

/* One mapping (IPv4) or pinhole (IPv6), as it is to be on the gateway. */
struct portmap_request {
	uint32_t id; /* the engine's; comes back with what is heard */
	enum portmap_transport transport;
	struct addr internal; /* host and port: ours, or another's with third_party */
	struct addr external; /* suggested or held: port 0 for any; address wildcard for any */
	uint32_t lifetime_s;
	uint32_t granted_s;		    /* a renewal: what was granted last; else 0 */
	uint8_t nonce[PORTMAP_NONCE_BYTES]; /* of this mapping for as long as it is wanted */
	bool held;			    /* a renewal of what this id was granted */
	bool moved;			    /* another protocol gave this id this external port */
	bool prefer_failure;		    /* PCP: this external port or none */
	bool third_party; /* PCP THIRD_PARTY; UPnP: an internal client that is not us */
	char description[PORTMAP_DESCRIPTION_BYTES]; /* UPnP's; names us, so that we know our own
							again */
};

/* Why map() did not come to what was asked. */
struct portmap_refusal {
	enum portmap_failure failure;
	uint32_t wait_s; /* the gateway expects the same answer for so long; 0: it did not say */
	bool gone;	 /* the gateway was looked at, and does not have it */
	const char *why; /* a sentence */
	/* MISDIRECTED, and still so: the host and port that the gateway leads to, and the place
	 * outside that it leads from. inside.len 0: it was taken back. */
	struct addr inside, outside;
};

/* What a probe found, for people: "MiniUPnPd 2.3.1 (Example Router)", "PCP version 2". */
struct portmap_gateway {
	struct addr address;  /* its own, with the protocol's port */
	struct addr external; /* its external address; len 0: not known (yet) */
	char about[PORTMAP_TEXT_BYTES];
};

/* One family of the network in force: the gateway, and ourselves towards it. All ports are 0. */
struct portmap_place {
	struct addr gateway; /* len 0: none; over IPv6 mostly link-local, with its zone */
	struct addr source;  /* ours; len 0: none; over IPv6 global and not temporary */
	unsigned prefix;     /* length of the subnet that source is in */
	unsigned index;	     /* of the interface; 0: as the routes say */
};

struct portmap_heard {
	/* The protocol is there. May come again, when it comes back or was seen to have restarted.
	 */
	void (*available)(struct portmap_heard *h, enum portmap_protocol p, enum portmap_family f,
			  const struct portmap_gateway *gateway);
	/* It is not, or no longer: SILENT, UNSUPPORTED, UNNEEDED, REFUSED, NO_EXTERNAL, MALFORMED;
	 * why is a sentence.
	 */
	void (*unavailable)(struct portmap_heard *h, enum portmap_protocol p, enum portmap_family f,
			    enum portmap_failure failure, const char *why);
	/* The gateway said or showed that it forgot mappings (epoch, restart, new description). */
	void (*restarted)(struct portmap_heard *h, enum portmap_protocol p, enum portmap_family f,
			  const char *why);
	/* What it shows of its restarts says nothing: two servers answer in turn, or its clock
	 * stands still. Mappings may be there all the same. */
	void (*doubted)(struct portmap_heard *h, enum portmap_protocol p, enum portmap_family f,
			const char *why);
	void (*external_changed)(struct portmap_heard *h, enum portmap_protocol p,
				 const struct addr *external);
	/* An answer to map(): exactly one of these, unless forget() came first. external is what
	 * outside uses (the address may be the wildcard, or len 0 with the port that was asked for,
	 * where the protocol does not say); lifetime_s 0: for
	 * good, and only unmap() ends it. */
	void (*mapped)(struct portmap_heard *h, enum portmap_protocol p, uint32_t id,
		       const struct addr *external, uint32_t lifetime_s);
	void (*failed)(struct portmap_heard *h, enum portmap_protocol p, uint32_t id,
		       const struct portmap_refusal *refusal);
	/* An answer to look(): it is there, as it was granted, or it is not. */
	void (*seen)(struct portmap_heard *h, enum portmap_protocol p, uint32_t id, bool there);
	/* An answer to unmap(): it is gone (ok false: refused, or not answered). */
	void (*unmapped)(struct portmap_heard *h, enum portmap_protocol p, uint32_t id, bool ok);
};

struct portmap_driver {
	enum portmap_protocol protocol;
	bool families[PORTMAP_FAMILIES]; /* what it can do, if the gateway can */
	struct portmap_heard *heard;

	/* Looks whether the gateway is there and what it is: available() or unavailable(). */
	void (*probe)(struct portmap_driver *d);
	/* Creates or renews. One at a time per id. Copies *r. */
	void (*map)(struct portmap_driver *d, const struct portmap_request *r);
	/* Reads back what map() made for this id and changes nothing: seen(), or failed(). One at a
	 * time with map(). NULL: the protocol cannot; renewing tells, and costs as little. */
	void (*look)(struct portmap_driver *d, const struct portmap_request *r);
	/* Asks for the external IPv4 address alone, which costs less than probe():
	 * external_changed() where it is another one, or what probe() leads to where that is no
	 * longer there. Harmless while it does. NULL: the protocol cannot. */
	void (*ask_external)(struct portmap_driver *d);
	/* Deletes what map() made for this id; only that. Of what was misdirected, internal is
	 * where it leads. */
	void (*unmap)(struct portmap_driver *d, const struct portmap_request *r);
	/* Nothing more is heard of this id. */
	void (*forget)(struct portmap_driver *d, uint32_t id);
	/* Ends everything in flight without a word to the gateway; then nothing is heard. The owner
	 * gets stopped() when it may be freed with release(). */
	void (*stop)(struct portmap_driver *d);
	void (*stopped)(struct portmap_driver *d); /* the owner sets this */
	void (*release)(struct portmap_driver *d);
};

/* "PCP", "NAT-PMP", "UPnP"; "tcp", "udp"; "conflict", "refused", ... */
const char *portmap_protocol_name(enum portmap_protocol p);
const char *portmap_transport_name(enum portmap_transport t);
const char *portmap_failure_name(enum portmap_failure f);
/* The end of a refusal's sentence, where that may be because the external port is low: many
 * gateways map no port below 1024, and have no code of their own for it. "" from 1024 up. */
const char *portmap_low_port_hint(uint16_t external_port);
/* "the gateway leads port 8443 to port 8443 inside, not 22; ask for the same port inside and
 * outside": MISDIRECTED, told. It leads outside's port to inside, asked was another port or host.
 */
void portmap_misdirection(const struct addr *inside, const struct addr *asked, uint16_t outside,
			  char out[PORTMAP_TEXT_BYTES]);
/* "answers come from 192.0.2.2, not from 192.0.2.1, which was asked; ...": MALFORMED, told. */
void portmap_elsewhere(const struct addr *from, const struct addr *asked,
		       char out[PORTMAP_TEXT_BYTES]);

#endif
