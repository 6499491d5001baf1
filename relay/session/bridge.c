/* SPDX-License-Identifier: Apache-2.0 */
/* bridge: from one TLS session into another. */
#include "relay/session/bridge.h"

#include "core/memory.h"

void bridge_free(struct bridge *b)
{
	if (!b)
		return;
	tls_free(b->tls[0]);
	tls_free(b->tls[1]);
	memory_free(b);
}

enum bridge_status bridge_give(struct bridge *b, unsigned side, const uint8_t *plain, size_t len)
{
	return tls_write(b->tls[!side], plain, len) == TLS_OK ? BRIDGE_ON : BRIDGE_NO_MEMORY;
}

static enum bridge_status bridge_pass(struct bridge *b, unsigned side, uint8_t *plain, size_t room,
				      uint64_t *passed)
{
	enum bridge_status status = BRIDGE_ON;
	size_t n;

	while (status == BRIDGE_ON) {
		switch (tls_read(b->tls[side], plain, room, &n)) {
		case TLS_OK:
			*passed += n;
			status = bridge_give(b, side, plain, n);
			break;
		case TLS_AGAIN:
			return BRIDGE_ON;
		case TLS_CLOSED:
			tls_close_write(b->tls[!side]);
			b->ended[side] = true;
			return BRIDGE_ENDED;
		case TLS_CUT:
			return BRIDGE_CUT;
		case TLS_FAILED:
			return BRIDGE_BROKEN;
		}
	}
	return status;
}

enum bridge_status bridge_take(struct bridge *b, unsigned side, const uint8_t *wire, size_t len,
			       uint8_t *plain, size_t room, uint64_t *passed)
{
	if (b->ended[side]) /* what follows an end means nothing */
		return BRIDGE_ENDED;
	if (len > 0 && !tls_feed(b->tls[side], wire, len))
		return BRIDGE_NO_MEMORY;
	return bridge_pass(b, side, plain, room, passed);
}

enum bridge_status bridge_take_end(struct bridge *b, unsigned side, uint8_t *plain, size_t room,
				   uint64_t *passed)
{
	if (b->ended[side])
		return BRIDGE_ENDED;
	tls_feed_eof(b->tls[side]);
	return bridge_pass(b, side, plain, room, passed);
}

const uint8_t *bridge_output(const struct bridge *b, unsigned side, size_t *len)
{
	return tls_output(b->tls[side], len);
}

void bridge_output_drop(struct bridge *b, unsigned side, size_t n)
{
	tls_output_drop(b->tls[side], n);
}
