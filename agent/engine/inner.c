/* SPDX-License-Identifier: Apache-2.0 */
/* inner: what travels on a leg after GO, as an engine without sockets. */
#include "agent/engine/inner.h"

#include <string.h>

#include "core/engine/identity.h"

bool inner_init(struct inner *i, SSL_CTX *context, bool server,
		const uint8_t secret[ENVELOPE_SECRET_BYTES], time_t now)
{
	const enum envelope_side ours = server ? ENVELOPE_PUBLISHING : ENVELOPE_ASKING;
	const enum envelope_side theirs = server ? ENVELOPE_ASKING : ENVELOPE_PUBLISHING;
	struct inner fresh = {.limits = {INNER_REKEY_BYTES, INNER_REKEY_MS}};

	if (!envelope_init(&fresh.seal, secret, ours) ||
	    !envelope_init(&fresh.open, secret, theirs))
		return false;
	if (context) {
		fresh.tls = tls_new(context, server);
		if (!fresh.tls || !identity_inner_at(tls_ssl(fresh.tls), now)) {
			tls_free(fresh.tls);
			return false;
		}
	}
	*i = fresh;
	return true;
}

void inner_init_outer(struct inner *i, struct tls *outer)
{
	*i = (struct inner){
		.tls = outer,
		.seal.raw = true,
		.open.raw = true,
		.limits = {INNER_REKEY_BYTES, INNER_REKEY_MS},
	};
}

void inner_free(struct inner *i)
{
	tls_free(i->tls);
	i->tls = NULL;
}

static bool key_is_used_up(const struct inner *i, size_t len, uint64_t now_ms)
{
	return i->written > 0 &&
	       (i->written + len > i->limits.bytes || now_ms - i->key_since_ms >= i->limits.ms);
}

enum tls_status inner_write(struct inner *i, const uint8_t *bytes, size_t len, uint64_t now_ms)
{
	if (key_is_used_up(i, len, now_ms)) {
		if (!tls_update_keys(i->tls))
			return TLS_FAILED;
		i->written = 0;
		i->rekeyed++;
	}
	if (i->written == 0)
		i->key_since_ms = now_ms;
	i->written += len;
	return tls_write(i->tls, bytes, len);
}

bool inner_feed(struct inner *i, uint8_t *bytes, size_t len)
{
	size_t n = len;

	if (!i->open.raw && envelope_open(&i->open, bytes, len, bytes, &n) != ENVELOPE_OK) {
		i->malformed = true;
		return false;
	}
	return tls_feed(i->tls, bytes, n);
}

bool inner_has_output(const struct inner *i)
{
	size_t len;

	tls_output(i->tls, &len);
	return len > 0;
}

/* The most inner bytes whose sealed form surely fits in room. */
static size_t seal_at_most(size_t room)
{
	size_t added = ENVELOPE_SEAL_ROOM(room) - room;

	return room > added ? room - added : 0;
}

size_t inner_take(struct inner *i, uint8_t *out, size_t room)
{
	size_t len, n;
	const uint8_t *bytes = tls_output(i->tls, &len);

	if (i->seal.raw) {
		n = len < room ? len : room;
		if (n > 0)
			memcpy(out, bytes, n);
		tls_output_drop(i->tls, n);
		return n;
	}
	if (len > seal_at_most(room))
		len = seal_at_most(room);
	if (len == 0)
		return 0;
	if (envelope_seal(&i->seal, bytes, len, out, room, &n) != ENVELOPE_OK) {
		i->malformed = true;
		return 0;
	}
	tls_output_drop(i->tls, len);
	return n;
}

const char *inner_error(const struct inner *i)
{
	if (i->malformed)
		return i->tls ? "the envelope of the session is malformed; update the older side"
			      : "the target or its client does not speak TLS";
	return tls_error(i->tls);
}
