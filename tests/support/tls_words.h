/* SPDX-License-Identifier: Apache-2.0 */
/* tls_words: what a test says through TLS, and what it expects to hear. After <cmocka.h>. */
#ifndef POSTERN_TESTS_TLS_WORDS_H
#define POSTERN_TESTS_TLS_WORDS_H

#include <string.h>

#include "core/engine/tls.h"

static inline void write_text(struct tls *t, const char *text)
{
	assert_int_equal(tls_write(t, (const uint8_t *)text, strlen(text)), TLS_OK);
}

static inline void expect_text(struct tls *t, const char *text)
{
	uint8_t buf[256];
	size_t n = 0;

	assert_int_equal(tls_read(t, buf, sizeof(buf), &n), TLS_OK);
	assert_int_equal(n, strlen(text));
	assert_memory_equal(buf, text, n);
}

static inline void expect_status(struct tls *t, enum tls_status status)
{
	uint8_t buf[256];
	size_t n;

	assert_int_equal(tls_read(t, buf, sizeof(buf), &n), status);
}

#endif
