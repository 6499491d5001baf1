/* SPDX-License-Identifier: Apache-2.0 */
/* loopback: addresses of 127.0.0.0/8 that no other test that runs at the same time has. */
#ifndef POSTERN_TESTS_LOOPBACK_H
#define POSTERN_TESTS_LOOPBACK_H

#include <stdio.h>
#include <unistd.h>

#include "core/addr.h"

/* 127.a.b.host, a and b this process's. */
static inline struct addr test_loopback(unsigned host, uint16_t port)
{
	char text[ADDR_TEXT_BYTES];
	struct addr a;
	unsigned pid = (unsigned)getpid();

	snprintf(text, sizeof text, "127.%u.%u.%u", 16 + pid / 256 % 200, pid % 256, host);
	if (!addr_from_literal(text, port, &a))
		_exit(99);
	return a;
}

#endif
