/* SPDX-License-Identifier: Apache-2.0 */
/* fake_gateway: a router that speaks PCP and NAT-PMP on a loopback address, port 5351. */
#ifndef POSTERN_TESTS_FAKE_GATEWAY_H
#define POSTERN_TESTS_FAKE_GATEWAY_H

#include "core/addr.h"
#include "core/ring.h"
#include "tests/support/ring_fixture.h"

struct fake_gateway {
	struct ring_op op; /* first */
	struct ring *ring;
	int fd;
	/* Manners. */
	bool deaf, no_pcp;
	uint8_t external[4];
	uint64_t started_ms; /* of its clock: its epoch begins there */
	uint8_t map_result;  /* PCP: of MAP */
	/* What was asked. */
	unsigned requests, maps, deletions;
	uint16_t last_port;
};

/* It loses its mappings, and its epoch begins anew. */
void fake_gateway_restart(struct fake_gateway *g);
/* At 127.a.b.host, tests/support/loopback.h. */
void fake_gateway_open(struct fake_gateway *g, struct ring_fixture *f, unsigned host);
void fake_gateway_close(struct fake_gateway *g, struct ring_fixture *f);

#endif
