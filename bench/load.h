/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load: drives a relay from both ends and measures it.
 *
 * Theory of operation. Three processes: the coordinator (load.c) forks a *sink* and a *source* and
 * watches the relay's process from outside. What differs between relays is only how a session comes
 * about, a struct path: the source opens its end, the sink accepts the other. From then on both
 * hold plain connected sockets, and every test (bulk, ping, rate, idle) is the same code for every
 * relay. Two processes, so that neither needs more descriptors than one end of all sessions.
 *
 * The ends share one page of counters and flags and nothing else. An end that fails says why on
 * stderr and exits; the coordinator then ends the run without a result. Every run has a deadline.
 */
#ifndef POSTERN_BENCH_LOAD_H
#define POSTERN_BENCH_LOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

#define LOAD_PIDS_MAX	 16u
#define LOAD_SAMPLES_MAX (4u << 20)
#define LOAD_WORKERS_MAX 32u

struct load_options {
	const struct load_path *path;
	const struct load_test *test;
	struct addr relay;   /* where the source dials; for agents' relays both ends do */
	struct addr backend; /* where the sink listens, for relays that dial out themselves */
	unsigned sessions;
	unsigned workers;  /* threads that set sessions up */
	unsigned prepared; /* rate: sessions to prepare ahead; 0: none */
	unsigned poll;	   /* a console asks so often in a second; 0: none */
	unsigned rate; /* ping: round trips per second over all sessions; 0: as fast as they go */
	double warm_s, seconds;
	unsigned deadline_s;
	int pids[LOAD_PIDS_MAX]; /* the relay's processes */
	size_t pid_count;
	const char *source_bundle, *sink_bundle,
		*console_bundle; /* as `postern pki issue` made them */
};

/* The relay's processes, from outside. */
struct load_usage {
	uint64_t cpu_ns;	/* user and system time of all threads, living and dead */
	uint64_t private_bytes; /* memory that is the processes' own, not shared with others */
	unsigned descriptors;
};

/* What both ends and the coordinator see. */
struct load_shared {
	_Atomic bool sink_ready;	 /* the sink can be reached: the source may begin */
	_Atomic bool source_ready;	 /* all sessions stand */
	_Atomic bool measuring;		 /* samples count; rate: begin */
	_Atomic uint64_t bytes;		 /* arrived at the sink */
	_Atomic uint64_t sessions;	 /* rate: completed; stun: answers */
	_Atomic uint64_t claimed;	 /* rate: begun; stun: lost */
	_Atomic uint64_t polls, poll_ns; /* answered, and how long that took in all */
	_Atomic uint64_t sample_count;
	struct load_usage before;	       /* the relay before the ends started */
	_Alignas(64) uint8_t note[4096];       /* of the path: what its two ends tell each other */
	uint32_t samples_ns[LOAD_SAMPLES_MAX]; /* ping: round trips */
};

/*
 * A way through a relay. The start functions run once, each in its end's process, the sink's first;
 * they also prepare o->prepared sessions as far as agents of this relay can ahead of time. open()
 * and accept() block until the session stands and return a connected, blocking socket that carries
 * raw bytes; several threads call them at a time.
 */
struct load_path {
	const char *name;
	void *(*source_start)(const struct load_options *o, struct load_shared *s);
	int (*open)(void *state);
	void *(*sink_start)(const struct load_options *o, struct load_shared *s);
	int (*accept)(void *state);
};

/* One measurement: what either end does with its sessions, and what the coordinator reports. */
struct load_test {
	const char *name;
	void (*source)(const struct load_options *o, struct load_shared *s, void *state);
	void (*sink)(const struct load_options *o, struct load_shared *s, void *state);
	void (*report)(const struct load_options *o, struct load_shared *s);
};

extern const struct load_path load_path_direct, load_path_tcp, load_path_strelay, load_path_postern,
	load_path_stun;
extern const struct load_test load_test_bulk, load_test_ping, load_test_rate, load_test_idle,
	load_test_stun;

/* ---- load_sockets.c ---- */

/* These never fail: they say why and end the process. */
_Noreturn void load_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int load_listen(const struct addr *a);
int load_dial(const struct addr *a);
int load_accept(int listener);
void load_write(int fd, const void *buf, size_t len);
void load_read(int fd, void *buf, size_t len);
void load_nonblocking(int fd);
uint64_t load_now_ns(void);
void load_sleep_ms(unsigned ms);
void load_thread(pthread_t *thread, void *(*work)(void *), void *arg);

/* Opens (source) or accepts (sink) n sessions with o->workers threads; fds has n places. */
void load_sessions(const struct load_options *o, void *state, bool source, int *fds, unsigned n);

/* ---- load_poll.c ---- */

/* Asks until the process ends. */
void load_poll_start(const struct load_options *o, struct load_shared *s);

/* ---- load_process.c: the relay from outside ---- */

void load_usage_of(const int *pids, size_t count, bool memory, struct load_usage *out);

#endif
