/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inner_test: two agents' TLS through the envelope, in pieces of every size.
 *
 * links: agent/engine/inner.c core/engine/envelope.c core/engine/tag.c core/engine/tls.c core/engine/identity.c
 * links: core/engine/identity_verify.c core/engine/identity_relay.c core/engine/certificate.c
 * links: core/parse/wire.c core/parse/reason.c core/engine/csr.c ctl/pki/make.c tests/support/certs.c
 * links: core/engine/keyring.c core/parse/signing.c core/parse/keyblock.c core/memory.c
 * links: core/engine/browser.c core/engine/brotli.c core/addr.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "agent/engine/inner.h"
#include "tests/support/certs.h"

#define DAY	  86400L
#define WIRE_ROOM (16u << 20)

static struct certs_ca ca;
static struct identity *ids[2];
static SSL_CTX *contexts[2];

/* One side, and all that it ever put on the wire. */
struct side {
	struct inner inner;
	uint8_t *wire;
	size_t wire_len, taken;
	bool done;
};

static int make(void **state)
{
	ca = certs_make_ca("Example Ltd");
	ids[0] = certs_identity(&ca, &ca, IDENTITY_AGENT, "laptop", -DAY, DAY);
	ids[1] = certs_identity(&ca, &ca, IDENTITY_AGENT, "home", -DAY, DAY);
	contexts[0] = identity_inner_context(ids[0], false);
	contexts[1] = identity_inner_context(ids[1], true);
	return contexts[0] && contexts[1] ? 0 : -1;
}

static int unmake(void **state)
{
	for (int i = 0; i < 2; i++) {
		SSL_CTX_free(contexts[i]);
		identity_free(ids[i]);
	}
	certs_free_ca(&ca);
	return 0;
}

static void open_sides(struct side sides[2])
{
	static const uint8_t secret[ENVELOPE_SECRET_BYTES] = "a secret of 32 bytes, out of GO";

	for (int i = 0; i < 2; i++) {
		sides[i] = (struct side){.wire = malloc(WIRE_ROOM)};
		assert_non_null(sides[i].wire);
		assert_true(inner_init(&sides[i].inner, contexts[i], i == 1, secret, time(NULL)));
	}
}

static void close_sides(struct side sides[2])
{
	for (int i = 0; i < 2; i++) {
		inner_free(&sides[i].inner);
		free(sides[i].wire);
	}
}

/* Takes from's output with room bytes at a time and feeds it to to likewise. */
static void carry(struct side *from, struct side *to, size_t room)
{
	uint8_t piece[70000];
	size_t n;

	while ((n = inner_take(&from->inner, piece, room)) > 0) {
		assert_true(n <= room);
		assert_true(from->wire_len + n <= WIRE_ROOM);
		memcpy(from->wire + from->wire_len, piece, n);
		from->wire_len += n;
		assert_true(inner_feed(&to->inner, piece, n));
	}
	assert_false(inner_has_output(&from->inner));
}

static void shake_hands(struct side sides[2], size_t room)
{
	for (int turn = 0; turn < 10 && !(sides[0].done && sides[1].done); turn++) {
		for (int i = 0; i < 2; i++) {
			enum tls_status status = tls_handshake(sides[i].inner.tls);

			assert_true(status == TLS_OK || status == TLS_AGAIN);
			sides[i].done = status == TLS_OK;
			carry(&sides[i], &sides[!i], room);
		}
	}
	assert_true(sides[0].done && sides[1].done);
}

static void send_and_check(struct side *from, struct side *to, size_t len, size_t room)
{
	uint8_t *sent = malloc(len), *got = malloc(len);
	size_t have = 0, n;

	assert_non_null(sent);
	assert_non_null(got);
	for (size_t i = 0; i < len; i++)
		sent[i] = (uint8_t)(i * 31 + len);
	assert_int_equal(tls_write(from->inner.tls, sent, len), TLS_OK);
	carry(from, to, room);
	while (have < len && tls_read(to->inner.tls, got + have, len - have, &n) == TLS_OK)
		have += n;
	assert_int_equal(have, len);
	assert_memory_equal(sent, got, len);
	free(sent);
	free(got);
}

/* An observer of the leg sees application data from the first byte to the last. */
static void assert_only_data_records(const struct side *s)
{
	size_t at = 0;

	while (at + 5 <= s->wire_len) {
		const uint8_t *record = s->wire + at;

		assert_int_equal(record[0], 23);
		assert_int_equal(record[1] << 8 | record[2], 0x0303);
		at += 5 + (size_t)(record[3] << 8 | record[4]);
	}
	assert_int_equal(at, s->wire_len);
}

/* ... and no name in any of it: of the ALPN, a certificate's owner, the CA. */
static void assert_hides(const struct side *s)
{
	static const char *const words[] = {"postern", "laptop", "home", "Example Ltd"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_null(memmem(s->wire, s->wire_len, words[i], strlen(words[i])));
}

static void sessions_work_in_pieces_of_any_size(void **state)
{
	const size_t rooms[] = {INNER_TAKE_MIN, 16, 100, 1400, 16384, 20480, 65536};

	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
		struct side sides[2];

		open_sides(sides);
		shake_hands(sides, rooms[i]);
		send_and_check(&sides[0], &sides[1], 70, rooms[i]);
		send_and_check(&sides[1], &sides[0], 300000, rooms[i]);
		send_and_check(&sides[0], &sides[1], 300000, rooms[i]);
		assert_only_data_records(&sides[0]);
		assert_only_data_records(&sides[1]);
		assert_hides(&sides[0]);
		assert_hides(&sides[1]);
		close_sides(sides);
	}
}

static void an_end_is_told_from_a_cut(void **state)
{
	struct side sides[2];
	uint8_t byte;
	size_t n;

	open_sides(sides);
	shake_hands(sides, 1400);
	tls_close_write(sides[0].inner.tls);
	carry(&sides[0], &sides[1], 1400);
	assert_int_equal(tls_read(sides[1].inner.tls, &byte, 1, &n), TLS_CLOSED);
	send_and_check(&sides[1], &sides[0], 1000, 1400); /* the other direction goes on */
	tls_feed_eof(sides[0].inner.tls);
	assert_int_equal(tls_read(sides[0].inner.tls, &byte, 1, &n), TLS_CUT);
	close_sides(sides);
}

#define KEY_BYTES 5000u
#define KEY_MS	  1000u

/* A side's next write, at most KEY_BYTES, of which the other reads all. */
static void say(struct side *from, struct side *to, size_t len, uint64_t now_ms)
{
	uint8_t sent[KEY_BYTES], got[KEY_BYTES];
	size_t have = 0, n;

	memset(sent, (int)(len + now_ms), len);
	assert_int_equal(inner_write(&from->inner, sent, len, now_ms), TLS_OK);
	carry(from, to, 1400);
	while (have < len && tls_read(to->inner.tls, got + have, len - have, &n) == TLS_OK)
		have += n;
	assert_int_equal(have, len);
	assert_memory_equal(sent, got, len);
}

static void open_short_keys(struct side sides[2])
{
	open_sides(sides);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sides[i].inner.limits.bytes, UINT64_C(32) << 30);
		assert_int_equal(sides[i].inner.limits.ms, 3600 * 1000);
		sides[i].inner.limits = (struct inner_limits){KEY_BYTES, KEY_MS};
	}
	shake_hands(sides, 1400);
}

static void keys_are_renewed_by_bytes_and_time(void **state)
{
	struct side sides[2];

	open_short_keys(sides);
	say(&sides[0], &sides[1], 1, UINT64_C(1) << 40); /* not because the first came late */
	say(&sides[0], &sides[1], KEY_BYTES - 1, UINT64_C(1) << 40);
	assert_int_equal(sides[0].inner.rekeyed, 0);
	say(&sides[0], &sides[1], 1, UINT64_C(1) << 40); /* a byte too many for the key */
	assert_int_equal(sides[0].inner.rekeyed, 1);
	say(&sides[0], &sides[1], 1, (UINT64_C(1) << 40) + KEY_MS - 1);
	assert_int_equal(sides[0].inner.rekeyed, 1);
	say(&sides[0], &sides[1], 1, (UINT64_C(1) << 40) + KEY_MS);
	assert_int_equal(sides[0].inner.rekeyed, 2);
	say(&sides[0], &sides[1], 1, (UINT64_C(1) << 40) + 2 * KEY_MS - 1);
	assert_int_equal(sides[0].inner.rekeyed, 2);
	/* The answer comes with what the other says next, and is no renewal of its own accord. */
	say(&sides[1], &sides[0], 1, 0);
	assert_int_equal(sides[1].inner.rekeyed, 0);
	close_sides(sides);
}

/* What the other side writes is under a new key too, once it has been asked. */
static void a_renewal_renews_both(void **state)
{
	struct side sides[2];
	size_t plain, asked, idle;

	open_short_keys(sides);
	say(&sides[1], &sides[0], 1, 0);
	idle = sides[1].wire_len;
	say(&sides[1], &sides[0], 1, 0);
	plain = sides[1].wire_len - idle;
	say(&sides[0], &sides[1], KEY_BYTES, 0);
	say(&sides[0], &sides[1], KEY_BYTES, 0);
	assert_int_equal(sides[0].inner.rekeyed, 1);
	idle = sides[1].wire_len;
	say(&sides[1], &sides[0], 1, 0);
	asked = sides[1].wire_len - idle;
	assert_int_equal(asked - plain, 5 + 5 + 1 + 16); /* a record with KeyUpdate */
	close_sides(sides);
}

static void keys_are_renewed_all_the_time(void **state)
{
	struct side sides[2];
	uint64_t now = 7;

	open_short_keys(sides);
	for (int i = 0; i < 2000; i++) {
		int from = i % 7 < 4;

		now += (uint64_t)(i % 5) * 300;
		say(&sides[from], &sides[!from], 1 + (size_t)(i * 37) % KEY_BYTES, now);
	}
	assert_true(sides[0].inner.rekeyed > 500);
	assert_true(sides[1].inner.rekeyed > 500);
	assert_only_data_records(&sides[0]);
	assert_only_data_records(&sides[1]);
	close_sides(sides);
}

/* A side that has ended its direction is asked for new keys again and again, cannot answer, and
 * reads on; the end comes under the last key. */
static void keys_are_renewed_after_an_end(void **state)
{
	for (int closed = 0; closed < 2; closed++) {
		struct side sides[2], *gone = &sides[closed], *speaks = &sides[!closed];
		uint8_t byte;
		size_t n;

		open_short_keys(sides);
		say(gone, speaks, KEY_BYTES, 0);
		say(speaks, gone, KEY_BYTES, 0);
		/* Asked before it ends: the answer is due, and the end comes all the same. */
		say(speaks, gone, KEY_BYTES, 0);
		tls_close_write(gone->inner.tls);
		carry(gone, speaks, 1400);
		assert_int_equal(tls_read(speaks->inner.tls, &byte, 1, &n), TLS_CLOSED);
		for (int i = 0; i < 100; i++)
			say(speaks, gone, KEY_BYTES, 0);
		assert_int_equal(speaks->inner.rekeyed, 101);
		tls_close_write(speaks->inner.tls);
		carry(speaks, gone, 1400);
		assert_int_equal(tls_read(gone->inner.tls, &byte, 1, &n), TLS_CLOSED);
		close_sides(sides);
	}
}

/* Before the handshake there are none. */
static void keys_that_cannot_be_renewed(void **state)
{
	struct side sides[2];

	open_sides(sides);
	sides[0].inner.written = INNER_REKEY_BYTES;
	assert_int_equal(inner_write(&sides[0].inner, (const uint8_t *)"x", 1, 0), TLS_FAILED);
	close_sides(sides);
}

static void a_broken_envelope_breaks_the_session(void **state)
{
	/* A bare handshake record, as TLS without the envelope would begin. */
	uint8_t bare[] = {22, 3, 1, 0, 4, 1, 0, 0, 0};
	struct side sides[2];

	open_sides(sides);
	assert_false(inner_feed(&sides[1].inner, bare, sizeof(bare)));
	assert_true(sides[1].inner.malformed);
	assert_non_null(strstr(inner_error(&sides[1].inner), "envelope"));
	close_sides(sides);
}

/* What an observer sees of a handshake in sizes: those of a web site, each time others. */
static void the_flights_of_a_handshake_have_no_size_of_their_own(void **state)
{
	size_t before[2] = {0}, same[2] = {0};

	for (size_t n = 0; n < 64; n++) {
		const uint8_t secret[ENVELOPE_SECRET_BYTES] = {(uint8_t)n};
		struct side sides[2];

		for (int i = 0; i < 2; i++) {
			sides[i] = (struct side){.wire = malloc(WIRE_ROOM)};
			assert_non_null(sides[i].wire);
			assert_true(inner_init(&sides[i].inner, contexts[i], i == 1, secret,
					       time(NULL)));
		}
		shake_hands(sides, 20480);
		for (int i = 0; i < 2; i++) {
			size_t first = (size_t)(sides[i].wire[3] << 8 | sides[i].wire[4]);

			assert_in_range(first, i == 0 ? 380 : 700, 16384);
			same[i] += first == before[i];
			before[i] = first;
		}
		close_sides(sides);
	}
	assert_in_range(same[0], 0, 3);
	assert_in_range(same[1], 0, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sessions_work_in_pieces_of_any_size),
		cmocka_unit_test(the_flights_of_a_handshake_have_no_size_of_their_own),
		cmocka_unit_test(an_end_is_told_from_a_cut),
		cmocka_unit_test(keys_are_renewed_by_bytes_and_time),
		cmocka_unit_test(a_renewal_renews_both),
		cmocka_unit_test(keys_are_renewed_all_the_time),
		cmocka_unit_test(keys_are_renewed_after_an_end),
		cmocka_unit_test(keys_that_cannot_be_renewed),
		cmocka_unit_test(a_broken_envelope_breaks_the_session),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
