/* SPDX-License-Identifier: Apache-2.0 */
/*
 * site: the ordinary web site that clients without a Postern message get: one page, /healthz, and
 * proper errors.
 *
 * Pure: a parsed request in, the bytes of a response out (RFC 9110, RFC 9112).
 */
#ifndef POSTERN_RELAY_FRONT_SITE_H
#define POSTERN_RELAY_FRONT_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "core/parse/http.h"

struct site {
	const char *page; /* HTML of "/"; not owned */
	size_t page_len;
	char etag[24];
};

/* Room for the head of any response and the bodies of all but the page. */
#define SITE_HEAD_MAX 1024u

struct site_response {
	char head[SITE_HEAD_MAX]; /* status line, fields, empty line, small body */
	size_t head_len;
	const char *body; /* the page, or NULL; not owned */
	size_t body_len;
	bool close; /* the connection ends after this */
};

/* page: HTML; lives as long as the site does. */
void site_init(struct site *s, const char *page);

/* now: for the Date field. draining: /healthz answers 503. */
void site_answer(const struct site *s, const struct http_request *request, bool draining,
		 time_t now, struct site_response *out);
/* The answer to a request that could not be read; always closes. */
void site_refuse(enum http_status why, time_t now, struct site_response *out);
/* As clear text, to plain HTTP on the TLS port; always closes. */
void site_refuse_plain(time_t now, struct site_response *out);

#endif
