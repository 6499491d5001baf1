/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace: what one agent or one session does, in words, while an operator looks.
 *
 * Theory of operation
 *
 * Off, which is nearly always, a trace point is one relaxed load. The control thread switches one
 * subject on (an agent's name or a session's number), with a number of lines that it may cost; a
 * worker that comes by a trace point of that subject makes the line and posts it to the control
 * thread, which logs it and passes it on to the console that asked. The last line of the budget
 * switches it off; so does the control thread, when time is up or the console has gone.
 *
 * Lines hold names, addresses, message types, counts and reasons: never bytes of a session, never a
 * secret of a link. Trace points stand at changes, not where bytes are copied.
 */
#ifndef POSTERN_RELAY_SESSION_TRACE_H
#define POSTERN_RELAY_SESSION_TRACE_H

#include <stdatomic.h>
#include <time.h>

#include "relay/front/worker.h"
#include "relay/session/session.h"

#define TRACE_TEXT_BYTES 400u

struct trace {
	_Atomic bool on;
	pthread_mutex_t lock;
	char agent[64];	  /* "": a session */
	uint64_t session; /* 0: an agent */
	uint64_t left;	  /* lines */
	uint64_t lost;	  /* for want of memory */
	unsigned run;	  /* lines of an earlier one may still be on their way */
};

/* On its way to the control thread: struct relay_upward. */
struct trace_line {
	struct ring_msg msg; /* first: the ring hands this back */
	struct relay *relay;
	unsigned run;
	bool last; /* the budget is spent */
	struct timespec at;
	char text[TRACE_TEXT_BYTES];
};

/* NULL without memory. */
struct trace *trace_new(void) MUST_CHECK;
void trace_free(struct trace *t);

/* On the control thread. agent NULL: session counts. Returns the run, which its lines carry. */
unsigned trace_start(struct trace *t, const char *agent, uint64_t session, uint64_t lines);
/* Returns how many lines were lost for want of memory. */
uint64_t trace_stop(struct trace *t);

/* The trace points: use the macros. Not under relay_lock(). */
void trace_agent(struct relay *r, const char *agent, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Of the agent whose link this is, if it still lives. */
void trace_link(struct relay *r, uint64_t link, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A session that is asked for: the names of both agents ("" for a public client), and its number
 * once it has one. */
void trace_asked(struct relay *r, const char *from, const char *to, uint64_t session,
		 const char *format, ...) __attribute__((format(printf, 5, 6)));
void trace_session(const struct session *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static inline bool trace_on(const struct relay *r)
{
	return atomic_load_explicit(&r->trace->on, memory_order_relaxed);
}

#define TRACE_AGENT(relay, ...)                                                                    \
	do {                                                                                       \
		if (trace_on(relay))                                                               \
			trace_agent(relay, __VA_ARGS__);                                           \
	} while (0)
#define TRACE_LINK(relay, ...)                                                                     \
	do {                                                                                       \
		if (trace_on(relay))                                                               \
			trace_link(relay, __VA_ARGS__);                                            \
	} while (0)
#define TRACE_SESSION(s, ...)                                                                      \
	do {                                                                                       \
		if (trace_on((s)->worker->relay))                                                  \
			trace_session(s, __VA_ARGS__);                                             \
	} while (0)

#endif
