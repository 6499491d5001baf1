/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stun_fuzz: any bytes as a STUN message, and as a request to the server. What is understood says
 * the same when written and read again; an answer is a STUN message that answers, and hardly longer
 * than what it answers.
 * links: stun/message.c stun/integrity.c stun/server.c core/addr.c
 */
#include "fuzz/prefix.h"
#include "stun/integrity.h"
#include "stun/server.h"

/* XOR-MAPPED-ADDRESS of IPv6; with RFC 5780 three more addresses. */
#define ANSWER_MORE_MAX	     24u
#define ANSWER_BEHAVIOUR_MAX 96u

#define PASSWORD "VOkJxbRl1RmTxUk/WvJxBt" /* of tests/support/rfc5769.h: seeds are made with it */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void write_addresses(struct stun_writer *w, const struct stun_message *m)
{
	if (m->has & STUN_HAS_MAPPED_ADDRESS)
		stun_write_address(w, STUN_MAPPED_ADDRESS, &m->mapped);
	if (m->has & STUN_HAS_XOR_MAPPED_ADDRESS)
		stun_write_address(w, STUN_XOR_MAPPED_ADDRESS, &m->xor_mapped);
	if (m->has & STUN_HAS_ALTERNATE_SERVER)
		stun_write_address(w, STUN_ALTERNATE_SERVER, &m->alternate);
	if (m->has & STUN_HAS_RESPONSE_ORIGIN)
		stun_write_address(w, STUN_RESPONSE_ORIGIN, &m->origin);
	if (m->has & STUN_HAS_OTHER_ADDRESS)
		stun_write_address(w, STUN_OTHER_ADDRESS, &m->other);
}

static void check_same(const struct stun_message *a, const struct stun_message *b)
{
	const struct addr *before[] = {&a->mapped, &a->xor_mapped, &a->alternate, &a->origin,
				       &a->other};
	const struct addr *after[] = {&b->mapped, &b->xor_mapped, &b->alternate, &b->origin,
				      &b->other};
	char x[ADDR_TEXT_BYTES], y[ADDR_TEXT_BYTES];

	for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
		assert((before[i]->len == 0) == (after[i]->len == 0));
		if (before[i]->len == 0)
			continue;
		addr_format(before[i], x);
		addr_format(after[i], y);
		assert(strcmp(x, y) == 0);
	}
	assert(a->change_address == b->change_address && a->change_port == b->change_port);
	assert(a->response_port == b->response_port && a->padding_bytes == b->padding_bytes);
	assert(a->refused.count == b->refused.count);
}

static void check_writing(const struct stun_message *m)
{
	static uint8_t bytes[STUN_MESSAGE_MAX];
	struct stun_writer w;
	struct stun_message again;

	stun_write_begin(&w, bytes, sizeof bytes, m->header.class, m->header.method, m->header.id);
	write_addresses(&w, m);
	if (m->has & STUN_HAS_CHANGE_REQUEST)
		stun_write_change_request(&w, m->change_address, m->change_port);
	if (m->has & STUN_HAS_RESPONSE_PORT)
		stun_write_response_port(&w, m->response_port);
	if (m->has & STUN_HAS_PADDING)
		stun_write_bytes(&w, STUN_PADDING, NULL, m->padding_bytes);
	if (m->has & STUN_HAS_UNKNOWN_ATTRIBUTES)
		stun_write_unknown(&w, &m->refused);
	stun_write_fingerprint(&w);
	size_t len = stun_write_end(&w);
	if (len == 0)
		return; /* an odd list of types at the very limit */
	assert(stun_decode(bytes, len, &again) == STUN_OK);
	check_same(m, &again);
}

static void check_server(const struct stun_server *s, const uint8_t *data, size_t len,
			 const struct addr *from, bool stream, size_t more)
{
	struct stun_answer answer;
	struct stun_message m;
	enum stun_outcome o;

	memset(&answer, 0xa5, sizeof answer);
	o = stun_server_answer(s, data, len, from, 0, 0, stream, &answer);
	if (o != STUN_ANSWERED && o != STUN_ANSWERED_ERROR) {
		assert(fuzz_untouched(&answer, sizeof answer));
		return;
	}
	assert(stun_decode(answer.bytes, answer.len, &m) == STUN_OK);
	assert(m.header.class == (o == STUN_ANSWERED ? STUN_SUCCESS : STUN_ERROR));
	assert(memcmp(m.header.id, data + 8, STUN_ID_BYTES) == 0);
	assert(answer.len <= len + more);
	assert(!stream || stun_message_length(data, len) == (int)len);
}

static struct addr literal(const char *host, uint16_t port)
{
	struct addr a;

	if (!addr_from_literal(host, port, &a))
		abort();
	return a;
}

/* Who has the password is answered with it, and no one else is answered. */
static void check_password(const uint8_t *data, size_t len, const struct addr *from)
{
	const struct stun_server s = {.password = {(const uint8_t *)PASSWORD, strlen(PASSWORD)}};
	struct stun_answer answer;
	struct stun_message m;
	enum stun_outcome o = stun_server_answer(&s, data, len, from, 0, 0, true, &answer);
	bool answered = o == STUN_ANSWERED || o == STUN_ANSWERED_ERROR;

	if (stun_decode(data, len, &m) != STUN_OK || len > STUN_REQUEST_MAX ||
	    m.header.class != STUN_REQUEST || m.header.method != STUN_BINDING) {
		assert(!answered);
		return;
	}
	assert(answered == stun_integrity_sha256_ok(&m, data, s.password));
	if (!answered)
		return;
	assert(stun_decode(answer.bytes, answer.len, &m) == STUN_OK);
	assert(stun_integrity_sha256_ok(&m, answer.bytes, s.password));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct addr v4 = literal("192.0.2.1", 4711), v6 = literal("2001:db8::1", 4711);
	struct stun_behaviour b = {{{literal("45.0.0.1", 1), literal("45.0.0.1", 2)},
				    {literal("45.0.0.2", 1), literal("45.0.0.2", 2)}}};
	struct stun_server plain = {0}, full = {.behaviour = &b}, draining = {.draining = true};
	struct stun_message m;

	draining.alternate[0] = v4;
	memset(&m, 0xa5, sizeof m);
	if (stun_decode(data, len, &m) == STUN_OK) {
		assert(m.header.length + STUN_HEADER_BYTES == len);
		check_writing(&m);
	} else {
		assert(fuzz_untouched(&m, sizeof m));
	}
	check_server(&plain, data, len, &v6, true, ANSWER_MORE_MAX);
	check_server(&draining, data, len, &v4, false, ANSWER_MORE_MAX);
	check_server(&full, data, len, &v4, false, ANSWER_BEHAVIOUR_MAX);
	check_password(data, len, &v4);
	return 0;
}
