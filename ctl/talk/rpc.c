/* SPDX-License-Identifier: Apache-2.0 */
/* rpc: the calling side of JSON-RPC 2.0 over a stream socket, one object per line. */
#include "ctl/talk/rpc.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/memory.h"

#define READ_BYTES 65536u

void rpc_open(struct rpc *r, int fd)
{
	*r = (struct rpc){.fd = fd, .notes = json_array()};
}

void rpc_close(struct rpc *r)
{
	if (r->fd >= 0)
		close(r->fd);
	free(r->in);
	json_decref(r->notes);
	*r = (struct rpc){.fd = -1};
}

void rpc_failure_free(struct rpc_failure *f)
{
	json_decref(f->data);
	f->data = NULL;
}

static void rpc_lost(struct rpc_failure *f, const char *sentence)
{
	*f = (struct rpc_failure){.code = RPC_LOST};
	snprintf(f->message, sizeof(f->message), "%s", sentence);
}

/* ---- waiting ---- */

/* Until due_ms, -1: for ever. Returns 1 when fd is ready, 0 when time is up, or -errno. */
static int rpc_wait_for(int fd, short events, int64_t due_ms)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = events};
		int64_t left = due_ms < 0 ? -1 : due_ms - (int64_t)clock_ms(CLOCK_MONOTONIC);
		int n = poll(&p, 1, due_ms >= 0 && left < 0 ? 0 : (int)left);

		if (n >= 0)
			return n;
		if (errno != EINTR)
			return -errno;
	}
}

/* ---- lines out ---- */

static bool rpc_send_all(struct rpc *r, const char *bytes, size_t len, int64_t due_ms)
{
	while (len > 0) {
		ssize_t n = send(r->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			if (rpc_wait_for(r->fd, POLLOUT, due_ms) <= 0)
				return false;
			continue;
		}
		if (n < 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

static bool send_call(struct rpc *r, const char *method, json_t *params, int64_t due_ms)
{
	json_t *message = json_pack("{s:s, s:I, s:s}", "jsonrpc", "2.0", "id", ++r->last_id,
				    "method", method);
	char *line = NULL;
	size_t len;
	bool ok;

	if (params)
		json_object_set(message, "params", params);
	line = jsonrpc_line(message, &len);
	ok = line && rpc_send_all(r, line, len, due_ms);
	memory_free(line);
	json_decref(message);
	return ok;
}

/* ---- lines in ---- */

static bool rpc_make_room(struct rpc *r)
{
	size_t room = r->in_room ? r->in_room * 2 : READ_BYTES;
	char *in;

	if (r->in_len < r->in_room)
		return true;
	in = room <= RPC_LINE_MAX ? realloc(r->in, room) : NULL;
	if (!in)
		return false;
	r->in = in;
	r->in_room = room;
	return true;
}

/* A whole message of what has come; NULL: there is none yet. */
static json_t *take_message(struct rpc *r)
{
	json_t *message = NULL;
	char *end;

	while (!message && r->in_len > r->scanned &&
	       (end = memchr(r->in + r->scanned, '\n', r->in_len - r->scanned))) {
		size_t len = (size_t)(end - r->in);

		message = json_loadb(r->in, len, JSON_REJECT_DUPLICATES, NULL);
		memmove(r->in, end + 1, r->in_len - len - 1);
		r->in_len -= len + 1;
		r->scanned = 0;
	}
	if (!message)
		r->scanned = r->in_len;
	return message;
}

/* RPC_NOTE stands for any message here. */
static enum rpc_wait next_message(struct rpc *r, int64_t due_ms, json_t **message)
{
	while (!(*message = take_message(r))) {
		ssize_t n;
		int ready = rpc_wait_for(r->fd, POLLIN, due_ms);

		if (ready == 0)
			return RPC_QUIET;
		if (ready < 0 || !rpc_make_room(r))
			return RPC_ENDED;
		n = recv(r->fd, r->in + r->in_len, r->in_room - r->in_len, MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return RPC_ENDED;
		r->in_len += (size_t)n;
	}
	return RPC_NOTE;
}

/* The params of a notification, new; NULL when message is none. */
static json_t *note_of(const json_t *message)
{
	json_t *params = json_object_get(message, "params");

	if (!json_is_string(json_object_get(message, "method")) || !json_is_object(params))
		return NULL;
	return json_incref(params);
}

static void read_failure(const json_t *error, struct rpc_failure *f)
{
	const char *text = json_string_value(json_object_get(error, "message"));

	*f = (struct rpc_failure){
		.code = (int)json_integer_value(json_object_get(error, "code")),
		.data = json_incref(json_object_get(error, "data")),
	};
	if (f->code == RPC_LOST)
		f->code = JSONRPC_INTERNAL_ERROR;
	log_escape(text ? text : "the other side refused without a reason", f->message,
		   sizeof(f->message));
}

/* Whether message is the answer to the last call: *result or *f then. An error without an id is
 * said to all that we do. */
static bool is_answer(const struct rpc *r, const json_t *message, json_t **result,
		      struct rpc_failure *f)
{
	const json_t *id = json_object_get(message, "id");
	json_t *error = json_object_get(message, "error");

	if (json_is_integer(id) ? json_integer_value(id) != r->last_id
				: !json_is_null(id) || !error)
		return false;
	*result = NULL;
	if (error)
		read_failure(error, f);
	else
		*result = json_incref(json_object_get(message, "result"));
	if (!error && !*result)
		rpc_lost(f, "the answer has neither result nor error; update the older side");
	return true;
}

json_t *rpc_call(struct rpc *r, const char *method, json_t *params, struct rpc_failure *f)
{
	int64_t due_ms = (int64_t)clock_ms(CLOCK_MONOTONIC) + RPC_ANSWER_MS;
	json_t *message, *note, *result = NULL;
	bool sent = send_call(r, method, params, due_ms);
	enum rpc_wait state;

	json_decref(params);
	/* Also when it could not be sent: the other side may have said why. */
	while ((state = next_message(r, due_ms, &message)) == RPC_NOTE) {
		bool mine = is_answer(r, message, &result, f);

		note = mine ? NULL : note_of(message);
		if (note)
			json_array_append_new(r->notes, note);
		json_decref(message);
		if (mine)
			return result;
	}
	rpc_lost(f, state == RPC_QUIET ? "no answer within 30 s; check that the other side is alive"
		    : sent	       ? "the connection ended before the answer came"
				       : "the connection is gone");
	return NULL;
}

enum rpc_wait rpc_next(struct rpc *r, int wait_ms, json_t **note)
{
	int64_t due_ms = wait_ms < 0 ? -1 : (int64_t)clock_ms(CLOCK_MONOTONIC) + wait_ms;
	enum rpc_wait state;
	json_t *message;

	if (json_array_size(r->notes) > 0) {
		*note = json_incref(json_array_get(r->notes, 0));
		json_array_remove(r->notes, 0);
		return RPC_NOTE;
	}
	while ((state = next_message(r, due_ms, &message)) == RPC_NOTE) {
		*note = note_of(message);
		json_decref(message);
		if (*note)
			return RPC_NOTE;
	}
	return state;
}
