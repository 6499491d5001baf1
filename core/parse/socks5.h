/* SPDX-License-Identifier: Apache-2.0 */
/* socks5: the server side of RFC 1928, CONNECT without authentication. */
#ifndef POSTERN_PARSE_SOCKS5_H
#define POSTERN_PARSE_SOCKS5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/must_check.h"

enum socks5_status { SOCKS5_OK, SOCKS5_SHORT, SOCKS5_MALFORMED };

/* RFC 1928 section 6 */
enum socks5_reply {
	SOCKS5_SUCCEEDED = 0,
	SOCKS5_GENERAL_FAILURE = 1,
	SOCKS5_NOT_ALLOWED = 2,
	SOCKS5_NETWORK_UNREACHABLE = 3,
	SOCKS5_HOST_UNREACHABLE = 4,
	SOCKS5_REFUSED = 5,
	SOCKS5_TTL_EXPIRED = 6,
	SOCKS5_COMMAND_UNSUPPORTED = 7,
	SOCKS5_ADDRESS_UNSUPPORTED = 8,
};

#define SOCKS5_GREETING_REPLY_BYTES 2u
#define SOCKS5_REPLY_BYTES	    10u

struct socks5_request {
	uint8_t command;      /* 1: CONNECT; others are returned as they are */
	uint8_t address_type; /* 1: IPv4, 3: name, 4: IPv6; for any other host is "" and port 0 */
	char host[256];	      /* the name in lower case, or the literal as text */
	uint16_t port;
};

/* Greeting: *offers_none says whether "no authentication" is among the methods. */
enum socks5_status socks5_greeting_parse(const uint8_t *in, size_t len, bool *offers_none,
					 size_t *used) MUST_CHECK;
void socks5_greeting_reply(bool accept, uint8_t out[SOCKS5_GREETING_REPLY_BYTES]);

enum socks5_status socks5_request_parse(const uint8_t *in, size_t len, struct socks5_request *out,
					size_t *used) MUST_CHECK;
/* The bound address is sent as 0.0.0.0:0: the far end's is not ours to tell. */
void socks5_reply(enum socks5_reply code, uint8_t out[SOCKS5_REPLY_BYTES]);

/* "SERVICE.AGENT.postern" (the suffix in any case): the last label is the agent, all before it the
 * service with dots read as written. False, rooms untouched, when it is no such name. */
bool socks5_split_name(const char *host, char agent[64], char service[64]) MUST_CHECK;

#endif
