/* SPDX-License-Identifier: Apache-2.0 */
/* ring_fixture: runs each test once on every engine, and what such tests have in common. */
#ifndef POSTERN_TESTS_RING_FIXTURE_H
#define POSTERN_TESTS_RING_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <sys/types.h>

#include "core/ring.h"

struct ring_fixture {
	struct ring *r;
	enum ring_engine engine;
	struct timer limit;
	bool limit_reached;
};

/* An operation that remembers its results and stops the loop at each. */
struct probe {
	struct ring_op op;
	struct ring *r;
	unsigned done;
	int res; /* the last */
	int fds[64];
	unsigned fd_count;
};

#define RING_TEST(f)                                                                               \
	{#f " io_uring", f, ring_fixture_io_uring, ring_fixture_teardown, NULL},                   \
	{                                                                                          \
#f " epoll", f, ring_fixture_epoll, ring_fixture_teardown, NULL                    \
	}

/* Runs the tests of a program as often as ring_fixture_rounds says; returns how many failed. */
#define RING_TESTS_RUN(tests)                                                                      \
	({                                                                                         \
		int failed = 0;                                                                    \
		for (unsigned round = 0; round < ring_fixture_rounds; round++)                     \
			failed += cmocka_run_group_tests(tests, NULL, NULL);                       \
		failed;                                                                            \
	})

int ring_fixture_io_uring(void **state);
int ring_fixture_epoll(void **state);
int ring_fixture_teardown(void **state);

/* The test's fixture; skips the test where the system refuses the engine. */
struct ring_fixture *ring_fixture(void **state);
/* Opens the ring anew; also a further one, of a fixture with nothing but its engine. */
void ring_fixture_reopen(struct ring_fixture *f, unsigned entries, unsigned small_buffers);
void ring_fixture_close(struct ring_fixture *f);
/* How often tests of the ring itself are run: once on the real kernel; on the simulated one, each
 * time goes another way. */
extern const unsigned ring_fixture_rounds;

void probe_init(struct ring_fixture *f, struct probe *p);
/* Runs the loop until p has reported n times in all; fails the test after ten seconds. */
void run_until(struct ring_fixture *f, struct probe *p, unsigned n);
/* Runs the loop until ring_stop(), as a probe calls it; fails the test after ten seconds. */
void run_until_stopped(struct ring_fixture *f);
/* Runs the loop for so long. */
void run_for(struct ring_fixture *f, uint64_t ms);

/* Cancels p, twice, and waits for its one -ECANCELED. */
void cancel_and_wait(struct ring_fixture *f, struct probe *p);
/* The results of n probes in all. */
unsigned count_done(const struct probe *p, size_t n);

/* A listener on loopback; and a blocking connection to it. */
int listen_loopback(void);
int dial_loopback(int listener);
/* A TCP connection: ours is non-blocking, theirs blocks for at most ten seconds. */
void tcp_pair(int *ours, int *theirs);
/* Closes both; theirs may be closed already (-1). */
void shut(struct ring_fixture *f, int ours, int theirs);
/* Writes or reads all, on a blocking descriptor. */
void write_all(int fd, const void *data, size_t len);
void read_all(int fd, void *data, size_t len);
/* recv(2) on a blocking descriptor. */
ssize_t read_some(int fd, void *data, size_t len);

/* A reader beside the loop, which takes its time, until the stream ends. */
struct drain {
	int fd;
	uint8_t (*expected)(size_t at); /* what byte comes there; NULL: any */
	/* The fixture's. */
	size_t got;
	bool wrong, ended;
	pthread_t thread;
};
void drain_start(struct drain *d);
/* Waits for the stream's end; fails the test if a byte was not the expected one. Returns how many
 * came. */
size_t drain_end(struct drain *d);

/* Makes or replaces a file. */
void fixture_write_file(const char *path, const char *text);

#endif
