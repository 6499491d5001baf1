/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_tls: a blocking TLS connection over the project's TLS engine, for setting sessions up.
 *
 * The socket is read record by record, never further: after the last message the caller takes the
 * bare socket over, and raw bytes that follow must still be in it.
 */
#include "bench/load_tls.h"

#include <stdlib.h>
#include <unistd.h>

#include "bench/load.h"

#define RECORD_HEADER_BYTES 5u
#define RECORD_BYTES_MAX    (RECORD_HEADER_BYTES + 16384u + 256u)

static void flush(struct load_tls *c)
{
	size_t len;
	const uint8_t *out = tls_output(c->tls, &len);

	if (len > 0)
		load_write(c->fd, out, len);
	tls_output_drop(c->tls, len);
}

static void feed_record(struct load_tls *c)
{
	uint8_t record[RECORD_BYTES_MAX];
	size_t len;

	load_read(c->fd, record, RECORD_HEADER_BYTES);
	len = (size_t)record[3] << 8 | record[4];
	if (len > RECORD_BYTES_MAX - RECORD_HEADER_BYTES)
		load_fail("a TLS record of %zu bytes", len);
	load_read(c->fd, record + RECORD_HEADER_BYTES, len);
	if (!tls_feed(c->tls, record, RECORD_HEADER_BYTES + len))
		load_fail("out of memory");
}

void load_tls_dial(struct load_tls *c, const struct addr *to, SSL_CTX *context)
{
	enum tls_status status;

	c->fd = load_dial(to);
	c->tls = tls_new(context, false);
	if (!c->tls)
		load_fail("out of memory");
	while ((status = tls_handshake(c->tls)) == TLS_AGAIN) {
		flush(c);
		feed_record(c);
	}
	if (status != TLS_OK)
		load_fail("TLS handshake: %s", tls_error(c->tls));
	flush(c);
}

void load_tls_write(struct load_tls *c, const uint8_t *in, size_t len)
{
	if (tls_write(c->tls, in, len) != TLS_OK)
		load_fail("TLS write: %s", tls_error(c->tls));
	flush(c);
}

size_t load_tls_read_some(struct load_tls *c, uint8_t *out, size_t room)
{
	enum tls_status status;
	size_t n;

	while ((status = tls_read(c->tls, out, room, &n)) == TLS_AGAIN)
		feed_record(c);
	if (status != TLS_OK)
		load_fail("TLS read: %s", status == TLS_FAILED ? tls_error(c->tls) : "closed");
	return n;
}

void load_tls_read(struct load_tls *c, uint8_t *out, size_t len)
{
	while (len > 0) {
		size_t n = load_tls_read_some(c, out, len);

		out += n;
		len -= n;
	}
}

int load_tls_take_socket(struct load_tls *c)
{
	tls_free(c->tls);
	c->tls = NULL;
	return c->fd;
}

void load_tls_close(struct load_tls *c)
{
	close(load_tls_take_socket(c));
}
