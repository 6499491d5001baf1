/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owned_test: which CAs a console may bring in and take out.
 *
 * links: core/engine/owned.c core/engine/certificate.c core/conf/error.c core/addr.c core/log*.c
 * links: core/engine/csr.c ctl/pki/make.c core/memory.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "core/engine/owned.h"
#include "core/engine/csr.h"
#include "ctl/pki/make.h"

#define DAY_S 86400

struct ca {
	EVP_PKEY *key;
	X509 *x;
	char *pem;
};

static time_t now;

/* by NULL: signed by itself. */
static struct ca make(const char *name, const struct ca *by, long from, long to)
{
	struct ca c = {.key = csr_new_key()};

	c.x = by ? pki_make_next_ca(c.key, name, now + from, now + to, by->x, by->key)
		 : pki_make_ca(c.key, name, now + from, now + to);
	assert_non_null(c.x);
	c.pem = pki_certificate_pem(c.x);
	assert_non_null(c.pem);
	return c;
}

static void drop(struct ca *c)
{
	EVP_PKEY_free(c->key);
	X509_free(c->x);
	free(c->pem);
}

static enum owned_cas judge(const char *before, const char *after)
{
	return owned_judge_cas(before, after, now);
}

/* ---- tests ---- */

static void a_signed_one_may_come_and_one_may_go(void **state)
{
	struct ca first = make("Example", NULL, -DAY_S, DAY_S);
	struct ca next = make("Example", &first, -DAY_S, DAY_S);
	struct ca last = make("Example", &next, -DAY_S, DAY_S);
	char both[8192], three[8192];

	snprintf(both, sizeof(both), "%s%s", next.pem, first.pem);
	snprintf(three, sizeof(three), "%s%s", last.pem, first.pem);
	assert_int_equal(judge(first.pem, first.pem), OWNED_CAS_FOLLOW);
	assert_int_equal(judge(first.pem, both), OWNED_CAS_FOLLOW);
	assert_int_equal(judge(both, next.pem), OWNED_CAS_FOLLOW);
	assert_int_equal(judge(both, first.pem), OWNED_CAS_FOLLOW);
	/* At once is one step too far; so is what the new one has signed. */
	assert_int_equal(judge(first.pem, next.pem), OWNED_CAS_REPLACED);
	assert_int_equal(judge(first.pem, three), OWNED_CAS_STRANGER);
	/* Signing goes one way. */
	assert_int_equal(judge(next.pem, both), OWNED_CAS_STRANGER);
	drop(&first);
	drop(&next);
	drop(&last);
}

static void a_stranger_may_not(void **state)
{
	struct ca first = make("Example", NULL, -DAY_S, DAY_S);
	struct ca stranger = make("Example", NULL, -DAY_S, DAY_S); /* of the same name */
	struct ca pretender = make("Example", &stranger, -DAY_S, DAY_S);
	char text[8192];

	snprintf(text, sizeof(text), "%s%s", first.pem, stranger.pem);
	assert_int_equal(judge(first.pem, text), OWNED_CAS_STRANGER);
	snprintf(text, sizeof(text), "%s%s", first.pem, pretender.pem);
	assert_int_equal(judge(first.pem, text), OWNED_CAS_STRANGER);
	snprintf(text, sizeof(text), "%s%s%s", first.pem, stranger.pem, pretender.pem);
	assert_int_equal(judge(first.pem, text), OWNED_CAS_STRANGER);
	assert_int_equal(judge(first.pem, stranger.pem), OWNED_CAS_STRANGER);
	drop(&first);
	drop(&stranger);
	drop(&pretender);
}

/* The right issuer's name and key identifier, and another's signature. */
static void a_signature_is_looked_at(void **state)
{
	struct ca first = make("Example", NULL, -DAY_S, DAY_S);
	struct ca stranger = make("Example", NULL, -DAY_S, DAY_S);
	EVP_PKEY *key = csr_new_key();
	X509 *forged =
		pki_make_next_ca(key, "Example", now - DAY_S, now + DAY_S, first.x, stranger.key);
	char text[8192], *pem = pki_certificate_pem(forged);

	snprintf(text, sizeof(text), "%s%s", first.pem, pem);
	assert_int_equal(judge(first.pem, text), OWNED_CAS_STRANGER);
	free(pem);
	X509_free(forged);
	EVP_PKEY_free(key);
	drop(&first);
	drop(&stranger);
}

static void an_ended_one_signs_nothing(void **state)
{
	struct ca ended = make("Example", NULL, -2 * DAY_S, -DAY_S);
	struct ca next = make("Example", &ended, -2 * DAY_S, DAY_S);
	char both[8192];

	snprintf(both, sizeof(both), "%s%s", ended.pem, next.pem);
	assert_int_equal(judge(ended.pem, both), OWNED_CAS_STRANGER);
	/* What came in when it had not ended stays in at a later start. */
	assert_int_equal(owned_judge_cas(ended.pem, both, 0), OWNED_CAS_FOLLOW);
	assert_int_equal(owned_judge_cas(ended.pem, next.pem, 0), OWNED_CAS_REPLACED);
	drop(&ended);
	drop(&next);
}

static void what_is_no_certificate_is_a_stranger(void **state)
{
	struct ca first = make("Example", NULL, -DAY_S, DAY_S);

	assert_int_equal(judge(first.pem, ""), OWNED_CAS_STRANGER);
	assert_int_equal(judge(first.pem, NULL), OWNED_CAS_STRANGER);
	assert_int_equal(judge(NULL, first.pem), OWNED_CAS_STRANGER);
	assert_int_equal(judge("text", "text"), OWNED_CAS_STRANGER);
	drop(&first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signed_one_may_come_and_one_may_go),
		cmocka_unit_test(a_stranger_may_not),
		cmocka_unit_test(a_signature_is_looked_at),
		cmocka_unit_test(an_ended_one_signs_nothing),
		cmocka_unit_test(what_is_no_certificate_is_a_stranger),
	};

	now = time(NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
