/* SPDX-License-Identifier: Apache-2.0 */
/*
 * location: the URLs that a gateway may send us to: http://, a literal address, a port, a path.
 *
 * What answers on a LAN chooses where its description is fetched and its commands are sent. A name
 * would ask a resolver, userinfo and fragments hide the host, other schemes lead elsewhere: none of
 * these is a location here. Zones are ours to add, not the answer's.
 */
#ifndef POSTERN_UPNP_LOCATION_H
#define POSTERN_UPNP_LOCATION_H

#include "core/addr.h"

#define LOCATION_PATH_BYTES 160
/* "http://[address]:65535", a path, and the end. */
#define LOCATION_TEXT_BYTES 256

struct location {
	struct addr host;		/* with its port; 80 where none is said */
	char path[LOCATION_PATH_BYTES]; /* begins with "/"; query included */
};

/* Reads all of text. False: out is untouched. */
bool location_parse(const char *text, size_t len, struct location *out) MUST_CHECK;
/* The URL again, in one spelling. */
void location_format(const struct location *l, char out[LOCATION_TEXT_BYTES]);
/* "192.0.2.1:80" or "[fe80::1]:80", as a Host field has it: without the zone. */
void location_format_host(const struct addr *host, char out[ADDR_TEXT_BYTES]);

/* A unicast address other than source's own, in the subnet of prefix bits around source; for IPv6
 * also a link-local one. */
bool location_on_link(const struct addr *a, const struct addr *source, unsigned prefix) MUST_CHECK;

/* Where we are, and what is known of who sent a location. */
struct location_way {
	const struct addr *source, *gateway; /* ours; gateway: len 0 for none */
	unsigned prefix;		     /* of the subnet that source is in */
	/* The gateway alone was asked, by a datagram that no other host saw. */
	bool asked_alone;
};

/*
 * A location may be followed: its host is a neighbour, and is the sender or the gateway. Senders
 * are forged easily; so this leads to no host that could not be led to by its own word.
 *
 * An IPv6 gateway has several addresses, and its default route names the link-local one. So it may
 * name one with the same interface identifier (the low 64 bits) in this subnet or a unique local
 * one (RFC 4193), such as fd00::1 of fe80::1; and where it alone was asked, any of these.
 */
bool location_trusted(const struct addr *host, const struct addr *from,
		      const struct location_way *way) MUST_CHECK;

#endif
