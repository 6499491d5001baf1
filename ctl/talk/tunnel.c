/* SPDX-License-Identifier: Apache-2.0 */
/* tunnel: the thread behind a socket that leads to a relay or an agent. */
#include "ctl/talk/tunnel.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/session/request.h"
#include "core/container.h"
#include "core/log.h"
#include "ctl/talk/relay_line.h"

#define WATCH_MS    50u
#define SENTENCE_MS 1000
#define GOODBYE_MS  300

/* The engine's own lines would tell a second time what our caller is told as a sentence. */
#define LOG_LEVEL_NONE ((enum log_level) - 1)

enum tunnel_state { TUNNEL_OPENING, TUNNEL_UP, TUNNEL_OVER };

struct tunnel {
	const struct agent_config *config;
	pthread_t thread;
	int near, far; /* -1: handed on */

	/* What it leads to. */
	const struct agent_relay *relay; /* NULL: to an agent */
	uint8_t flags;
	char agent_name[WIRE_NAME_MAX + 1], service[WIRE_NAME_MAX + 1];

	/* The thread's own. */
	struct agent agent;
	struct relay_line *line;
	struct timer watch; /* looks whether any relay lets us in */

	/* Guarded by lock. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum tunnel_state state;
	bool running; /* the ring takes messages */
	bool stop_wanted;
	struct ring_msg stop;
	char why[768];
	char shown[768]; /* the caller's copy of why */
};

/* ---- on the thread ---- */

static void tunnel_set_state(struct tunnel *t, enum tunnel_state state, const char *why)
{
	pthread_mutex_lock(&t->lock);
	if (t->state != TUNNEL_OVER) {
		t->state = state;
		snprintf(t->why, sizeof(t->why), "%s", why);
	}
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

static void tunnel_line_up(void *owner)
{
	tunnel_set_state(owner, TUNNEL_UP, "");
}

static void tunnel_line_over(void *owner, const char *why)
{
	struct tunnel *t = owner;

	t->line = NULL;
	tunnel_set_state(t, TUNNEL_OVER, why);
	agent_stop(&t->agent);
}

static void tunnel_request_ended(void *owner, enum reason reason, const char *why)
{
	struct tunnel *t = owner;
	char sentence[sizeof(t->why)];

	if (reason == REASON_OK)
		sentence[0] = '\0';
	else if (why[0] == '\0' || strcmp(why, reason_sentence(reason)) == 0)
		snprintf(sentence, sizeof(sentence), "%s: %s", t->agent_name,
			 reason_sentence(reason));
	else if (reason_says_text(reason))
		snprintf(sentence, sizeof(sentence), "%s", why);
	else if (reason == REASON_PEER_GONE) /* it had begun, most likely */
		snprintf(sentence, sizeof(sentence), "%s: %s", t->agent_name, why);
	else
		snprintf(sentence, sizeof(sentence), "%s: %s: %s", t->agent_name,
			 reason_sentence(reason), why);
	tunnel_set_state(t, TUNNEL_OVER, sentence);
	agent_stop(&t->agent);
}

/* A person waits: when no relay has let us in at the first try, that is the answer. */
static void tunnel_watch_fired(struct timer *timer, uint64_t now_ms)
{
	struct tunnel *t = container(timer, struct tunnel, watch);
	struct agent *a = &t->agent;
	char why[sizeof(t->why)];
	size_t failed = 0;

	if (a->worker.stopping)
		return;
	for (size_t i = 0; i < a->links.count; i++) {
		const struct agent_link *l = a->links.list[i];

		failed += l->failures > 0 && !link_state_usable(&l->state);
	}
	if (failed < a->links.count) {
		ring_timer_set(a->worker.ring, timer, WATCH_MS);
		return;
	}
	agent_links_describe(&a->links, why, sizeof(why));
	tunnel_set_state(t, TUNNEL_OVER, why);
	agent_stop(a);
}

static void tunnel_agent_stops(struct agent *a)
{
	struct tunnel *t = container(a, struct tunnel, agent);

	ring_timer_cancel(a->worker.ring, &t->watch);
	if (t->line)
		relay_line_stop(t->line);
}

static bool tunnel_begin(struct tunnel *t)
{
	static const struct relay_line_events events = {tunnel_line_up, tunnel_line_over};
	const struct request_style style = {.ended = tunnel_request_ended, .owner = t};
	int far = t->far;

	if (t->relay) {
		t->line = relay_line_start(&t->agent, t->relay, t->flags, far, &events, t);
		if (!t->line)
			return false;
		t->far = -1;
		return true;
	}
	t->far = -1;
	tunnel_set_state(t, TUNNEL_UP, "");
	t->watch.fire = tunnel_watch_fired;
	ring_timer_set(t->agent.worker.ring, &t->watch, WATCH_MS);
	request_start(&t->agent.sessions, far, t->agent_name, t->service, "", &style);
	agent_start(&t->agent);
	return true;
}

static void tunnel_stop_run(struct ring_msg *msg)
{
	struct tunnel *t = container(msg, struct tunnel, stop);

	agent_stop(&t->agent);
}

/* Whether the thread should go on; from now to set_running(false) it can be told to stop. */
static bool set_running(struct tunnel *t, bool running)
{
	bool go;

	pthread_mutex_lock(&t->lock);
	t->running = running;
	go = !t->stop_wanted;
	pthread_mutex_unlock(&t->lock);
	return go;
}

static void *tunnel_run(void *arg)
{
	struct tunnel *t = arg;
	char why[512];
	int error = 0;

	/* One connection: io_uring would only bring its own limits with it. */
	if (!agent_open(&t->agent, t->config, RING_EPOLL, true, why, sizeof(why))) {
		tunnel_set_state(t, TUNNEL_OVER, why);
	} else {
		t->agent.on_stop = tunnel_agent_stops;
		if (!tunnel_begin(t))
			tunnel_set_state(t, TUNNEL_OVER, "out of memory");
		else if (set_running(t, true))
			error = ring_run(t->agent.worker.ring);
		(void)set_running(t, false);
		tunnel_set_state(t, TUNNEL_OVER, error ? strerror(-error) : "");
		agent_close(&t->agent);
	}
	if (t->far >= 0)
		close(t->far);
	t->far = -1;
	return NULL;
}

/* ---- on the caller's ---- */

static void tunnel_free(struct tunnel *t)
{
	if (t->near >= 0)
		close(t->near);
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static struct tunnel *tunnel_new(const struct agent_config *config)
{
	struct tunnel *t = calloc(1, sizeof(*t));
	int pair[2];

	if (!t)
		return NULL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		free(t);
		return NULL;
	}
	t->config = config;
	t->near = pair[0];
	t->far = pair[1];
	t->stop.run = tunnel_stop_run;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->changed, NULL);
	return t;
}

/* Signals are for the thread that has the terminal. */
static struct tunnel *tunnel_start(struct tunnel *t)
{
	sigset_t all, before;
	int error;

	log_set_level(LOG_LEVEL_NONE);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	error = pthread_create(&t->thread, NULL, tunnel_run, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error == 0)
		return t;
	close(t->far);
	tunnel_free(t);
	errno = error;
	return NULL;
}

struct tunnel *tunnel_to_relay(const struct agent_config *config, size_t relay, uint8_t flags)
{
	const struct agent_relay *relays = config->relays.items;
	struct tunnel *t = tunnel_new(config);

	if (!t)
		return NULL;
	t->relay = &relays[relay];
	t->flags = flags;
	return tunnel_start(t);
}

struct tunnel *tunnel_to_agent(const struct agent_config *config, const char *agent,
			       const char *service)
{
	struct tunnel *t = tunnel_new(config);

	if (!t)
		return NULL;
	snprintf(t->agent_name, sizeof(t->agent_name), "%s", agent);
	snprintf(t->service, sizeof(t->service), "%s", service);
	return tunnel_start(t);
}

int tunnel_take_fd(struct tunnel *t)
{
	int fd = t->near;

	t->near = -1;
	return fd;
}

bool tunnel_wait(struct tunnel *t)
{
	bool up;

	/* Every step on the thread has a deadline of its own. */
	pthread_mutex_lock(&t->lock);
	while (t->state == TUNNEL_OPENING)
		pthread_cond_wait(&t->changed, &t->lock);
	up = t->state == TUNNEL_UP;
	pthread_mutex_unlock(&t->lock);
	return up;
}

/* Under the lock; gives up after wait_ms. */
static void wait_over(struct tunnel *t, long wait_ms)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += wait_ms * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (t->state != TUNNEL_OVER &&
	       pthread_cond_timedwait(&t->changed, &t->lock, &until) == 0)
		;
}

const char *tunnel_why(struct tunnel *t)
{
	/* The socket may have ended a moment before the sentence is there. */
	pthread_mutex_lock(&t->lock);
	wait_over(t, SENTENCE_MS);
	memcpy(t->shown, t->why, sizeof(t->shown));
	pthread_mutex_unlock(&t->lock);
	return t->shown;
}

void tunnel_close(struct tunnel *t)
{
	if (!t)
		return;
	if (t->near >= 0)
		close(t->near);
	t->near = -1;
	pthread_mutex_lock(&t->lock);
	wait_over(t, GOODBYE_MS); /* the end of our lines is passed on as an end, not as a reset */
	t->stop_wanted = true;
	if (t->running)
		ring_post(t->agent.worker.ring, &t->stop);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	tunnel_free(t);
}
