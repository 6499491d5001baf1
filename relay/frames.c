/* SPDX-License-Identifier: Apache-2.0 */
/* frames: Postern frames out of a connection's TLS, for links and legs alike. */
#include "core/log.h"
#include "relay/conn.h"

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
		if (status != WIRE_OK) {
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
	struct worker *w = c->worker;
	enum conn_phase phase = c->phase;

	if (len > 0 && !tls_feed(c->tls, data, len)) {
		conn_close(c, REASON_LIMIT_MEMORY);
		return;
	}
	frames_handle(c, handle);
	while (c->phase == phase) {
		size_t n;
		enum tls_status status = tls_read(c->tls, w->plain, PLAIN_BYTES, &n);

		if (status == TLS_AGAIN)
			return;
		if (status != TLS_OK) {
			conn_finish(c);
			return;
		}
		if (!conn_keep(c, w->plain, n, WIRE_FRAME_MAX + PLAIN_BYTES)) {
			conn_refuse(c, REASON_LIMIT_MEMORY);
			return;
		}
		frames_handle(c, handle);
	}
}
