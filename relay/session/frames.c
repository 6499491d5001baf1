/* SPDX-License-Identifier: Apache-2.0 */
/* frames: Postern frames out of a connection's TLS; the first one decides what it is. */
#include "relay/session/frames.h"

#include "core/engine/tag.h"
#include "core/log.h"

static void frames_handle(struct conn *c, frame_fn *handle)
{
	const struct conn_phase *phase = c->phase;
	struct wire_message m;
	size_t used;

	while (c->phase == phase && c->in_len > 0) {
		enum wire_status status = wire_decode(c->in, c->in_len, &m, &used);

		if (status == WIRE_SHORT)
			return;
		if (status == WIRE_UNKNOWN_EXTENSION && m.type != WIRE_OPEN) {
			conn_refuse_extension(c, &m);
			return;
		}
		if (status != WIRE_OK && status != WIRE_UNKNOWN_EXTENSION) {
			conn_refuse(c,
				    status == WIRE_BAD_VERSION ? REASON_VERSION : REASON_PROTOCOL);
			return;
		}
		handle(c, &m, c->in_len > used);
		conn_drop_kept(c, used);
	}
}

void frames_input(struct conn *c, const uint8_t *data, size_t len, frame_fn *handle)
{
	const struct conn_phase *phase = c->phase;

	if (!conn_feed(c, data, len))
		return;
	frames_handle(c, handle);
	while (c->phase == phase &&
	       conn_decrypt(c, WIRE_FRAME_MAX + PLAIN_BYTES, REASON_LIMIT_MEMORY))
		frames_handle(c, handle);
}

/* ---- the first frame ---- */

static void frame_first(struct conn *c, const struct wire_message *m, bool more)
{
	if (m->type == WIRE_HELLO)
		link_begin(c, m);
	else if (m->type == WIRE_LEG)
		leg_begin(c, m);
	else
		conn_refuse(c, REASON_PROTOCOL);
}

static void frame_input(struct conn *c, const uint8_t *data, size_t len)
{
	const struct conn_phase *phase = c->phase;

	frames_input(c, data, len, frame_first);
	/* Frames that came along with the first belong to what the connection is now. */
	if (c->phase != phase && !conn_ending(c) && c->phase->input)
		c->phase->input(c, NULL, 0);
}

/* It had a tag: it is told. */
static void frame_late(struct conn *c, uint64_t now_ms)
{
	worker_count(c->worker, REASON_DEADLINE_FIRST);
	conn_bye(c, REASON_TIMEOUT);
}

static void frame_drained(struct conn *c)
{
	conn_refuse(c, REASON_DRAINING);
}

static const struct conn_phase phase_frame = {
	.name = "frame",
	.input = frame_input,
	.deadline = frame_late,
	.drain = frame_drained,
};

/* A record that does not begin with a tag is a stranger's, and answered as a web server would,
 * whatever else is in it. */
static bool frames_begin(struct conn *c, const uint8_t *data, size_t len)
{
	size_t key = tag_find(c->tls, &c->worker->snap->tag_keys, data, len);

	if (key == 0)
		return false;
	conn_tagged(c, key);
	data += TAG_BYTES;
	len -= TAG_BYTES;
	conn_set_phase(c, &phase_frame);
	if (len == 0 || conn_keep(c, data, len, WIRE_FRAME_MAX + PLAIN_BYTES))
		frame_input(c, NULL, 0);
	else
		conn_refuse(c, REASON_LIMIT_MEMORY);
	return true;
}

const struct front_protocol protocol_frames = {.name = "frames", .inside = frames_begin};
