/* SPDX-License-Identifier: Apache-2.0 */
/* trace: lines about one agent or session, from workers to the control thread. */
#include "core/memory.h"
#include "relay/session/trace.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct trace *trace_new(void)
{
	struct trace *t = memory_zeroed(sizeof *t);

	if (t)
		pthread_mutex_init(&t->lock, NULL);
	return t;
}

void trace_free(struct trace *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	memory_free(t);
}

unsigned trace_start(struct trace *t, const char *agent, uint64_t session, uint64_t lines)
{
	unsigned run;

	pthread_mutex_lock(&t->lock);
	snprintf(t->agent, sizeof t->agent, "%s", agent ? agent : "");
	t->session = agent ? 0 : session;
	t->left = lines;
	t->lost = 0;
	run = ++t->run;
	atomic_store_explicit(&t->on, lines > 0, memory_order_relaxed);
	pthread_mutex_unlock(&t->lock);
	return run;
}

uint64_t trace_stop(struct trace *t)
{
	uint64_t lost;

	pthread_mutex_lock(&t->lock);
	atomic_store_explicit(&t->on, false, memory_order_relaxed);
	lost = t->lost;
	pthread_mutex_unlock(&t->lock);
	return lost;
}

/* Whether a line about this is wanted; then it counts. */
static bool trace_take(struct trace *t, const char *from, const char *to, uint64_t session,
		       unsigned *run, bool *last)
{
	bool wanted = false;

	pthread_mutex_lock(&t->lock);
	if (atomic_load_explicit(&t->on, memory_order_relaxed))
		wanted = t->agent[0] ? strcmp(t->agent, from) == 0 || strcmp(t->agent, to) == 0
				     : session != 0 && session == t->session;
	if (wanted) {
		*run = t->run;
		*last = --t->left == 0;
		if (*last)
			atomic_store_explicit(&t->on, false, memory_order_relaxed);
	}
	pthread_mutex_unlock(&t->lock);
	return wanted;
}

static void trace_lose(struct trace *t)
{
	pthread_mutex_lock(&t->lock);
	t->lost++;
	pthread_mutex_unlock(&t->lock);
}

static void trace_post(struct relay *r, const char *from, const char *to, uint64_t session,
		       const char *format, va_list args) __attribute__((format(printf, 5, 0)));

static void trace_post(struct relay *r, const char *from, const char *to, uint64_t session,
		       const char *format, va_list args)
{
	struct trace_line *line;
	size_t used = 0;
	unsigned run;
	bool last;

	if (!r->control_ring || !trace_take(r->trace, from, to, session, &run, &last))
		return;
	line = memory_zeroed(sizeof *line);
	if (!line) {
		trace_lose(r->trace);
		return;
	}
	line->msg.run = r->upward->traced;
	line->relay = r;
	line->run = run;
	line->last = last;
	clock_gettime(CLOCK_REALTIME, &line->at);
	if (session != 0)
		used = (size_t)snprintf(line->text, sizeof line->text, "session %016" PRIx64 ": ",
					session);
	vsnprintf(line->text + used, sizeof line->text - used, format, args);
	ring_post(r->control_ring, &line->msg);
}

void trace_agent(struct relay *r, const char *agent, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	trace_post(r, agent, "", 0, format, args);
	va_end(args);
}

void trace_link(struct relay *r, uint64_t link, const char *format, ...)
{
	char agent[WIRE_NAME_MAX + 1] = "";
	const char *name;
	va_list args;

	relay_lock(r);
	name = rendezvous_link_name(r->rendezvous, link);
	snprintf(agent, sizeof agent, "%s", name ? name : "");
	relay_unlock(r);
	if (!agent[0])
		return;
	va_start(args, format);
	trace_post(r, agent, "", 0, format, args);
	va_end(args);
}

void trace_asked(struct relay *r, const char *from, const char *to, uint64_t session,
		 const char *format, ...)
{
	va_list args;

	va_start(args, format);
	trace_post(r, from, to, session, format, args);
	va_end(args);
}

void trace_session(const struct session *s, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	trace_post(s->worker->relay, s->pair.from ? party_name(s->pair.from) : "",
		   party_name(s->pair.to), s->number, format, args);
	va_end(args);
}
