/* SPDX-License-Identifier: Apache-2.0 */
/* session: two legs cut through to each other. */
#include "relay/session/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/container.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/probe.h"
#include "relay/session/alive.h"
#include "relay/session/enforce.h"
#include "relay/session/leg.h"
#include "relay/session/pace.h"
#include "relay/session/report.h"
#include "relay/session/trace.h"

#define LARGE_BYTES	 (4u << 20)
#define TRIM_INTERVAL_MS 1000u
#define IDLE_ROUND	 16u   /* in so many intervals each session is looked at once */
#define SITE_LINGER_MS	 5000u /* a web server has said its last: for its client to end, too */

/* ---- a worker's sessions ---- */

/* No byte has come on it for as long as that may last. */
static bool session_idle(struct session *s, uint64_t now_ms)
{
	const struct relay_limits *limits = &s->worker->snap->config.limits;
	uint64_t most = s->pair.from ? limits->session_idle_ms : limits->public_idle_ms;
	uint64_t bytes = s->flow[0].bytes + s->flow[1].bytes;

	if (s->bridge && s->flow[1].state == FLOW_ENDED && s->flow[0].state != FLOW_SEND &&
	    (most == 0 || most > SITE_LINGER_MS))
		most = SITE_LINGER_MS;
	if (s->fd[0] < 0 || s->fd[1] < 0 || bytes != s->active_bytes) {
		s->active_bytes = bytes;
		s->active_ms = now_ms;
	}
	return most > 0 && now_ms - s->active_ms >= most;
}

/* Looks through the next part of the table. */
static void sessions_end_idle(struct sessions *ss, uint64_t now_ms)
{
	uint32_t part = ss->table.high_water / IDLE_ROUND + 1;

	for (; part > 0; part--, ss->looked_at++) {
		if (ss->looked_at >= ss->table.high_water) {
			ss->looked_at = 0;
			return;
		}
		struct session *s = slab_at(&ss->table, ss->looked_at);

		if (s && !s->ended && session_idle(s, now_ms))
			session_abort(s, ENDING_SELF, ENDING_IDLE, "nothing came for too long");
	}
}

/* Gives large buffers back to the system that the last interval did not need, and ends what has
 * been idle for too long. */
static void sessions_trim(struct timer *t, uint64_t now_ms)
{
	struct sessions *ss = container(t, struct sessions, trimmer);

	buffers_trim(&ss->large, 1);
	sessions_end_idle(ss, now_ms);
	ring_timer_set(ss->worker->ring, t, TRIM_INTERVAL_MS);
}

int sessions_open(struct worker *w)
{
	const struct relay *r = w->relay;
	/* Large, but so that each worker has at least two of them. */
	size_t share = (size_t)(w->snap->config.limits.buffer_bytes / r->worker_count);
	size_t large = share / 2 < LARGE_BYTES ? share / 2 : LARGE_BYTES;
	struct sessions *ss = memory_zeroed(sizeof *ss);

	if (!ss)
		return -ENOMEM;
	if (large < FLOW_PRESSED_BYTES)
		large = FLOW_PRESSED_BYTES;
	w->sessions = ss;
	ss->worker = w;
	ss->trimmer.fire = sessions_trim;
	ss->pace_timer.fire = pace_look;
	ss->alive_timer.fire = alive_look_through;
	splicer_open(&ss->splicer);
	if (slab_init(&ss->table, sizeof(struct session), (uint32_t)r->descriptors / 2 + 1,
		      (uint8_t)w->index) < 0)
		return -ENOMEM;
	return buffers_init(&ss->large, large, share / large + 1);
}

void sessions_start(struct worker *w)
{
	look_init(&w->sessions->look, w->ring, enforce_look);
	ring_timer_set(w->ring, &w->sessions->trimmer, TRIM_INTERVAL_MS);
}

void sessions_adopt(struct worker *w)
{
	enforce_all(w);
	pace_adopt(w);
}

struct sessions_ending {
	struct ring_msg msg; /* first: the ring hands this back */
	struct worker *worker;
};

static void sessions_end_run(struct ring_msg *msg)
{
	struct worker *w = ((struct sessions_ending *)msg)->worker;

	memory_free(msg);
	for (uint32_t i = 0; i < w->sessions->table.high_water; i++) {
		struct session *s = slab_at(&w->sessions->table, i);

		if (s && !s->ended)
			session_abort(s, ENDING_SELF, ENDING_DRAINING,
				      "the relay drained and the time for that was over");
	}
	asker_end_all(w);
}

void sessions_end(struct worker *w)
{
	struct sessions_ending *e = memory_zeroed(sizeof *e);

	if (!e)
		return; /* they end with the program, without a record */
	e->msg.run = sessions_end_run;
	e->worker = w;
	ring_post(w->ring, &e->msg);
}

/* Frees what a session owns, when the ring is gone. */
static void session_dispose(struct session *s)
{
	for (unsigned side = 0; side < 2; side++) {
		memory_free(s->flow[side].owned);
		memory_free(s->flow[side].wrap);
		if (s->flow[side].large)
			buffers_put(&s->worker->sessions->large, s->flow[side].large);
		if (s->fd[side] >= 0)
			close(s->fd[side]);
	}
	bridge_free(s->bridge);
	share_release(s->share);
	memory_free(s->service);
}

void sessions_close(struct worker *w)
{
	struct sessions *ss = w->sessions;

	if (!ss)
		return;
	for (uint32_t i = 0; i < ss->table.high_water; i++) {
		struct session *s = slab_at(&ss->table, i);

		if (s)
			session_dispose(s);
	}
	HASH_CLEAR(hh, ss->by_number);
	splicer_close(&ss->splicer);
	buffers_free(&ss->large);
	slab_free(&ss->table);
	memory_free(ss);
	w->sessions = NULL;
}

/* ---- one session ---- */

/* It is in no table any more. */
static void session_forget(struct session *s)
{
	struct sessions *ss = s->worker->sessions;

	if (table_holds(s))
		HASH_DEL(ss->by_number, s);
	memory_free(s->service);
	slab_put(&ss->table, s->id);
}

struct session *session_new(struct worker *w, const struct session_facts *facts)
{
	struct slab *table = &w->sessions->table;
	slab_id id;
	struct session *s = slab_get(table, &id);

	if (!s)
		return NULL;
	s->worker = w;
	s->id = id;
	s->number = facts->number;
	s->pair = facts->pair;
	s->source = *facts->source;
	s->rate = facts->rate;
	s->again = facts->again;
	s->granted = facts->granted;
	s->public_mark = facts->public_mark;
	s->fd[0] = s->fd[1] = -1;
	s->service = memory_text(facts->service);
	HASH_ADD(hh, w->sessions->by_number, number, sizeof s->number, s);
	if (!s->service || !table_holds(s) || !pace_join(s)) {
		session_forget(s);
		return NULL;
	}
	flow_init(&s->flow[0], 0);
	flow_init(&s->flow[1], 1);
	s->started_ms = s->active_ms = ring_now_ms(w->ring);
	stat_add(&w->stats.sessions, 1);
	stat_add(&w->stats.sessions_total, 1);
	enforce_watch(w, facts->again);
	report_session(s, NULL, NULL);
	TRACE_SESSION(s, "ACCEPT came, GO leaves on both legs");
	PROBE_SESSION_OPENED(s->number, s->pair.from ? party_name(s->pair.from) : "public",
			     s->service);
	return s;
}

struct session *session_find(const struct worker *w, uint64_t number)
{
	struct session *s;

	HASH_FIND(hh, w->sessions->by_number, &number, sizeof number, s);
	return s && !s->ended ? s : NULL;
}

bool session_is_of(const struct session *s, const char *agent)
{
	return strcmp(party_name(s->pair.to), agent) == 0 ||
	       (s->pair.from && strcmp(party_name(s->pair.from), agent) == 0);
}

void session_set_rate(struct session *s, uint64_t rate)
{
	TRACE_SESSION(s, "its rate is %" PRIu64 " bytes a second now (0: no limit)", rate);
	s->rate = rate;
	pace_set_rate(s);
}

bool session_wrap_publisher(struct session *s, const uint8_t secret[ENVELOPE_SECRET_BYTES])
{
	for (unsigned side = 0; side < 2; side++) {
		struct flow_wrap *w = memory_zeroed(sizeof *w);

		s->flow[side].wrap = w;
		if (!w || !envelope_init(&w->envelope, secret,
					 side == 0 ? ENVELOPE_ASKING : ENVELOPE_PUBLISHING))
			return false;
		w->seals = side == 0;
	}
	return true;
}

bool session_keep_tls(struct session *s)
{
	s->bridge = memory_zeroed(sizeof *s->bridge);
	return s->bridge != NULL;
}

static void session_free(struct session *s)
{
	struct worker *w = s->worker;

	for (unsigned side = 0; side < 2; side++)
		flow_release(&s->flow[side]);
	bridge_free(s->bridge);
	pace_leave(s);
	relay_lock(w->relay);
	rendezvous_end(w->relay->rendezvous, &s->pair);
	relay_unlock(w->relay);
	atomic_store_explicit(&w->stats.sessions,
			      atomic_load_explicit(&w->stats.sessions, memory_order_relaxed) - 1,
			      memory_order_relaxed);
	session_forget(s);
}

static enum ending_phase session_phase(const struct session *s)
{
	if (s->fd[0] < 0 || s->fd[1] < 0)
		return ENDING_GOING;
	if (s->flow[0].state == FLOW_ENDED || s->flow[1].state == FLOW_ENDED)
		return ENDING_HALF;
	return ENDING_DATA;
}

static void session_log_end(const struct session *s, struct ending how, const char *why)
{
	uint64_t ms = ring_now_ms(s->worker->ring) - s->started_ms;
	char code[ENDING_CODE_BYTES];

	report_session(s, ending_code(how, code), why);
	TRACE_SESSION(
		s, "closed %s after %" PRIu64 " ms, %" PRIu64 " bytes up and %" PRIu64 " down: %s",
		code, ms, s->flow[0].bytes, s->flow[1].bytes, why);
	PROBE_SESSION_CLOSED(s->number, code, s->flow[0].bytes, s->flow[1].bytes, ms);
	log_recorded(LOG_LEVEL_INFO, "session",
		     "closed session=%016" PRIx64 " from=%s to=%s/%s up=%" PRIu64 " down=%" PRIu64
		     " ms=%" PRIu64 " ending=%s reason=\"%s\"",
		     s->number, s->pair.from ? party_name(s->pair.from) : "public",
		     party_name(s->pair.to), s->service, s->flow[0].bytes, s->flow[1].bytes, ms,
		     code, why);
}

void session_attach(struct session *s, unsigned side, int fd, uint8_t *head, size_t head_len)
{
	s->cutting[side] = 0;
	s->fd[side] = fd;
	TRACE_SESSION(s, "GO has left to the %s side", side == 0 ? "asking" : "publishing");
	if (head) { /* kept where the flow's own copy lives until both sides are there */
		s->flow[side].owned = head;
		s->flow[side].bytes = head_len;
	}
	if (s->fd[0] < 0 || s->fd[1] < 0)
		return;
	alive_session_begins(s);

	struct worker *w = s->worker;
	slab_id id = s->id;

	/* A head that is not TLS ends the session at once; it is then gone. */
	for (unsigned i = 0; i < 2 && slab_find(&w->sessions->table, id); i++) {
		struct flow *f = &s->flow[i];
		uint8_t *first = f->owned;
		size_t len = (size_t)f->bytes;

		f->owned = NULL;
		f->bytes = 0;
		flow_start(f, first, len);
	}
}

static bool session_busy(const struct session *s)
{
	return ring_op_busy(&s->flow[0].op) || ring_op_busy(&s->flow[1].op);
}

/* Closes what is still open once nothing is in flight, and frees the session. */
static void session_finish(struct session *s, bool reset)
{
	for (unsigned side = 0; side < 2; side++)
		if (s->fd[side] >= 0)
			worker_close_fd(s->worker, s->fd[side], s->place[side],
					reset && !(side == 0 && s->spares_asker));
	session_free(s);
}

void session_flow_ended(struct session *s)
{
	if (s->flow[0].state != FLOW_ENDED || s->flow[1].state != FLOW_ENDED)
		return;
	session_log_end(s, (struct ending){ENDING_BOTH, ENDING_DONE, ENDING_FINISHED}, "finished");
	session_finish(s, false);
}

/* The agents of these sides hear on their links what a session ends for: of the legs they see
 * resets alone. */
static void session_tell_ended(const struct session *s, bool asking, bool publishing,
			       enum ending_cause cause, const char *why)
{
	const struct wire_message m = {.type = WIRE_ENDED,
				       .ended = {.session = s->number,
						 .cause = wire_text(ending_letter(cause)),
						 .text = wire_text(why)}};
	struct relay *r = s->worker->relay;
	slab_id conns[2];

	relay_lock(r);
	conns[0] = asking && s->pair.from ? party_conn(s->pair.from) : 0;
	conns[1] = publishing ? party_conn(s->pair.to) : 0;
	relay_unlock(r);
	for (unsigned i = 0; i < 2; i++)
		if (conns[i])
			(void)!conn_tell_spare(r, conns[i], &m); /* without memory, no word */
}

void session_abort(struct session *s, enum ending_side who, enum ending_cause cause,
		   const char *why)
{
	struct ring *ring = s->worker->ring;

	if (!s->ended) {
		s->ended = true;
		session_log_end(s, (struct ending){who, session_phase(s), cause}, why);
		if (who == ENDING_SELF)
			session_tell_ended(s, true, true, cause, why);
		for (unsigned side = 0; side < 2; side++) {
			cut_session_gone(s->worker, s->cutting[side]);
			ring_cancel(ring, &s->flow[side].op);
		}
	}
	if (!session_busy(s))
		session_finish(s, true);
}

void session_end_by(struct session *s, unsigned side, enum ending_cause cause)
{
	char why[128];

	snprintf(why, sizeof why, "the %s agent ended it: %s", side == 0 ? "asking" : "publishing",
		 ending_sentence(cause));
	session_tell_ended(s, side == 1, side == 0, cause, why);
	session_abort(s, side == 0 ? ENDING_ASKING : ENDING_PUBLISHING, cause, why);
}

void session_line_died(struct session *s, unsigned side, const char *why)
{
	session_tell_ended(s, side == 1, side == 0, ENDING_LINE, why);
	session_abort(s, side == 0 ? ENDING_ASKING : ENDING_PUBLISHING, ENDING_LINE, why);
}

/* By the other leg a reset alone would arrive, which says nothing of a line. */
void session_flow_failed(struct session *s, enum ending_side who, int error)
{
	enum ending_cause cause = ending_of_errno(error);
	const char *why = error ? strerror(error) : "aborted";

	if (cause == ENDING_LINE && who != ENDING_SELF && !s->ended)
		session_line_died(s, who == ENDING_PUBLISHING, why);
	else
		session_abort(s, who, cause, why);
}
