/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_fixture_world: in place of ring_fixture.c, on the simulated kernel and clock of tests/world:
 * what such a test waits for takes no time, and comes in time however busy the machine is. Its
 * sockets are simulated ones.
 *
 * A test that links it says so by linking tests/world/kernel.c: then the linker leads its calls
 * there (Makefile).
 */
#include "tests/support/ring_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/world/kernel.h"
#include "tests/world/world.h"

static int setup(void **state, enum ring_engine engine)
{
	struct ring_options options = {.engine = engine, .entries = 64, .small_buffers = 16};
	struct ring_fixture *f;
	char why[256];

	world_begin(1);
	k_enter(k_program_new("test", k_host_new("test")));
	f = calloc(1, sizeof(*f));
	if (!f || ring_open(&f->r, &options, why, sizeof(why)))
		return -1;
	f->engine = engine;
	world_ring_add(f->r, k_current);
	*state = f;
	return 0;
}

int ring_fixture_io_uring(void **state)
{
	return setup(state, RING_IO_URING);
}

int ring_fixture_epoll(void **state)
{
	return setup(state, RING_EPOLL);
}

/* A test that has held may leave nothing open and nothing allocated. */
int ring_fixture_teardown(void **state)
{
	struct ring_fixture *f = *state;
	struct k_program *p = k_current;
	char list[256];
	bool left;

	world_ring_remove(f->r);
	ring_close(f->r);
	free(f);
	k_enter(NULL);
	k_program_list(p, list, sizeof(list));
	left = p->open_count > 0 || p->memory_count > 0;
	if (left)
		print_error("left: %zu allocations, %zu descriptors:%s\n", p->memory_count,
			    p->open_count, list);
	world_end();
	return left ? -1 : 0;
}

struct ring_fixture *ring_fixture(void **state)
{
	return *state;
}

void run_for(struct ring_fixture *f, uint64_t ms)
{
	world_run(ms * MS);
}
