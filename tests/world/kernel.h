/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel: what the programs of a world run on instead of Linux.
 *
 * Theory of operation. The linker leads every system call of the linked programs to calls.c
 * (ld's --wrap), which asks the simulated kernel instead, in the name of k_current, the program
 * that is being run. Each program has a descriptor table of its own, with the lowest free number
 * first and a limit, as on Linux. Time is virtual: it moves when nothing can be done now, and a
 * little with each step. What takes time (bytes under way, a connection being set up, a peer that
 * does not answer) is an event in one queue.
 *
 * A TCP connection is two queues of bytes, with a send and a receive buffer that can be full,
 * latency, half-close, resets, retransmission while a cable is pulled, keep-alive and
 * TCP_USER_TIMEOUT. What Linux does and programs must live with is done here, too: unread bytes
 * make of a close a reset; a listener's end resets what waited in its queue; a reset destroys what
 * is under way; data for a closed socket is answered by a reset.
 *
 * All chance comes from k_dice, seeded by the world.
 */
#ifndef POSTERN_TESTS_WORLD_KERNEL_H
#define POSTERN_TESTS_WORLD_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "core/addr.h"
#include "tests/world/dice.h"

#define K_PROGRAMS_MAX 512u
#define K_HOSTS_MAX    32u
#define K_SECOND       1000000u /* of the virtual clock, in microseconds */

struct k_file;
struct k_host;

/* ---- time ---- */

extern uint64_t k_now_us;
/* CLOCK_REALTIME is k_now_us plus this; a jump of the clock changes it. */
extern int64_t k_realtime_offset_us;
/* How long the machine has been suspended: CLOCK_BOOTTIME is ahead by it. */
extern uint64_t k_asleep_us;
/* How long it takes to read a clock: 0, where a test does not say otherwise. */
extern uint64_t k_read_us;
extern struct dice k_dice;

typedef void k_event_fn(void *context, uint64_t argument);
/* Once, at that time of the virtual clock (now, if it is past). */
void k_at(uint64_t at_us, k_event_fn *run, void *context, uint64_t argument);
/* The next event's time, or UINT64_MAX. */
uint64_t k_next_event(void);
/* Moves the clock and runs the events up to and including that time. */
void k_advance(uint64_t to_us);

/* ---- faults ---- */

struct k_faults {
	unsigned short_io;	/* per mille of receives and sends that move less than they could */
	unsigned aborted;	/* of accepted connections that ECONNABORTED takes the place of */
	unsigned datagram_loss; /* of datagrams */
	unsigned datagram_twice; /* of datagrams that come a second time */
	unsigned name_failure;	 /* of names that cannot be resolved */
};
extern struct k_faults k_faults;

/* ---- hosts and cables ---- */

/* Its addresses are 10.0.0.N and 2001:db8::N; those of the loopback are its own. Further ones can
 * be added. */
struct k_host *k_host_new(const char *name);
void k_host_add_address(struct k_host *h, const char *literal);
const char *k_host_address(const struct k_host *h);
const char *k_host_address6(const struct k_host *h);
/* One of all its IPv4 addresses. */
const char *k_host_some_address(const struct k_host *h, struct dice *dice);
/* Of a literal that is right. */
struct addr k_address(const char *literal, uint16_t port);
/* The way between two hosts, both directions; jitter is added to latency. */
void k_cable_set(struct k_host *a, struct k_host *b, uint32_t latency_us, uint32_t jitter_us);
/* Pulled: what is sent vanishes in silence until it is put back. */
void k_cable_pull(struct k_host *a, struct k_host *b, bool pulled);
bool k_cable_pulled(const struct k_host *a, const struct k_host *b);

/* ---- programs ---- */

struct k_program {
	char name[24];
	struct k_host *host;
	struct k_file **files; /* by descriptor; 0 to 2 are never used */
	size_t room, open_count, limit;
	uint64_t changes;    /* counts what may make one of its descriptors ready */
	unsigned no_memory;  /* per mille of its allocations that fail */
	size_t memory_count; /* its allocations that live */
	size_t memory_bytes, memory_most;
	size_t real_bytes, real_most; /* the same as the allocator has it, with its heads */
	size_t refuse_at;	      /* the allocation from now that fails; 0: none */
	struct memory *memory;	      /* what its memory is charged to (core/memory.h) */
	unsigned index;
	unsigned uid;
};

extern struct k_program *k_current; /* NULL: the test itself; its calls are the real ones */

struct k_program *k_program_new(const char *name, struct k_host *host);
/* Closes everything, as the end of a process does. */
void k_program_end(struct k_program *p);
/* Returns the one before. */
struct k_program *k_enter(struct k_program *p);
/* A text of what p has open beyond nothing; for people. */
void k_program_list(const struct k_program *p, char *out, size_t room);

/* Signals for the program's signalfd. */
void k_signal(struct k_program *p, int number);
/* Called when a program blocks in poll(2): lets others answer. False: none will. */
extern bool (*k_blocked)(struct k_program *p);

/* ---- the whole ---- */

/* Forgets everything and begins anew. */
void k_begin(uint64_t seed);
/* Frees what k_begin() and what followed made. */
void k_end(void);
/* Sockets and connections that live, with or without a descriptor. */
size_t k_sockets_alive(void);

/* One line of a trace, with time and program; nothing unless k_trace_on. */
extern bool k_trace_on;
void k_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* What the programs logged goes here; NULL: to the trace. */
extern void (*k_log_line)(struct k_program *p, const char *line, size_t len);

/* ---- calls, in the name of k_current: results or -errno ---- */

struct k_file *k_file_get(int fd);  /* of k_current; NULL */
unsigned k_ready(struct k_file *f); /* POLLIN and the like, also what was not asked for */
ssize_t k_recv(int fd, void *buf, size_t len, int flags);
ssize_t k_send(int fd, const void *buf, size_t len, int flags);
int k_accept(int fd);
int k_close(int fd);

#endif
