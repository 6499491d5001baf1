/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_relay: a TLS server on a thread and a loopback port of its own, which a console or an agent
 * takes for a relay: with any certificate and any answer. A test's function serves each connection.
 */
#ifndef POSTERN_TESTS_FAKE_RELAY_H
#define POSTERN_TESTS_FAKE_RELAY_H

#include <pthread.h>
#include <stdatomic.h>

#include "agent/config/config.h"
#include "core/parse/wire.h"
#include "tests/support/certs.h"

#define FAKE_RELAY_DAY 86400L

struct fake_relay;

struct fake_connection {
	struct fake_relay *relay;
	int fd;
	struct tls *tls;
};

struct fake_relay {
	/* The test's, on the relay's thread: what happens behind the TLS handshake. */
	void (*serve)(struct fake_connection *c);
	const char *text; /* for serve */
	size_t size;	  /* for serve */

	uint16_t port;
	int listener;
	pthread_t thread;
	struct identity *identity;
	SSL_CTX *context;
	/* What it has seen, good after fake_relay_close(). */
	atomic_uint connections; /* and at any time */
	unsigned hellos;
	uint8_t flags;
	enum reason believed; /* what the relay's own check says of HELLO */
	struct identity_peer peer;
	size_t received; /* counted by serve */
	bool whole;	 /* serve's verdict of what it received */
	bool ended;	 /* the other side has closed its TLS session in order */
};

/* Listens on 127.0.0.1, with a certificate of ca for host. */
void fake_relay_open(struct fake_relay *r, const struct certs_ca *ca, const char *host);
/* No connection is left. */
void fake_relay_close(struct fake_relay *r);

/* The configuration of an agent or a console of ca whose one relay is at 127.0.0.1:port. */
struct agent_config fake_relay_config(const struct certs_ca *ca, enum identity_role role,
				      const char *name, uint16_t port);
/* The same as a file. */
void fake_relay_write_config(const char *path, const struct certs_ca *ca, enum identity_role role,
			     const char *name, uint16_t port, long life_s);

/* For serve. Bytes of the TLS session: 0 at its end, in order or not. */
size_t fake_relay_read(struct fake_connection *c, uint8_t *out, size_t room);
void fake_relay_write(struct fake_connection *c, const void *bytes, size_t len);
void fake_relay_say(struct fake_connection *c, const struct wire_message *m);
/* Reads the first frame, whose beginning is in first already; false when it is no HELLO. */
bool fake_relay_hello(struct fake_connection *c, const uint8_t *first, size_t len);
void fake_relay_welcome(struct fake_connection *c);
void fake_relay_bye(struct fake_connection *c, enum reason reason, const char *text);
/* Reads until the other side ends. */
void fake_relay_wait_end(struct fake_connection *c);

#endif
