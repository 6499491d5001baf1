/* SPDX-License-Identifier: Apache-2.0 */
/* cross: a direction whose bytes go on from one TLS session into another (bridge.h). */
#include "relay/session/flow_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "core/memory.h"

/* What it became for the receiver leaves; then the direction goes on, or has ended.
 *
 * #syscalls sendto(4 is 0, 3 without MSG_FASTOPEN)
 */
static void flow_cross_out(struct flow *f)
{
	struct bridge *b = flow_session(f)->bridge;
	size_t len;
	const uint8_t *out = bridge_output(b, !f->side, &len);
	ssize_t sent = len > 0 ? send(flow_to(f), out, len, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		flow_receiver_failed(f, errno);
		return;
	}
	bridge_output_drop(b, !f->side, sent > 0 ? (size_t)sent : 0);
	out = bridge_output(b, !f->side, &len);
	if (len == 0 && flow_cross_over(f)) {
		flow_eof(f);
	} else if (len == 0) {
		flow_next(f);
	} else {
		/* A copy: the receiver's own direction may put an alert behind the output. */
		uint8_t *copy = flow_get(f, len);

		if (!copy) {
			flow_failed(f, ENOMEM);
			return;
		}
		memcpy(copy, out, len);
		bridge_output_drop(b, !f->side, len);
		flow_own(f, copy, len);
		flow_send(f, copy, len);
	}
}

/* To a client of the web site the relay is a web server: the alert leaves if it can, and then the
 * connection ends in order. The other side is reset. */
static void flow_cross_failed(struct flow *f, enum ending_cause cause, const char *why)
{
	struct session *s = flow_session(f);
	const uint8_t *alert;
	ssize_t sent = 1;
	size_t len;

	s->spares_asker = f->side == 0 && s->flow[1].state != FLOW_SEND;
	while (s->spares_asker && sent > 0 && (alert = bridge_output(s->bridge, 0, &len))) {
		sent = send(flow_from(f), alert, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		bridge_output_drop(s->bridge, 0, sent > 0 ? (size_t)sent : 0);
	}
	session_abort(s, flow_side(f->side), cause, why);
}

static void flow_crossed(struct flow *f, enum bridge_status status, uint64_t passed)
{
	const struct bridge *b = flow_session(f)->bridge;

	flow_count(f, passed);
	switch (status) {
	case BRIDGE_ON:
	case BRIDGE_ENDED:
		flow_cross_out(f);
		break;
	case BRIDGE_CUT:
		flow_cross_failed(f, ENDING_CUT, "it ended without close_notify");
		break;
	case BRIDGE_BROKEN:
		flow_cross_failed(f, ENDING_BYTES, tls_error(b->tls[f->side]));
		break;
	case BRIDGE_NO_MEMORY:
		flow_failed(f, ENOMEM);
		break;
	}
}

void flow_cross(struct flow *f, const uint8_t *wire, size_t len)
{
	struct worker *w = flow_worker(f);
	uint64_t passed = 0;
	enum bridge_status status = bridge_take(flow_session(f)->bridge, f->side, wire, len,
						w->plain, PLAIN_BYTES, &passed);

	flow_crossed(f, status, passed);
}

void flow_cross_end(struct flow *f)
{
	struct worker *w = flow_worker(f);
	uint64_t passed = 0;
	enum bridge_status status =
		bridge_take_end(flow_session(f)->bridge, f->side, w->plain, PLAIN_BYTES, &passed);

	flow_crossed(f, status, passed);
}

bool flow_cross_over(struct flow *f)
{
	const struct bridge *b = flow_session(f)->bridge;

	return b && b->ended[f->side];
}

void flow_cross_start(struct flow *f, uint8_t *head, size_t len)
{
	enum bridge_status status = BRIDGE_ON;

	if (head)
		status = bridge_give(flow_session(f)->bridge, f->side, head, len);
	memory_free(head);
	flow_count(f, len);
	share_charge(flow_session(f)->share, len);
	if (status == BRIDGE_ON)
		flow_cross(f, NULL, 0);
	else
		flow_failed(f, ENOMEM);
}
