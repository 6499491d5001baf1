/* SPDX-License-Identifier: Apache-2.0 */
/* frames: Postern frames out of a connection's TLS, for links and legs alike. */
#include "core/log.h"
#include "relay/front/conn.h"

static void frames_handle(struct conn *c,
			  void (*handle)(struct conn *c, const struct wire_message *m))
{
	enum conn_phase phase = c->phase;
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
		c->excess = c->in_len > used;
		handle(c, &m);
		conn_drop_kept(c, used);
	}
}

void frames_input(struct conn *c, const uint8_t *data, size_t len,
		  void (*handle)(struct conn *c, const struct wire_message *m))
{
	enum conn_phase phase = c->phase;

	if (!conn_feed(c, data, len))
		return;
	frames_handle(c, handle);
	while (c->phase == phase &&
	       conn_decrypt(c, WIRE_FRAME_MAX + PLAIN_BYTES, REASON_LIMIT_MEMORY))
		frames_handle(c, handle);
}
