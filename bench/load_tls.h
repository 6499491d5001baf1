/* SPDX-License-Identifier: Apache-2.0 */
/* load_tls: a blocking TLS client connection. Like all of load, these calls fail by exiting. */
#ifndef POSTERN_BENCH_LOAD_TLS_H
#define POSTERN_BENCH_LOAD_TLS_H

#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/engine/tls.h"

struct load_tls {
	int fd;
	struct tls *tls;
};

/* Connects and completes the handshake. */
void load_tls_dial(struct load_tls *c, const struct addr *to, SSL_CTX *context);
void load_tls_write(struct load_tls *c, const uint8_t *in, size_t len);
/* At least one byte, at most room. */
size_t load_tls_read_some(struct load_tls *c, uint8_t *out, size_t room);
/* Exactly len bytes. */
void load_tls_read(struct load_tls *c, uint8_t *out, size_t len);
/* Ends the TLS session without a word and returns its socket: what follows on it is raw. */
int load_tls_take_socket(struct load_tls *c);
void load_tls_close(struct load_tls *c);

#endif
