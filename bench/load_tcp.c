/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_tcp: sessions through a relay that dials our sink itself (HAProxy, nginx), and without any
 * relay at all, the upper bound.
 */
#include "bench/load.h"

#include <stdlib.h>

struct tcp_end {
	struct addr dial;
	int listener;
};

static struct tcp_end *end_new(void)
{
	struct tcp_end *e = calloc(1, sizeof *e);

	if (!e)
		load_fail("out of memory");
	return e;
}

static void *source_start_tcp(const struct load_options *o, struct load_shared *s)
{
	struct tcp_end *e = end_new();

	e->dial = o->relay;
	return e;
}

static void *source_start_direct(const struct load_options *o, struct load_shared *s)
{
	struct tcp_end *e = end_new();

	e->dial = o->backend;
	return e;
}

static void *sink_start(const struct load_options *o, struct load_shared *s)
{
	struct tcp_end *e = end_new();

	e->listener = load_listen(&o->backend);
	return e;
}

static int tcp_open(void *state)
{
	struct tcp_end *e = state;

	return load_dial(&e->dial);
}

static int tcp_accept(void *state)
{
	struct tcp_end *e = state;

	return load_accept(e->listener);
}

const struct load_path load_path_direct = {
	.name = "direct",
	.source_start = source_start_direct,
	.open = tcp_open,
	.sink_start = sink_start,
	.accept = tcp_accept,
};

const struct load_path load_path_tcp = {
	.name = "tcp",
	.source_start = source_start_tcp,
	.open = tcp_open,
	.sink_start = sink_start,
	.accept = tcp_accept,
};
