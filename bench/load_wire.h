/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_wire: a connection to postern-relayd that speaks frames, and signing in over one. The
 * relay's certificate is not verified: that is the work of agents, on other machines. These calls
 * fail by exiting, like all of load.
 */
#ifndef POSTERN_BENCH_LOAD_WIRE_H
#define POSTERN_BENCH_LOAD_WIRE_H

#include "bench/load_tls.h"
#include "core/engine/identity.h"
#include "core/engine/tag.h"
#include "core/parse/wire.h"

/* Decoded messages point into in. */
struct speaker {
	struct load_tls tls;
	uint8_t in[WIRE_FRAME_MAX];
	size_t len, used; /* used: by the message read last */
};

/* What a bundle of `postern pki issue` makes of its holder. */
struct load_self {
	struct identity *identity;
	SSL_CTX *context;
	struct identity_peer peer;
	struct conf_tag_keys tag_keys;
};

void load_self_open(struct load_self *self, const char *bundle);

/* The first message of a connection, behind its tag. */
void load_send_first(struct load_tls *c, const struct load_self *self,
		     const struct wire_message *m);
void load_send_message(struct load_tls *c, const struct wire_message *m);
/* The next that is not news for agents alone: what is revoked, or the network's keys. */
void load_read_message(struct speaker *s, struct wire_message *m);
/* The next message must be of this type. */
void load_expect(struct speaker *s, enum wire_type type, struct wire_message *m);
_Noreturn void load_fail_unexpected(const struct wire_message *m);

/* Dials, says HELLO with these flags, and reads WELCOME into *welcome. */
void load_sign_in(struct speaker *s, const struct load_self *self, const struct addr *relay,
		  uint8_t flags, struct wire_message *welcome);

#endif
