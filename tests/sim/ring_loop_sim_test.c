/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_loop_sim_test: the loop, proven of the worlds' ring by the tests that prove it of io_uring
 * and epoll. Each round and each test has a seed of its own.
 *
 * links: core/addr.c core/ring.c core/timer.c tests/support/ring_fixture_world.c
 * links: tests/world/calls.c tests/world/kernel.c tests/world/memory.c tests/world/packet.c
 * links: tests/world/pipes.c tests/world/ring_sim.c tests/world/store.c tests/world/stream.c
 * links: tests/world/stream_connect.c tests/world/world.c core/memory.c
 */
#include "tests/unit/ring_loop_test.c"
