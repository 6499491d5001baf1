/* SPDX-License-Identifier: Apache-2.0 */
/* addr: socket addresses and HOST:PORT texts. Knows nothing of name resolution. */
#ifndef POSTERN_CORE_ADDR_H
#define POSTERN_CORE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <netinet/in.h>

#include "core/must_check.h"

struct addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t len;
};

/* "[2001:db8::1]:65535" with a zone, and the end. */
#define ADDR_TEXT_BYTES 64
/* Longest DNS name and the end. */
#define ADDR_HOST_BYTES 256

/* A host that may be a name, and a port. */
struct endpoint {
	char host[ADDR_HOST_BYTES]; /* without brackets */
	uint16_t port;
};

/* "1.2.3.4:443", "[::1]:443"; literals only. False on anything else; out untouched then. */
bool addr_parse(const char *text, struct addr *out) MUST_CHECK;
/* From an IP literal (no brackets, no port) and a port. An IPv6 zone is a number: "fe80::1%2". */
bool addr_from_literal(const char *host, uint16_t port, struct addr *out) MUST_CHECK;
/* "name.example:443", "1.2.3.4:443", "[::1]:443". Ports 1 to 65535. */
bool endpoint_parse(const char *text, struct endpoint *out) MUST_CHECK;
/* The syntax of a DNS name: labels of letters, digits, - and _; no final dot, no address. */
bool addr_host_name_ok(const char *name) MUST_CHECK;
/* Always terminates; IPv6 in brackets; v4-mapped addresses as IPv4. */
void addr_format(const struct addr *a, char out[ADDR_TEXT_BYTES]);
/* The same without port and brackets: "192.0.2.1", "fe80::1%2". */
void addr_format_host(const struct addr *a, char out[ADDR_TEXT_BYTES]);
uint16_t addr_port(const struct addr *a);
void addr_set_port(struct addr *a, uint16_t port);
/* Same family, address, zone and port. */
bool addr_equal(const struct addr *a, const struct addr *b) MUST_CHECK;
/* Same family and address; zone and port may differ. Never where len is 0. */
bool addr_same_host(const struct addr *a, const struct addr *b) MUST_CHECK;
/* 0.0.0.0 or [::], with any port. Never where len is 0. */
bool addr_is_wildcard(const struct addr *a) MUST_CHECK;
/* A listener on this address hears what comes in on that one: the same, or a wildcard. */
bool addr_covers(const struct addr *listener, const struct addr *local) MUST_CHECK;
/* Turns ::ffff:a.b.c.d into a.b.c.d, in place. */
void addr_unmap(struct addr *a);
/* Addresses of one network, at one port or any. */
struct addr_range {
	struct addr first;
	unsigned prefix; /* bits */
	uint16_t port;	 /* 0: any */
};
/* "10.1.0.0/16:443", "127.0.0.1", "fd00::/8", "[fd00::1]:443", "[fd00::]/8:443". False on anything
 * else, as where bits stand behind the prefix; out untouched then. */
bool addr_range_parse(const char *text, struct addr_range *out) MUST_CHECK;
/* An IPv4 address is the same one when it is written as an IPv6 one (addr_unmap). */
bool addr_range_holds(const struct addr_range *r, const struct addr *a) MUST_CHECK;
/* The accountable source: an IPv4 address, or an IPv6 /64; equal keys are one source. */
struct addr_key {
	uint8_t bytes[9];
};
struct addr_key addr_source_key(const struct addr *a);

#endif
