/* SPDX-License-Identifier: Apache-2.0 */
/* http_proxy: through which HTTP CONNECT proxy relays are dialled, if any. */
#ifndef POSTERN_AGENT_RELAYS_HTTP_PROXY_H
#define POSTERN_AGENT_RELAYS_HTTP_PROXY_H

#include "core/addr.h"

#define HTTP_PROXY_HEAD_MAX 1536u /* of the request that http_proxy_connect() writes */

struct http_proxy {
	bool used;
	struct endpoint address;
	char authorization[704]; /* base64 of "user:password", or "" */
	char exceptions[1024];	 /* NO_PROXY's list */
};

/*
 * configured: "http://[user:password@]host:port" or NULL: then HTTPS_PROXY, https_proxy and
 * NO_PROXY of the environment count. False: why says what is wrong, never with the password.
 */
bool http_proxy_init(struct http_proxy *p, const char *configured, char *why,
		     size_t why_size) MUST_CHECK;

/* Whether host is to be reached through the proxy. */
bool http_proxy_applies(const struct http_proxy *p, const char *host);

/* Writes the CONNECT request for target ("host:port"); the size, or 0 when it does not fit. */
size_t http_proxy_connect(const struct http_proxy *p, const char *target,
			  uint8_t out[HTTP_PROXY_HEAD_MAX]) MUST_CHECK;

/* What a status code other than 2xx means, with the remedy. */
const char *http_proxy_refusal(const struct http_proxy *p, unsigned code);

#endif
