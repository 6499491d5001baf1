/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socks5: local clients that speak SOCKS5, for names of the form SERVICE.AGENT.postern.
 *
 * A client is read byte-exactly, as far as each message says it goes: what it sends behind its
 * request without waiting stays in the socket, for the session.
 */
#include "agent/entrance/socks5.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/session/request.h"
#include "core/container.h"
#include "core/log.h"
#include "core/parse/socks5.h"

#define GREETING_MIN 2u	  /* version, count of methods */
#define REQUEST_MIN  5u	  /* up to the first byte of the address */
#define INPUT_MAX    264u /* above both messages' largest */

enum client_stage { CLIENT_GREETING, CLIENT_GREETED, CLIENT_REQUEST, CLIENT_LEAVING };

struct socks_client {
	struct socks *socks;
	struct socks_client *next, *prev;
	enum client_stage stage;
	struct ring_op recv, send;
	struct timer deadline;
	int fd; /* -1: handed on */
	uint8_t in[INPUT_MAX];
	size_t in_len;
	uint8_t out[SOCKS5_REPLY_BYTES];
	char source[ADDR_TEXT_BYTES];
	bool refused; /* closes when out has left */
};

struct socks {
	struct agent_sessions *sessions;
	struct agent_worker *worker;  /* theirs */
	struct socks_client *clients; /* still negotiating */
	size_t count;
};

/* ---- outcomes ---- */

static enum socks5_reply reply_for(enum reason reason)
{
	switch (reason) {
	case REASON_OK:
		return SOCKS5_SUCCEEDED;
	case REASON_NOT_ALLOWED:
	case REASON_REVOKED:
		return SOCKS5_NOT_ALLOWED;
	case REASON_LINK_GONE:
	case REASON_LINK_ELSEWHERE:
	case REASON_DRAINING:
		return SOCKS5_NETWORK_UNREACHABLE;
	case REASON_AGENT_OFFLINE:
	case REASON_SERVICE_UNKNOWN:
	case REASON_PEER_GONE:
	case REASON_TARGET_NAME:
		return SOCKS5_HOST_UNREACHABLE;
	case REASON_TARGET_UNREACHABLE:
		return SOCKS5_REFUSED;
	case REASON_TIMEOUT:
		return SOCKS5_TTL_EXPIRED;
	default:
		return SOCKS5_GENERAL_FAILURE;
	}
}

static size_t socks_answer(enum reason reason, uint8_t out[REQUEST_ANSWER_MAX])
{
	socks5_reply(reply_for(reason), out);
	return SOCKS5_REPLY_BYTES;
}

/* A client that is turned away, before it has asked for a service: counted, logged, told. what:
 * "" or what it did. */
static void socks_refused(struct agent_sessions *all, const char *source, enum ending_side who,
			  enum reason reason, const char *what)
{
	char text[WIRE_TEXT_MAX + 1];

	snprintf(text, sizeof(text), "SOCKS5 client %s: %s", source,
		 what[0] ? what : reason_sentence(reason));
	agent_sessions_refused(all, &(struct agent_refusal){.role = "asking",
							    .peer = "",
							    .service = "",
							    .ending = {who, ENDING_OPENING,
								       ending_of_reason(reason)},
							    .reason = reason,
							    .text = text});
}

/* ---- one client ---- */

static void client_free(struct socks_client *c)
{
	struct socks *s = c->socks;

	if (c->prev)
		c->prev->next = c->next;
	else
		s->clients = c->next;
	if (c->next)
		c->next->prev = c->prev;
	s->count--;
	ring_timer_cancel(s->worker->ring, &c->deadline);
	if (c->fd >= 0)
		ring_close_fd(s->worker->ring, c->fd);
	free(c);
	agent_worker_drop(s->worker);
}

/* The client is freed when nothing is in flight. */
static void client_leave(struct socks_client *c)
{
	c->stage = CLIENT_LEAVING;
	ring_cancel(c->socks->worker->ring, &c->recv);
	ring_cancel(c->socks->worker->ring, &c->send);
	if (!ring_op_busy(&c->recv) && !ring_op_busy(&c->send))
		client_free(c);
}

/* Without an answer. */
static void client_cut(struct socks_client *c, enum reason reason, const char *what)
{
	socks_refused(c->socks->sessions, c->source, ENDING_LOCAL, reason, what);
	client_leave(c);
}

static void socks_deadline_fired(struct timer *t, uint64_t now_ms)
{
	client_cut(container(t, struct socks_client, deadline), REASON_TIMEOUT,
		   "it did not say in time what it wants");
}

static void client_say(struct socks_client *c, size_t len, bool refused)
{
	c->refused = refused;
	ring_send(c->socks->worker->ring, &c->send, c->fd, c->out, len);
}

static void socks_refuse(struct socks_client *c, enum socks5_reply code, enum ending_side who,
			 enum reason reason, const char *what)
{
	socks_refused(c->socks->sessions, c->source, who, reason, what);
	socks5_reply(code, c->out);
	client_say(c, SOCKS5_REPLY_BYTES, true);
}

static void socks_hand_on(struct socks_client *c, const char *agent, const char *service)
{
	static const struct request_style style = {.answer = socks_answer};
	struct agent_sessions *sessions = c->socks->sessions;
	char source[ADDR_TEXT_BYTES];
	int fd = c->fd;

	memcpy(source, c->source, sizeof(source));
	c->fd = -1;
	client_free(c);
	request_start(sessions, fd, agent, service, source, &style);
}

static void socks_requested(struct socks_client *c)
{
	struct socks5_request q;
	char agent[64], service[64], what[sizeof(q.host) + 32];
	size_t used;

	if (socks5_request_parse(c->in, c->in_len, &q, &used) != SOCKS5_OK) {
		client_cut(c, REASON_PROTOCOL, "its request is malformed");
	} else if (q.command != 1) {
		socks_refuse(c, SOCKS5_COMMAND_UNSUPPORTED, ENDING_LOCAL, REASON_PROTOCOL,
			     "it asks for something else than CONNECT");
	} else if (!socks5_split_name(q.host, agent, service)) {
		snprintf(what, sizeof(what), "%s is not SERVICE.AGENT.postern", q.host);
		socks_refuse(c, SOCKS5_NOT_ALLOWED, ENDING_SELF, REASON_NOT_ALLOWED, what);
	} else {
		socks_hand_on(c, agent, service);
	}
}

static void socks_greeted(struct socks_client *c)
{
	bool offers_none;
	size_t used;

	if (socks5_greeting_parse(c->in, c->in_len, &offers_none, &used) != SOCKS5_OK) {
		client_cut(c, REASON_PROTOCOL, "its greeting is malformed");
		return;
	}
	if (!offers_none)
		socks_refused(c->socks->sessions, c->source, ENDING_LOCAL, REASON_PROTOCOL,
			      "it does not offer to go without authentication");
	c->in_len = 0;
	c->stage = CLIENT_GREETED;
	socks5_greeting_reply(offers_none, c->out);
	client_say(c, SOCKS5_GREETING_REPLY_BYTES, !offers_none);
}

/* The whole size of the message at the start of in; 0: it is no such message. */
static size_t message_size(const struct socks_client *c)
{
	if (c->stage == CLIENT_GREETING)
		return c->in_len < GREETING_MIN ? GREETING_MIN : GREETING_MIN + c->in[1];
	if (c->in_len < REQUEST_MIN)
		return REQUEST_MIN;
	switch (c->in[3]) {
	case 1:
		return 10;
	case 3:
		return 7 + (size_t)c->in[4];
	case 4:
		return 22;
	default:
		return 0;
	}
}

static void socks_next(struct socks_client *c)
{
	size_t size = message_size(c);

	if (size == 0)
		socks_refuse(c, SOCKS5_ADDRESS_UNSUPPORTED, ENDING_LOCAL, REASON_PROTOCOL,
			     "its address is of no type of SOCKS5");
	else if (c->in_len < size)
		ring_recv(c->socks->worker->ring, &c->recv, c->fd, c->in + c->in_len,
			  size - c->in_len);
	else if (c->stage == CLIENT_GREETING)
		socks_greeted(c);
	else
		socks_requested(c);
}

static void socks_received(struct ring_op *op, int res)
{
	struct socks_client *c = container(op, struct socks_client, recv);

	if (c->stage == CLIENT_LEAVING || res <= 0) {
		client_leave(c);
		return;
	}
	c->in_len += (size_t)res;
	socks_next(c);
}

static void socks_sent(struct ring_op *op, int res)
{
	struct socks_client *c = container(op, struct socks_client, send);

	if (c->stage == CLIENT_LEAVING || res < 0 || c->refused) {
		client_leave(c);
		return;
	}
	c->stage = CLIENT_REQUEST;
	socks_next(c);
}

void socks_accept(struct socks *s, int fd, const char *source)
{
	bool full = s->count >= s->sessions->setup->config->max_sessions;
	struct socks_client *c = full ? NULL : calloc(1, sizeof(*c));

	if (!c) {
		socks_refused(s->sessions, source, ENDING_SELF,
			      full ? REASON_LIMIT_SESSIONS : REASON_LIMIT_MEMORY,
			      full ? "" : "out of memory");
		ring_reset_fd(s->worker->ring, fd);
		return;
	}
	c->socks = s;
	c->fd = fd;
	c->recv.done = socks_received;
	c->send.done = socks_sent;
	c->deadline.fire = socks_deadline_fired;
	snprintf(c->source, sizeof(c->source), "%s", source);
	c->next = s->clients;
	if (c->next)
		c->next->prev = c;
	s->clients = c;
	s->count++;
	agent_worker_hold(s->worker);
	ring_timer_set(s->worker->ring, &c->deadline, SOCKS_NEGOTIATE_MS);
	socks_next(c);
}

/* ---- all of them ---- */

struct socks *socks_new(struct agent_sessions *sessions)
{
	struct socks *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->sessions = sessions;
	s->worker = sessions->worker;
	return s;
}

void socks_close(struct socks *s)
{
	struct socks_client *after;

	for (struct socks_client *c = s->clients; c; c = after) {
		after = c->next;
		client_leave(c);
	}
}

void socks_free(struct socks *s)
{
	free(s);
}
