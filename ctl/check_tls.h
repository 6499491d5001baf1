/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_tls: the steps of 'postern check' on a connected socket, one after the other, each with a
 * deadline of its own. fd is non-blocking.
 */
#ifndef POSTERN_CTL_CHECK_TLS_H
#define POSTERN_CTL_CHECK_TLS_H

#include <time.h>

#include "agent/config/http_proxy.h"
#include "core/engine/tls.h"

#define CHECK_WHY_BYTES 384

/* CONNECT to target ("host:port"). False: why. */
bool check_proxy(int fd, const struct http_proxy *p, const char *target, int wait_ms,
		 char why[CHECK_WHY_BYTES]) MUST_CHECK;
/* A TLS client's handshake with host. NULL: why. */
struct tls *check_handshake(int fd, SSL_CTX *context, const char *host, int wait_ms,
			    char why[CHECK_WHY_BYTES]) MUST_CHECK;
/* The Date that the relay's own web server tells, whatever web site is behind it (site.to). False:
 * why. */
bool check_date(int fd, struct tls *tls, int wait_ms, time_t *date,
		char why[CHECK_WHY_BYTES]) MUST_CHECK;

#endif
