/* SPDX-License-Identifier: Apache-2.0 */
/*
 * site: the web site that clients without a tag get: one page, and the answers that nginx gives to
 * all that is asked of it.
 *
 * Pure: a request in, the bytes of a response out, in nginx's words and its order of fields.
 */
#ifndef POSTERN_RELAY_FRONT_SITE_H
#define POSTERN_RELAY_FRONT_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "core/parse/request.h"
#include "core/must_check.h"

#define SITE_SERVER_MAX 64u
#define SITE_BODY_MAX	(1u << 20) /* of a request, as its head says: client_max_body_size */

struct site {
	const char *server; /* what the Server field says; not owned */
	const char *page;   /* HTML of "/"; not owned */
	size_t page_len;
	bool health;	     /* /healthz is answered */
	time_t modified;     /* of the page; the same after a restart */
	char etag[40];	     /* of modified and page_len */
	uint64_t boundary;   /* of the last answer in several ranges */
	char own_page[1024]; /* where the operator has none */
	char modified_text[32];
};

/* The beginning of any response and the bodies of all but the page, and the page. */
#define SITE_HEAD_MAX 1536u

struct site_response {
	char head[SITE_HEAD_MAX]; /* status line, fields, empty line, small body */
	size_t head_len;
	const char *body; /* a part of the page, or NULL; not owned */
	size_t body_len;
	char *parts; /* in place of body: several ranges of it; owned by the caller, may be NULL */
	bool close;  /* the connection ends after this */
};

/* page: HTML, or NULL: one that differs from that of every other seed. server and page live as long
 * as the site does. seed: of this installation, the same at each start. */
void site_init(struct site *s, const char *server, const char *page, bool health, uint64_t seed);

/* The relay's own answer is wanted where a web site behind an agent has all others: /healthz. */
bool site_is_own(const struct site *s, const struct request *r);
/* An HTTP request that was read whole. in: its head. last: the connection ends after it in any
 * case. now: for the Date field. draining: /healthz answers 503. */
void site_answer(struct site *s, const struct request *r, const uint8_t *in, bool draining,
		 bool last, time_t now, struct site_response *out);
/* The answer to one that could not be read; always closes. */
void site_refuse(const struct site *s, const struct request *r, enum request_status why, time_t now,
		 struct site_response *out);
/* Its client waits for this before it sends the body. in: its head. */
#define SITE_CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"
bool site_awaits_continue(const struct request *r, const uint8_t *in);
/* What a proxy says whose web site does not answer: how it is refused. last as above. */
enum site_gateway {
	SITE_BAD_GATEWAY,     /* 502: not there, or it refuses */
	SITE_UNAVAILABLE,     /* 503: too many ask at a time */
	SITE_GATEWAY_TIMEOUT, /* 504 */
};
void site_fail(const struct site *s, const struct request *r, enum site_gateway why, bool last,
	       time_t now, struct site_response *out);
/* To plain HTTP on the TLS port; always closes. */
void site_refuse_plain(const struct site *s, const struct request *r, time_t now,
		       struct site_response *out);

#endif
