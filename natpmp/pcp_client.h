/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcp_client: any number of mappings at one PCP server (RFC 6887), without sockets or a clock.
 *
 * Theory of operation
 *
 * The gateway is in one of three phases:
 *
 *	           any answer of PCP                 silence
 *	UNKNOWN ─────────────────────► UP ──────────────────────────► DOWN
 *	   │                            ▲ ◄────── any answer of PCP ───┘ ▲
 *	   └── silence, NAT-PMP, a closed port ──────────────────────────┘
 *
 * It is asked by ANNOUNCE (section 14.1), to which every server answers and which changes nothing.
 * Requests need not wait for that: the first MAP tells as much. While it is not known whether the
 * gateway speaks PCP, both are sent again after 250 ms, doubling, four times in all, so that a
 * gateway without PCP is passed over in four seconds and a lost first datagram costs no more than
 * 250 ms. From then on the pace is that of section 8.1.1: 3 s, doubling up to 1024 s, each +-10%.
 * A gateway that is DOWN is asked again and again, at intervals that grow from 8 s to 1024 s.
 *
 * A request that was not answered three times (21 s) has failed; when nothing at all was heard in
 * that time, the gateway is DOWN and everything in flight has failed with it.
 *
 * Each mapping is a task:
 *
 *	FREE ─map─► MAPPING ─granted─► HELD ─map─► MAPPING ...
 *	               │  └─another port than the only one wanted─► RETURNING ─► FREE
 *	               └─refused─► FREE          any ─unmap─► UNMAPPING ─► FREE
 *
 * Some gateways do not know PREFER_FAILURE (section 13.2), some ignore it. The first are asked
 * again without it, and of all the port granted is compared: another one is given back at once
 * (RETURNING), and the answer is CONFLICT.
 *
 * An answer belongs to a task when nonce, protocol and internal port do (section 11.4); one that
 * does to none is counted and changes nothing. The owner feeds only datagrams of the gateway.
 *
 * Every answer's epoch is checked (epoch.h); one that fails means restarted(). An announcement is
 * easily forged by any host of the LAN, so it is a hint and no more: one whose epoch fails or has
 * only begun, or that is NAT-PMP's, which comes to the same port, is a reason to ask the server,
 *once in five seconds, and the epoch of its answer decides. One that has only begun counts as a
 *restart then, since that of a server that lived less than two seconds before could not be seen
 *otherwise. What a server tells by itself of one mapping (section 14.2), with our nonce, is taken
 *as a restart, too, since renewing shows what is true now.
 *
 * No more than eight datagrams go out at once, then one every 10 ms.
 *
 * Nothing is heard from inside the calls map, unmap, forget, probe and stop. Deliberately absent:
 * PEER, FILTER, renewal before expiry and what to do after a failure; the mapping engine does that.
 */
#ifndef POSTERN_NATPMP_PCP_CLIENT_H
#define POSTERN_NATPMP_PCP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "natpmp/epoch.h"
#include "natpmp/pcp.h"
#include "portmap/gateway/driver.h"

#define PCP_FIRST_MS	250u	 /* between datagrams while the gateway is unknown; doubles */
#define PCP_FIRST_TRIES 4u	 /* and how many */
#define PCP_IRT_MS	3000u	 /* section 8.1.1 */
#define PCP_MRT_MS	1024000u /* the same */
#define PCP_TRIES	3u	 /* before a request has failed */
#define PCP_REPROBE_MS	8000u	 /* first interval for a gateway that is DOWN */
#define PCP_PACE_MS	10u
#define PCP_BURST	8u
#define PCP_ANNOUNCE_MS 5000u /* between announcements that the server is asked about */
#define PCP_NEWBORN_S	2u    /* an epoch that has only begun */

enum pcp_phase { PCP_PHASE_UNKNOWN, PCP_PHASE_UP, PCP_PHASE_DOWN };

/* In brackets: the answers that matter. */
enum pcp_step {
	PCP_FREE,
	PCP_MAPPING,   /* [granted, refused] */
	PCP_RETURNING, /* granted, but not as wanted [deleted, refused] */
	PCP_HELD,      /* [changed, by the server itself] */
	PCP_UNMAPPING, /* [deleted, refused] */
};

struct pcp_task {
	enum pcp_step step;
	struct portmap_request request;
	struct addr external;	/* HELD: granted; RETURNING: to be given back */
	uint64_t due_ms;	/* in flight: the next datagram, or the verdict */
	uint64_t first_ms;	/* when the first was sent */
	uint64_t number;	/* rises with every new exchange */
	unsigned sent;		/* datagrams of this exchange */
	bool plain;		/* PREFER_FAILURE is left out */
	const char *impossible; /* why it was not even sent, or NULL */
};

struct pcp_client {
	/* The owner's, set before pcp_client_init() and constant. */
	struct portmap_heard *heard;
	enum portmap_family family;
	struct addr gateway; /* to tell people; the port is the protocol's */
	struct addr source;  /* our address, as the gateway sees it */
	/* One datagram to the gateway. A lost one is sent again, so there is no result. */
	void (*send)(struct pcp_client *c, const uint8_t *bytes, size_t len);

	/* The client's own. */
	enum pcp_phase phase;
	struct epoch epoch;
	struct pcp_task *tasks;
	size_t room;
	uint64_t numbers;
	uint64_t random;
	uint64_t heard_ms;    /* the last answer that was one */
	uint64_t paced_ms;    /* how far ahead of the pace we are */
	uint64_t announce_ms; /* no announcement is a reason to ask before */
	uint64_t told_ms;     /* when restarted() was last told for an epoch; 0: never */
	uint64_t probe_due_ms;
	uint64_t reprobe_ms;   /* DOWN: the interval after the next */
	unsigned probes;       /* of this round */
	bool probing;	       /* the owner waits for available() or unavailable() */
	bool hinted;	       /* it announced itself, and was not asked since */
	bool hint_asked;       /* it was, and has not answered */
	bool garbled;	       /* this round brought something that is no PCP */
	struct addr elsewhere; /* and this host answered in the gateway's place; len 0: none */
	bool stopped;
	uint64_t strays, malformed; /* datagrams, ever */
};

/* For at most room mappings: what is asked beyond that is not taken, and nothing is heard of it.
 * seed spreads retransmissions. Returns 0 or -ENOMEM. */
int pcp_client_init(struct pcp_client *c, size_t room, uint64_t seed) MUST_CHECK;
void pcp_client_free(struct pcp_client *c);

/* now_ms: CLOCK_BOOTTIME, see epoch.h. */
void pcp_client_probe(struct pcp_client *c, uint64_t now_ms);
void pcp_client_map(struct pcp_client *c, const struct portmap_request *r, uint64_t now_ms);
void pcp_client_unmap(struct pcp_client *c, const struct portmap_request *r, uint64_t now_ms);
void pcp_client_forget(struct pcp_client *c, uint32_t id);
/* Nothing is sent or heard any more. */
void pcp_client_stop(struct pcp_client *c);

/* A datagram from the gateway to the socket that send() uses. */
void pcp_client_receive(struct pcp_client *c, const uint8_t *in, size_t len, uint64_t now_ms);
/* What was asked of the gateway was answered from this address, so that it is no answer: a pair of
 * routers that share theirs may do so (VRRP, CARP). People are told when nothing better comes. */
void pcp_client_elsewhere(struct pcp_client *c, const struct addr *from);
/* One from the gateway's address to port 5350, mostly multicast. */
void pcp_client_announced(struct pcp_client *c, const uint8_t *in, size_t len, uint64_t now_ms);
/* The gateway says that nothing listens on its port (ICMP port unreachable). */
void pcp_client_unreachable(struct pcp_client *c, uint64_t now_ms);
/* Time has passed; harmless too early. */
void pcp_client_tick(struct pcp_client *c, uint64_t now_ms);
/* When to call tick, or UINT64_MAX. */
uint64_t pcp_client_due(const struct pcp_client *c);

#endif
