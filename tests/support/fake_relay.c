/* SPDX-License-Identifier: Apache-2.0 */
/* fake_relay: a TLS server on a thread of its own that answers as a test says. */
#include "tests/support/fake_relay.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <sys/time.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>

#include "ctl/talk/console_config.h"
#include "ctl/terminal/files.h"

#define PATIENCE_S 20

/* ---- one connection ---- */

static bool send_output(struct fake_connection *c)
{
	size_t len;
	const uint8_t *out;

	while ((out = tls_output(c->tls, &len)) && len > 0) {
		ssize_t n = send(c->fd, out, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		tls_output_drop(c->tls, (size_t)n);
	}
	return true;
}

/* More of the wire for the engine; false when there is no more. */
static bool feed(struct fake_connection *c)
{
	uint8_t bytes[16384];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);

	return n > 0 && tls_feed(c->tls, bytes, (size_t)n);
}

size_t fake_relay_read(struct fake_connection *c, uint8_t *out, size_t room)
{
	for (;;) {
		size_t n = 0;
		enum tls_status status = tls_read(c->tls, out, room, &n);

		if (status == TLS_OK)
			return n;
		c->relay->ended = status == TLS_CLOSED;
		if (status != TLS_AGAIN || !feed(c))
			return 0;
	}
}

void fake_relay_write(struct fake_connection *c, const void *bytes, size_t len)
{
	if (tls_write(c->tls, bytes, len) == TLS_OK)
		(void)send_output(c);
}

void fake_relay_say(struct fake_connection *c, const struct wire_message *m)
{
	uint8_t frame[WIRE_FRAME_MAX];
	size_t len = wire_encode(m, frame, sizeof(frame));

	fake_relay_write(c, frame, len);
}

bool fake_relay_hello(struct fake_connection *c, const uint8_t *first, size_t len)
{
	uint8_t frame[TAG_BYTES + WIRE_FRAME_MAX], exported[TLS_EXPORT_BYTES];
	struct fake_relay *r = c->relay;
	enum wire_status status;
	struct wire_message m;
	size_t used, n;

	uint8_t tag[TAG_BYTES];

	/* What is read at once is one record, or less of it when there is no room. */
	if (len > 0)
		memcpy(frame, first, len);
	else
		len = fake_relay_read(c, frame, sizeof(frame));
	certs_tag(c->tls, tag);
	if (len < TAG_BYTES || memcmp(frame, tag, TAG_BYTES) != 0)
		return false;
	len -= TAG_BYTES;
	memmove(frame, frame + TAG_BYTES, len);
	while ((status = wire_decode(frame, len, &m, &used)) == WIRE_SHORT) {
		n = fake_relay_read(c, frame + len, sizeof(frame) - len);
		if (n == 0)
			return false;
		len += n;
	}
	if (status != WIRE_OK || m.type != WIRE_HELLO ||
	    !tls_export(c->tls, TLS_EXPORT_HELLO, exported))
		return false;
	r->hellos++;
	r->flags = m.hello.flags;
	r->believed = identity_verify(r->identity, IDENTITY_HELLO, m.hello.certificate.data,
				      m.hello.certificate.len, m.hello.signature.data,
				      m.hello.signature.len, exported, time(NULL), &r->peer);
	return true;
}

void fake_relay_welcome(struct fake_connection *c)
{
	const struct wire_message m = {.type = WIRE_WELCOME,
				       .welcome = {.relay = wire_text("fake"),
						   .your_address = wire_text("192.0.2.7:1"),
						   .link = 1,
						   .ping_interval_s = 30,
						   .max_legs = 2,
						   .max_sessions = 4}};

	fake_relay_say(c, &m);
}

void fake_relay_bye(struct fake_connection *c, enum reason reason, const char *text)
{
	const struct wire_message m = {
		.type = WIRE_BYE, .bye = {.reason = (uint16_t)reason, .text = wire_text(text)}};

	fake_relay_say(c, &m);
}

void fake_relay_wait_end(struct fake_connection *c)
{
	uint8_t bytes[4096];

	while (fake_relay_read(c, bytes, sizeof(bytes)) > 0)
		;
}

static bool shake(struct fake_connection *c)
{
	enum tls_status status;

	while ((status = tls_handshake(c->tls)) == TLS_AGAIN)
		if (!send_output(c) || !feed(c))
			return false;
	return send_output(c) && status == TLS_OK;
}

/* ---- the relay ---- */

static void *fake_relay_run(void *arg)
{
	const struct timeval limit = {.tv_sec = PATIENCE_S};
	struct fake_relay *r = arg;
	int fd;

	while ((fd = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		struct fake_connection c = {r, fd, tls_new(r->context, true)};

		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
		r->connections++;
		if (shake(&c))
			r->serve(&c);
		tls_free(c.tls);
		close(fd);
	}
	return NULL;
}

void fake_relay_open(struct fake_relay *r, const struct certs_ca *ca, const char *host)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);

	r->identity =
		certs_identity(ca, ca, IDENTITY_RELAY, host, -FAKE_RELAY_DAY, 365 * FAKE_RELAY_DAY);
	r->context = identity_front_context(r->identity);
	assert_non_null(r->context);
	r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(r->listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(r->listener, 16), 0);
	assert_int_equal(getsockname(r->listener, (struct sockaddr *)&at, &len), 0);
	r->port = ntohs(at.sin_port);
	assert_int_equal(pthread_create(&r->thread, NULL, fake_relay_run, r), 0);
}

void fake_relay_close(struct fake_relay *r)
{
	shutdown(r->listener, SHUT_RDWR); /* ends accept4() */
	pthread_join(r->thread, NULL);
	close(r->listener);
	SSL_CTX_free(r->context);
	identity_free(r->identity);
}

/* ---- those who dial it ---- */

/* YAML takes JSON as it is. */
static char *config_text(const struct certs_ca *ca, enum identity_role role, const char *name,
			 uint16_t port, long life_s)
{
	struct certs_pair pair = certs_make_pair(ca, role, name, -FAKE_RELAY_DAY, life_s);
	char address[32], *text;
	json_t *config;

	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	config = json_pack("{s:s, s:[{s:s}], s:{s:s, s:s, s:s, s:s}, s:s}", "name", name, "relays",
			   "address", address, "identity", "ca", ca->pem, "certificate",
			   pair.certificate, "key", pair.key, "tag_keys", CERTS_TAG_KEYS, "dial",
			   "5s");
	text = json_dumps(config, 0);
	json_decref(config);
	certs_free_pair(&pair);
	return text;
}

struct agent_config fake_relay_config(const struct certs_ca *ca, enum identity_role role,
				      const char *name, uint16_t port)
{
	char *text = config_text(ca, role, name, port, FAKE_RELAY_DAY);
	struct conf_errors errors = {.file = "config"};
	struct conf_node *root = conf_parse(text, strlen(text), &errors);
	struct agent_config c = {0};

	if (!root || !console_config_bind(root, &c, &errors))
		fail_msg("%s", errors.text);
	conf_node_free(root);
	conf_errors_free(&errors);
	free(text);
	return c;
}

void fake_relay_write_config(const char *path, const struct certs_ca *ca, enum identity_role role,
			     const char *name, uint16_t port, long life_s)
{
	char *text = config_text(ca, role, name, port, life_s);

	assert_true(files_write(path, text, 0600, true));
	free(text);
}
