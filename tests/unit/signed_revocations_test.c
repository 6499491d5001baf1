/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signed_revocations_test: who may sign a revocation, which of several counts, and what is kept.
 *
 * links: core/engine/signed_revocations.c core/engine/signed_told.c core/engine/identity_revocation.c
 * links: core/parse/revocation.c core/engine/revocations.c core/engine/entitled.c
 * links: core/engine/tag.c core/engine/tls.c core/engine/identity.c core/engine/identity_verify.c
 * links: core/engine/identity_relay.c core/engine/certificate.c core/engine/csr.c
 * links: core/parse/wire.c core/parse/reason.c ctl/pki/make.c tests/support/certs.c
 * links: core/engine/keyring.c core/parse/signing.c core/parse/keyblock.c core/memory.c
 * links: core/engine/browser.c core/engine/brotli.c core/addr.c tests/support/signed.c
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

#include "core/engine/signed_told.h"
#include "ctl/pki/make.h"
#include "tests/support/signed.h"

#define DAY 86400

static struct certs_ca ours, others;
static struct identity *ops, *second, *here; /* two consoles, and the agent that judges */
static struct signed_revocations all;
static struct signed_told told; /* by the last that was taken or reviewed */
static time_t now;

static struct signed_revocation of(const char *name)
{
	return (struct signed_revocation){.value = wire_text(name), .issued = (uint64_t)now};
}

static enum revocation_outcome take_by(const struct identity *signer, struct signed_revocation r)
{
	uint8_t bytes[REVOCATION_MAX];
	size_t len = signed_make(signer, &r, bytes);

	signed_told_free(&told);
	return signed_revocations_take(&all, here, bytes, len, now, &told.listener);
}

static enum revocation_outcome take_by_ca(const struct certs_ca *ca, struct signed_revocation r)
{
	uint8_t bytes[REVOCATION_MAX];
	size_t len = signed_make_by_ca(ca, &r, bytes);

	signed_told_free(&told);
	return signed_revocations_take(&all, here, bytes, len, now, &told.listener);
}

static enum revocation_outcome take(struct signed_revocation r)
{
	return take_by(ops, r);
}

static struct signed_revocation back(const char *name)
{
	struct signed_revocation r = of(name);

	r.verb = REVOCATION_TAKE_BACK;
	return r;
}

static bool is_revoked(const char *name)
{
	struct identity_peer peer = {.role = IDENTITY_AGENT, .not_before = now - DAY};

	snprintf(peer.name, sizeof(peer.name), "%.63s", name);
	return revocations_cover(&all.list, &peer);
}

static int begin(void **state)
{
	now = time(NULL);
	ours = certs_make_ca("Ours");
	others = certs_make_ca("Others");
	ops = certs_identity(&ours, &ours, IDENTITY_CONSOLE, "ops", -10 * 3600, DAY);
	second = certs_identity(&ours, &ours, IDENTITY_CONSOLE, "second", -10 * 3600, DAY);
	here = certs_identity(&ours, &ours, IDENTITY_AGENT, "home", -DAY, DAY);
	return 0;
}

static int end(void **state)
{
	signed_revocations_free(&all);
	signed_told_free(&told);
	identity_free(ops);
	identity_free(second);
	identity_free(here);
	certs_free_ca(&ours);
	certs_free_ca(&others);
	return 0;
}

/* ---- the object ---- */

static void it_is_read_as_it_was_written(void **state)
{
	uint8_t bytes[REVOCATION_MAX + 1], again[REVOCATION_MAX], text[REVOCATION_TEXT_MAX];
	struct signed_revocation r = of("laptop"), got;
	size_t len;

	r.note = wire_text("it was stolen");
	len = signed_make(ops, &r, bytes);
	r = signed_filled(&r);
	assert_true(revocation_decode(bytes, len, &got));
	assert_int_equal(got.verb, REVOCATION_REVOKE);
	assert_int_equal(got.kind, WIRE_REVOKED_NAME);
	assert_true(wire_bytes_equal(got.value, wire_text("laptop")));
	assert_true(wire_bytes_equal(got.note, wire_text("it was stolen")));
	assert_true(got.before == r.before && got.counter == r.counter && got.issued == r.issued &&
		    got.keep_until == r.keep_until);
	assert_int_equal(revocation_encode(&got, again, sizeof(again)), len);
	assert_memory_equal(again, bytes, len);
	/* What is signed is signed for this alone. */
	assert_int_equal(revocation_text(&got, text, sizeof(text)), 21 + got.body.len);
	assert_memory_equal(text, "postern/2 revocation", 21);
	assert_memory_equal(text + 21, bytes, got.body.len);
	for (size_t n = 0; n < len; n++)
		assert_false(revocation_decode(bytes, n, &got));
	bytes[len] = 0;
	assert_false(revocation_decode(bytes, len + 1, &got));
}

static bool writes(struct signed_revocation r)
{
	uint8_t text[REVOCATION_TEXT_MAX];

	r = signed_filled(&r);
	r.certificate = wire_text("x");
	return revocation_text(&r, text, sizeof(text)) > 0;
}

static void its_numbers_fit_together(void **state)
{
	struct signed_revocation r = of("laptop");

	assert_true(writes(r));
	r.counter = revocation_counter_max(r.issued) + 1;
	assert_false(writes(r)); /* else none that is signed later could beat it */
	r = of("laptop");
	r.before = r.issued + REVOCATION_AHEAD_S;
	assert_true(writes(r));
	r.before++;
	assert_false(writes(r)); /* a name can be issued again */
	r = of("laptop");
	r.keep_until = r.issued;
	assert_false(writes(r));
	r.keep_until = r.issued + REVOCATION_KEPT_MAX_S;
	assert_true(writes(r));
	r.keep_until++;
	assert_false(writes(r));
	r = of("0a1b");
	r.kind = WIRE_REVOKED_SERIAL;
	assert_true(writes(r));
	r.before = 1;
	assert_false(writes(r)); /* is one certificate, whenever it begins */
	r = of("no/name");
	assert_false(writes(r));
	r = of("laptop");
	r.verb = (enum revocation_verb)3;
	assert_false(writes(r));
	r = of("laptop");
	r.note = wire_text("\x1b[2J");
	assert_false(writes(r));
	r = of("laptop");
	r.issued = REVOCATION_TIME_MAX + 1;
	assert_false(writes(r));
}

/* ---- who has signed ---- */

static void a_console_and_the_ca_may_sign(void **state)
{
	uint8_t bytes[REVOCATION_MAX];
	struct signed_revocation r = of("guest");
	size_t len = signed_make_by_ca(&ours, &r, bytes);

	assert_int_equal(take(of("laptop")), REVOCATION_TAKEN);
	assert_false(all.entries[0]->signer.is_ca);
	assert_string_equal(all.entries[0]->signer.peer.name, "ops");
	assert_int_equal(signed_revocations_take(&all, here, bytes, len, now, NULL),
			 REVOCATION_TAKEN);
	assert_true(all.entries[1]->signer.is_ca);
	assert_true(is_revoked("laptop") && is_revoked("guest"));
	assert_false(is_revoked("home"));
	assert_int_equal(signed_revocations_take(&all, here, bytes, len, now, NULL),
			 REVOCATION_KNOWN);
	assert_int_equal(all.count, 2);
}

static void no_other_may(void **state)
{
	struct identity *agent = certs_identity(&ours, &ours, IDENTITY_AGENT, "eve", -DAY, DAY),
			*relay = certs_identity(&ours, &ours, IDENTITY_RELAY, "r.example", -DAY,
						DAY),
			*strange = certs_identity(&others, &others, IDENTITY_CONSOLE, "ops", -DAY,
						  DAY);
	uint8_t bytes[REVOCATION_MAX];
	struct signed_revocation r = of("laptop");
	size_t len = signed_make_by_ca(&others, &r, bytes);

	assert_int_equal(take_by(agent, r), REVOCATION_ROLE);
	assert_int_equal(take_by(relay, r), REVOCATION_ROLE);
	assert_int_equal(take_by(strange, r), REVOCATION_UNTRUSTED);
	assert_int_equal(signed_revocations_take(&all, here, bytes, len, now, NULL),
			 REVOCATION_UNTRUSTED);
	assert_int_equal(all.count, 0);
	identity_free(agent);
	identity_free(relay);
	identity_free(strange);
}

/* Each bit of it is signed, and the signature is of this label alone. */
static void no_bit_can_be_changed(void **state)
{
	uint8_t bytes[REVOCATION_MAX];
	struct signed_revocation r = of("laptop");
	size_t len = signed_make(ops, &r, bytes);

	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 1;
		assert_int_not_equal(signed_revocations_take(&all, here, bytes, len, now, NULL),
				     REVOCATION_TAKEN);
		bytes[i] ^= 1;
	}
	assert_int_equal(all.count, 0);
	assert_int_equal(signed_revocations_take(&all, here, bytes, len, now, NULL),
			 REVOCATION_TAKEN);
}

/* ---- which counts ---- */

static void an_older_one_does_nothing(void **state)
{
	struct signed_revocation first = of("laptop"), second_one = back("laptop");

	first.counter = 5000;
	second_one.counter = 5001;
	assert_int_equal(take(first), REVOCATION_TAKEN);
	assert_true(is_revoked("laptop"));
	assert_int_equal(take(second_one), REVOCATION_TAKEN);
	assert_false(is_revoked("laptop"));
	assert_int_equal(take(first), REVOCATION_OLDER);
	assert_false(is_revoked("laptop"));
	first.counter = 5002;
	assert_int_equal(take(first), REVOCATION_TAKEN);
	assert_true(is_revoked("laptop"));
	assert_int_equal(take(second_one), REVOCATION_OLDER);
	assert_true(is_revoked("laptop"));
	assert_int_equal(all.count, 1);
}

/* In whichever order two with one counter come, what revokes more is left. */
static void of_one_counter_the_stricter_counts(void **state)
{
	struct signed_revocation narrow = of("laptop"), wide = of("laptop"), none = back("laptop");

	narrow.before = (uint64_t)now - 9 * DAY;
	assert_int_equal(take(none), REVOCATION_TAKEN);
	assert_int_equal(take(narrow), REVOCATION_TAKEN);
	assert_false(is_revoked("laptop"));
	assert_int_equal(take(wide), REVOCATION_TAKEN);
	assert_true(is_revoked("laptop"));
	assert_int_equal(take(narrow), REVOCATION_OLDER);
	assert_int_equal(take(none), REVOCATION_OLDER);
	assert_true(is_revoked("laptop"));
}

/* Each kind has its own counters, and so has each value. */
static void subjects_are_apart(void **state)
{
	struct signed_revocation serial = of("0a1b"), name = back("0a1b");

	serial.kind = WIRE_REVOKED_SERIAL;
	assert_int_equal(take(serial), REVOCATION_TAKEN);
	assert_int_equal(take(name), REVOCATION_TAKEN);
	assert_int_equal(all.count, 2);
	assert_int_equal(all.list.count, 1);
	assert_true(
		signed_entry_revokes(signed_revocations_find(&all, WIRE_REVOKED_SERIAL, "0a1b")));
	assert_false(
		signed_entry_revokes(signed_revocations_find(&all, WIRE_REVOKED_NAME, "0a1b")));
	assert_null(signed_revocations_find(&all, WIRE_REVOKED_KEY, "0a1b"));
}

/* ---- time ---- */

static void what_was_signed_in_time_outlives_its_signer(void **state)
{
	struct identity *gone =
		certs_identity(&ours, &ours, IDENTITY_CONSOLE, "gone", -3 * DAY, -DAY);
	struct signed_revocation r = of("laptop");

	assert_int_equal(take_by(gone, r), REVOCATION_LIFETIME);
	r.issued = (uint64_t)now - 4 * DAY;
	assert_int_equal(take_by(gone, r), REVOCATION_LIFETIME);
	r.issued = (uint64_t)now - 2 * DAY;
	r.before = r.issued;
	assert_int_equal(take_by(gone, r), REVOCATION_TAKEN);
	r.verb = REVOCATION_TAKE_BACK;
	r.issued++;
	assert_int_equal(take_by(gone, r), REVOCATION_SIGNER_ENDED);
	assert_int_equal(all.list.count, 1);
	identity_free(gone);
}

static void clocks_may_differ_by_an_hour(void **state)
{
	struct signed_revocation r = of("laptop");

	r.issued += REVOCATION_AHEAD_S + 1;
	assert_int_equal(take(r), REVOCATION_AHEAD);
	r.issued--;
	assert_int_equal(take(r), REVOCATION_TAKEN);
	r = of("guest");
	r.issued -= 3600;
	r.keep_until = (uint64_t)now;
	assert_int_equal(take(r), REVOCATION_OVER);
	r.keep_until++;
	assert_int_equal(take(r), REVOCATION_TAKEN);
}

/* ---- signers that are revoked ---- */

static struct signed_revocation at(struct signed_revocation r, long ago)
{
	r.issued = (uint64_t)(now - ago);
	r.counter = 0;
	return r;
}

static void who_is_revoked_signs_nothing_new(void **state)
{
	assert_int_equal(take_by(second, at(of("ops"), 1000)), REVOCATION_TAKEN);
	assert_int_equal(take(at(of("laptop"), 999)), REVOCATION_SIGNER_REVOKED);
	/* What it signed before counts, whichever is heard first. */
	assert_int_equal(take(at(of("laptop"), 1001)), REVOCATION_TAKEN);
	assert_int_equal(take(at(back("laptop"), 1000)), REVOCATION_SIGNER_REVOKED);
	assert_true(is_revoked("laptop"));
	/* And it cannot let itself in again. */
	assert_int_equal(take(at(back("ops"), 0)), REVOCATION_SIGNER_REVOKED);
	assert_int_equal(take_by(second, at(back("laptop"), 0)), REVOCATION_TAKEN);
	assert_false(is_revoked("laptop"));
	/* Dated back it is older than what was taken back since. */
	assert_int_equal(take(at(of("laptop"), 1001)), REVOCATION_OLDER);
}

static void what_a_revoked_console_revoked_stays(void **state)
{
	assert_int_equal(take(at(of("laptop"), 50)), REVOCATION_TAKEN);
	assert_int_equal(take_by(second, at(of("ops"), 10)), REVOCATION_TAKEN);
	assert_true(is_revoked("laptop"));
}

/* To revoke less is to take back. */
static void a_narrower_one_wants_a_good_signer(void **state)
{
	struct signed_revocation r = at(of("laptop"), 2000);

	assert_int_equal(take(r), REVOCATION_TAKEN);
	assert_int_equal(take_by(second, at(of("ops"), 1000)), REVOCATION_TAKEN);
	r = at(of("laptop"), 1500);
	r.before = (uint64_t)now - 9 * DAY;
	assert_int_equal(take(r), REVOCATION_SIGNER_REVOKED);
	r = at(of("laptop"), 1500);
	r.keep_until = (uint64_t)now + 60;
	assert_int_equal(take(r), REVOCATION_SIGNER_REVOKED);
	r.counter = 0;
	assert_int_equal(take_by(second, r), REVOCATION_TAKEN);
	assert_true(is_revoked("laptop"));
}

/* ---- places ---- */

/* signer NULL: the CA. */
static enum revocation_outcome take_nth(const struct identity *signer, unsigned n, uint64_t until)
{
	struct signed_revocation r = of("");
	char name[16];

	snprintf(name, sizeof(name), "n%u", n);
	r.value = wire_text(name);
	r.keep_until = until;
	return signer ? take_by(signer, r) : take_by_ca(&ours, r);
}

static void there_are_only_so_many(void **state)
{
	uint64_t later = (uint64_t)now + DAY;
	struct identity *third = certs_identity(&ours, &ours, IDENTITY_CONSOLE, "third", -DAY, DAY),
			*fourth =
				certs_identity(&ours, &ours, IDENTITY_CONSOLE, "fourth", -DAY, DAY);
	const struct identity *const consoles[] = {ops, second, third};
	unsigned n = 0;

	for (unsigned i = 0; i < 3; i++) {
		for (unsigned k = 0; k < SIGNED_REVOCATIONS_OF_ONE; k++, n++)
			assert_int_equal(take_nth(consoles[i], n, later + (n == 7 ? 0 : DAY)),
					 REVOCATION_TAKEN);
		assert_int_equal(take_nth(consoles[i], n, later), REVOCATION_SHARE);
	}
	assert_int_equal(take_nth(ops, 3, later + 2 * DAY), REVOCATION_OLDER);
	/* The last quarter is the CA's. */
	assert_int_equal(n, SIGNED_REVOCATIONS_OF_CONSOLES);
	assert_int_equal(take_nth(fourth, n, later + DAY), REVOCATION_FULL);
	for (; n < REVOCATIONS_SIGNED_MAX; n++)
		assert_int_equal(take_nth(NULL, n, later + DAY), REVOCATION_TAKEN);
	assert_int_equal(take_nth(NULL, n, later + DAY), REVOCATION_FULL);
	assert_int_equal(all.list.count, REVOCATIONS_SIGNED_MAX);
	/* What is over makes room, where room is wanted. */
	now = (time_t)later;
	assert_int_equal(all.count, REVOCATIONS_SIGNED_MAX);
	assert_int_equal(take_nth(ops, n, later + DAY), REVOCATION_TAKEN);
	assert_int_equal(all.count, REVOCATIONS_SIGNED_MAX);
	assert_null(signed_revocations_find(&all, WIRE_REVOKED_NAME, "n7"));
	assert_non_null(signed_revocations_find(&all, WIRE_REVOKED_NAME, "n8"));
	/* The CA's word about who fills it finds a place, and makes 255 more. */
	assert_int_equal(take_nth(NULL, n + 1, later + DAY), REVOCATION_FULL);
	assert_int_equal(take_by_ca(&ours, of("second")), REVOCATION_TAKEN);
	assert_int_equal(told.lapsed.count, SIGNED_REVOCATIONS_OF_ONE);
	assert_int_equal(all.count, REVOCATIONS_SIGNED_MAX - SIGNED_REVOCATIONS_OF_ONE + 1);
	assert_int_equal(take_nth(fourth, n, later + DAY), REVOCATION_OLDER);
	assert_int_equal(take_nth(fourth, n + 1, later + DAY), REVOCATION_TAKEN);
	identity_free(third);
	identity_free(fourth);
}

/* What is aside has the places that nothing else wants. */
static void what_is_aside_gives_way(void **state)
{
	uint64_t later = (uint64_t)now + DAY;
	unsigned n = 0;

	assert_int_equal(take_nth(ops, 0, later), REVOCATION_TAKEN);
	assert_int_equal(take_nth(ops, 1, later), REVOCATION_TAKEN);
	now++;
	assert_int_equal(take_nth(second, 0, later), REVOCATION_TAKEN);
	assert_int_equal(take_nth(second, 1, later), REVOCATION_TAKEN);
	assert_int_equal(all.aside_count, 2);
	for (n = 2; n < REVOCATIONS_SIGNED_MAX - 1; n++)
		assert_int_equal(take_nth(NULL, n, later), REVOCATION_TAKEN);
	assert_int_equal(all.count + all.aside_count, REVOCATIONS_SIGNED_MAX);
	assert_string_equal(all.aside[0]->revokes.value, "n1");
	assert_int_equal(take_nth(NULL, n, later), REVOCATION_TAKEN);
	assert_int_equal(all.aside_count, 0);
	assert_int_equal(all.count, REVOCATIONS_SIGNED_MAX);
}

/* ---- the CA's own key ---- */

static void assert_names(const struct signed_changes *c, const char *names)
{
	char text[512] = "";
	json_t *item;
	size_t i;

	json_array_foreach(c->names, i, item)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? ", " : "",
			 json_string_value(item));
	assert_string_equal(text, names);
}

/* A thief dates back, and takes back; where the CA revokes the console all of that goes, and what
 * another had signed before counts again. */
static void what_a_thief_signed_ends_with_it(void **state)
{
	assert_int_equal(take_by(second, at(of("stolen"), 5000)), REVOCATION_TAKEN);
	assert_int_equal(take(at(back("stolen"), 100)), REVOCATION_TAKEN);
	assert_int_equal(take(at(of("home"), 9000)), REVOCATION_TAKEN);
	assert_int_equal(take_by(second, of("phone")), REVOCATION_TAKEN);
	assert_true(is_revoked("home") && !is_revoked("stolen"));
	/* Another console's word leaves them, for it may be the thief's. */
	assert_int_equal(take_by(second, at(of("ops"), 50)), REVOCATION_TAKEN);
	assert_true(is_revoked("home") && !is_revoked("stolen"));
	assert_int_equal(take_by_ca(&ours, at(of("ops"), 40)), REVOCATION_TAKEN);
	assert_false(is_revoked("home"));
	assert_true(is_revoked("stolen") && is_revoked("phone") && is_revoked("ops"));
	assert_int_equal(told.lapsed.count, 2);
	assert_names(&told.lapsed, "home, stolen (taken back)");
	assert_int_equal(told.restored.count, 1);
	assert_names(&told.restored, "stolen");
	/* The one that was taken is the last, and has the highest number. */
	assert_true(all.entries[all.count - 1]->signer.is_ca);
	for (size_t i = 1; i < all.count; i++)
		assert_true(all.entries[i - 1]->number < all.entries[i]->number);
	/* However far it dates back. */
	assert_int_equal(take(at(of("home"), 9000)), REVOCATION_SIGNER_REVOKED);
	assert_int_equal(take(at(of("ops"), 0)), REVOCATION_SIGNER_REVOKED);
	assert_false(is_revoked("home"));
	/* Nothing of it comes back with the console. */
	assert_int_equal(take_by_ca(&ours, back("ops")), REVOCATION_TAKEN);
	assert_false(is_revoked("home") || is_revoked("ops"));
	assert_int_equal(take(at(of("home"), 9000)), REVOCATION_TAKEN);
}

/* What it revokes of one certificate or one key reaches whom that is. */
static void a_thief_is_known_by_its_serial_and_key(void **state)
{
	struct signed_revocation r;
	char key[WIRE_REVOCATION_MAX + 1];
	struct identity_peer peer;

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(take(at(of("home"), 1000)), REVOCATION_TAKEN);
		assert_true(identity_self(ops, &peer));
		revocation_key_text(peer.key, key);
		r = of(i == 0 ? peer.serial : key);
		r.kind = i == 0 ? WIRE_REVOKED_SERIAL : WIRE_REVOKED_KEY;
		assert_int_equal(take_by_ca(&ours, r), REVOCATION_TAKEN);
		assert_false(is_revoked("home"));
		signed_revocations_free(&all);
	}
}

static void no_console_takes_back_the_cas_word(void **state)
{
	assert_int_equal(take_by_ca(&ours, at(of("laptop"), 1000)), REVOCATION_TAKEN);
	assert_int_equal(take(at(back("laptop"), 900)), REVOCATION_BY_CA);
	assert_int_equal(take(at(back("laptop"), 1100)), REVOCATION_OLDER);
	assert_true(is_revoked("laptop"));
	/* A console adds to it: what was issued since is revoked, too. */
	assert_int_equal(take(at(of("laptop"), 500)), REVOCATION_TAKEN);
	assert_int_equal(all.count, 2);
	assert_int_equal(all.list.count, 1);
	assert_true(all.list.list[0].before == now - 500);
	assert_int_equal(take(at(of("laptop"), 500)), REVOCATION_OLDER);
	assert_true(
		signed_entry_revokes(signed_revocations_find(&all, WIRE_REVOKED_NAME, "laptop")));
	/* The CA takes back whatever is older. */
	assert_int_equal(take_by_ca(&ours, at(back("laptop"), 600)), REVOCATION_TAKEN);
	assert_true(is_revoked("laptop"));
	assert_int_equal(take_by_ca(&ours, at(back("laptop"), 400)), REVOCATION_TAKEN);
	assert_false(is_revoked("laptop"));
	assert_int_equal(take(at(of("laptop"), 450)), REVOCATION_OLDER);
	assert_int_equal(take(at(of("laptop"), 300)), REVOCATION_TAKEN);
	assert_true(is_revoked("laptop"));
	assert_int_equal(take(at(back("laptop"), 200)), REVOCATION_TAKEN);
	assert_false(is_revoked("laptop"));
	/* In the other order it is the same: what a console took back is revoked again. */
	assert_int_equal(take(at(back("phone"), 100)), REVOCATION_TAKEN);
	assert_int_equal(take_by_ca(&ours, at(of("phone"), 200)), REVOCATION_TAKEN);
	assert_true(is_revoked("phone"));
}

/* ---- other CAs ---- */

/* An agent of that CA, which trusts another, too. */
static struct identity *trusting(const struct certs_ca *own, const char *more)
{
	struct certs_ca both = *own;
	char pem[8192];

	snprintf(pem, sizeof(pem), "%s%s", own->pem, more);
	both.pem = pem;
	return certs_identity(own, &both, IDENTITY_AGENT, "home", -3600, DAY);
}

static void review(const struct identity *id)
{
	signed_told_free(&told);
	signed_revocations_review(&all, id, &told.listener);
}

static void what_rests_on_a_ca_goes_and_comes_with_it(void **state)
{
	struct identity *theirs =
		certs_identity(&others, &others, IDENTITY_CONSOLE, "theirs", -DAY, DAY);
	struct identity *both = trusting(&others, ours.pem), *later = trusting(&others, "");
	struct identity *first = here;
	struct signed_revocations again = {0};
	uint32_t last;
	json_t *kept, *event;

	here = both;
	assert_int_equal(take(of("laptop")), REVOCATION_TAKEN);
	assert_int_equal(take_by(theirs, of("phone")), REVOCATION_TAKEN);
	assert_int_equal(take(at(of("guest"), 10)), REVOCATION_TAKEN);
	assert_int_equal(take_by(theirs, back("guest")), REVOCATION_TAKEN);
	assert_int_equal(take_by_ca(&ours, of("old")), REVOCATION_TAKEN);
	/* A CA more changes nothing. */
	review(both);
	assert_int_equal(told.lapsed.count + told.restored.count, 0);
	/* The console's and the CA's own; guest's waits aside anyway. */
	review(later);
	assert_int_equal(told.lapsed.count, 2);
	assert_int_equal(told.restored.count, 0);
	assert_false(is_revoked("laptop") || is_revoked("old") || is_revoked("guest"));
	assert_true(is_revoked("phone"));
	assert_int_equal(all.aside_count, 3);
	event = signed_told_event(&told, false, SIGNED_BY_OTHER_CAS);
	assert_int_equal(json_integer_value(json_object_get(event, "count")), 2);
	assert_non_null(strstr(json_string_value(json_object_get(event, "text")), "sign again"));
	json_decref(event);
	assert_null(signed_told_event(&told, true, SIGNED_BY_OTHER_CAS));
	/* Those wait of which nothing else speaks. */
	signed_told_free(&told);
	signed_told_waiting(&told, &all);
	assert_int_equal(told.lapsed.count, 2);
	last = all.last;
	/* As after a trial; peers that came meanwhile have not been told. */
	review(both);
	assert_int_equal(told.restored.count, 2);
	assert_true(is_revoked("laptop") && is_revoked("old") && is_revoked("phone"));
	assert_true(!is_revoked("guest"));
	assert_int_equal(all.count, 4);
	for (size_t i = 0; i < all.count; i++)
		assert_true(!is_revoked(all.entries[i]->revokes.value) ||
			    all.entries[i]->number > last ||
			    strcmp(all.entries[i]->revokes.value, "phone") == 0);
	/* The one that had taken back goes: what it took back counts again. */
	review(first);
	assert_int_equal(told.lapsed.count, 2);
	assert_int_equal(told.restored.count, 1);
	assert_true(is_revoked("guest") && is_revoked("laptop") && !is_revoked("phone"));
	/* It outlasts a start without the CA. */
	review(both);
	kept = signed_revocations_keep(&all);
	assert_int_equal(signed_revocations_recall(&again, later, kept), 3);
	signed_revocations_free(&all);
	all = again;
	assert_true(is_revoked("phone") && !is_revoked("old"));
	/* Who signed what waits is known all the same. */
	signed_told_free(&told);
	signed_told_waiting(&told, &all);
	assert_int_equal(told.lapsed.count, 2);
	for (size_t i = 0; i < all.aside_count; i++) {
		bool by_ca = strcmp(all.aside[i]->revokes.value, "old") == 0;

		event = signed_entry_json(all.aside[i]);
		assert_string_equal(json_string_value(json_object_get(event, "by")),
				    by_ca ? "the CA" : "console:ops");
		json_decref(event);
	}
	review(both);
	assert_true(is_revoked("laptop") && is_revoked("old") && is_revoked("phone"));
	assert_true(signed_revocations_find(&all, WIRE_REVOKED_NAME, "old")->signer.is_ca);
	json_decref(kept);
	here = first;
	identity_free(theirs);
	identity_free(both);
	identity_free(later);
}

/* "postern pki rotate": the new CA is signed by the old one, and both are trusted for a while. What
 * was signed under the old one counts as long as that is there, and what the new one's consoles
 * sign stays. */
static void a_rotation_takes_with_it_what_was_not_signed_anew(void **state)
{
	struct certs_ca next = certs_make_ca("Next");
	X509 *cross = pki_make_next_ca(next.key, "Next", now - DAY, now + DAY, ours.x, ours.key);
	char *pem = pki_certificate_pem(cross);
	struct certs_ca new_ca = {next.key, cross, pem};
	struct identity *fresh =
		certs_identity(&new_ca, &new_ca, IDENTITY_CONSOLE, "fresh", -3600, DAY);
	struct identity *both = trusting(&new_ca, ours.pem), *later = trusting(&new_ca, "");
	struct identity *first = here;

	here = both;
	assert_int_equal(take(at(of("laptop"), 100)), REVOCATION_TAKEN);
	assert_int_equal(take(at(of("phone"), 100)), REVOCATION_TAKEN);
	assert_int_equal(take_by(fresh, of("guest")), REVOCATION_TAKEN);
	review(both);
	assert_int_equal(told.lapsed.count, 0);
	assert_int_equal(take_by(fresh, of("phone")), REVOCATION_TAKEN);
	review(later);
	assert_int_equal(told.lapsed.count, 1);
	assert_names(&told.lapsed, "laptop");
	assert_true(is_revoked("phone") && is_revoked("guest") && !is_revoked("laptop"));
	here = first;
	identity_free(fresh);
	identity_free(both);
	identity_free(later);
	X509_free(cross);
	free(pem);
	certs_free_ca(&next);
}

/* ---- what is kept ---- */

static void it_is_kept_and_copied(void **state)
{
	struct signed_revocations again = {0}, copy = {0};
	json_t *kept;

	assert_int_equal(take(of("laptop")), REVOCATION_TAKEN);
	assert_int_equal(take(of("guest")), REVOCATION_TAKEN);
	assert_int_equal(take(of("phone")), REVOCATION_TAKEN);
	now++;
	assert_int_equal(take(back("guest")), REVOCATION_TAKEN);
	kept = signed_revocations_keep(&all);
	assert_int_equal(json_array_size(kept), 3);
	assert_int_equal(signed_revocations_recall(&again, here, kept), 0);
	assert_int_equal(again.count, 3);
	assert_int_equal(again.list.count, 2);
	assert_true(signed_revocations_copy(&all, &copy));
	signed_revocations_free(&all);
	all = again;
	assert_true(is_revoked("laptop") && !is_revoked("guest") && is_revoked("phone"));
	/* The one that took back is still known: the one before does nothing. */
	now--;
	assert_int_equal(take(of("guest")), REVOCATION_OLDER);
	signed_revocations_free(&all);
	all = copy;
	assert_true(is_revoked("laptop") && !is_revoked("guest") && is_revoked("phone"));
	assert_int_equal(all.entries[2]->number, 4);
	json_decref(kept);
}

/* Also what took back by a console that has ended since; and nothing of a CA that has gone. */
static void what_is_recalled_was_judged_before(void **state)
{
	struct identity *stranger =
		certs_identity(&others, &others, IDENTITY_AGENT, "x", -DAY, DAY);
	struct signed_revocations again = {0};
	json_t *kept;

	assert_int_equal(take(back("guest")), REVOCATION_TAKEN);
	assert_int_equal(take_by(second, of("ops")), REVOCATION_TAKEN);
	kept = signed_revocations_keep(&all);
	json_array_append_new(kept, json_string("no base64"));
	json_array_append_new(kept, json_integer(7));
	assert_int_equal(signed_revocations_recall(&again, here, kept), 2);
	assert_int_equal(again.count, 2);
	signed_revocations_free(&again);
	assert_int_equal(signed_revocations_recall(&again, stranger, kept), 4);
	assert_int_equal(again.count, 0);
	assert_int_equal(signed_revocations_recall(&again, here, NULL), 0);
	assert_int_equal(again.count, 2); /* that waited */
	signed_revocations_free(&again);
	json_decref(kept);
	identity_free(stranger);
}

static void texts_are_of_one_length_at_most(void **state)
{
	static uint8_t bytes[REVOCATION_MAX + 3], got[REVOCATION_MAX];
	static char text[REVOCATION_BASE64_BYTES + 8];

	memset(bytes, 0x5a, sizeof(bytes));
	revocation_to_text(bytes, REVOCATION_MAX, text);
	assert_int_equal(revocation_of_text(text, got), REVOCATION_MAX);
	assert_memory_equal(got, bytes, REVOCATION_MAX);
	strcat(text, "WlpaWg==");
	assert_int_equal(revocation_of_text(text, got), 0);
	assert_int_equal(revocation_of_text("WlpaWlpa", got), 6);
	assert_int_equal(revocation_of_text("WlpaWlp", got), 0);
	assert_int_equal(revocation_of_text("", got), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_is_read_as_it_was_written, begin, end),
		cmocka_unit_test_setup_teardown(its_numbers_fit_together, begin, end),
		cmocka_unit_test_setup_teardown(a_console_and_the_ca_may_sign, begin, end),
		cmocka_unit_test_setup_teardown(no_other_may, begin, end),
		cmocka_unit_test_setup_teardown(no_bit_can_be_changed, begin, end),
		cmocka_unit_test_setup_teardown(an_older_one_does_nothing, begin, end),
		cmocka_unit_test_setup_teardown(of_one_counter_the_stricter_counts, begin, end),
		cmocka_unit_test_setup_teardown(subjects_are_apart, begin, end),
		cmocka_unit_test_setup_teardown(what_was_signed_in_time_outlives_its_signer, begin,
						end),
		cmocka_unit_test_setup_teardown(clocks_may_differ_by_an_hour, begin, end),
		cmocka_unit_test_setup_teardown(who_is_revoked_signs_nothing_new, begin, end),
		cmocka_unit_test_setup_teardown(what_a_revoked_console_revoked_stays, begin, end),
		cmocka_unit_test_setup_teardown(a_narrower_one_wants_a_good_signer, begin, end),
		cmocka_unit_test_setup_teardown(there_are_only_so_many, begin, end),
		cmocka_unit_test_setup_teardown(what_is_aside_gives_way, begin, end),
		cmocka_unit_test_setup_teardown(what_a_thief_signed_ends_with_it, begin, end),
		cmocka_unit_test_setup_teardown(a_thief_is_known_by_its_serial_and_key, begin, end),
		cmocka_unit_test_setup_teardown(no_console_takes_back_the_cas_word, begin, end),
		cmocka_unit_test_setup_teardown(what_rests_on_a_ca_goes_and_comes_with_it, begin,
						end),
		cmocka_unit_test_setup_teardown(a_rotation_takes_with_it_what_was_not_signed_anew,
						begin, end),
		cmocka_unit_test_setup_teardown(it_is_kept_and_copied, begin, end),
		cmocka_unit_test_setup_teardown(what_is_recalled_was_judged_before, begin, end),
		cmocka_unit_test_setup_teardown(texts_are_of_one_length_at_most, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
