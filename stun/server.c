/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server: what a STUN request is answered with.
 *
 * Theory of operation. One function, one request, no state: the header decides whether to answer at
 * all, the attributes with what. Requests that are not plain are checked in the order of RFC 8489
 * section 6.3: FINGERPRINT (silence), form (400), attributes that are not understood (420). What
 * passes is sent elsewhere while draining (300) or answered.
 *
 * Without a password credentials are understood but not asked for; so MESSAGE-INTEGRITY is passed
 * over and answers have none. With one (short-term credentials, section 9.1; the caller has found
 * it by USERNAME) what is not made with it is not answered at all, no matter what else is wrong
 * with it: section 9.1.3's errors 400 and 401 would tell a prober that STUN is spoken here. Errors
 * have no reason phrase: the numbers say it all, and phrases only help those who would have answers
 * be larger than requests.
 *
 * RFC 5780 needs two addresses of the client's family and datagrams; for other clients its
 * attributes are not understood, as if it were switched off. PADDING is answered with as much of it
 * as was in the request and fits an answer: never more bytes than came, so nothing is amplified,
 * and nothing comes in fragments either.
 */
#include "stun/server.h"

#include <assert.h>

#include "stun/integrity.h"

static const char *const outcome_names[] = {
	[STUN_ANSWERED] = "answered",	      [STUN_ANSWERED_ERROR] = "answered_error",
	[STUN_IGNORED_NOT_STUN] = "not_stun", [STUN_IGNORED_CLASS] = "class",
	[STUN_IGNORED_METHOD] = "method",     [STUN_IGNORED_DAMAGED] = "damaged",
	[STUN_IGNORED_UNPROVEN] = "unproven",
};
static_assert(sizeof outcome_names / sizeof outcome_names[0] == STUN_OUTCOMES, "a name for each");

/* A request and where it came in. */
struct asked {
	struct stun_message m;
	struct addr from; /* never v4-mapped */
	unsigned address, port;
	struct stun_bytes password;		/* that it was made with; len 0: none */
	const struct stun_behaviour *behaviour; /* NULL: RFC 5780 is not for this one */
};

const char *stun_outcome_name(enum stun_outcome o)
{
	return outcome_names[o];
}

int stun_message_length(const uint8_t *bytes, size_t len)
{
	struct stun_header h;

	if (len < STUN_HEADER_BYTES)
		return len > 0 && bytes[0] & 0xc0 ? -1 : 0;
	if (!stun_decode_header(bytes, len, &h) || STUN_HEADER_BYTES + h.length > STUN_REQUEST_MAX)
		return -1;
	return (int)(STUN_HEADER_BYTES + h.length);
}

static void stun_server_begin(struct stun_writer *w, struct stun_answer *out,
			      const struct stun_header *h, enum stun_class class)
{
	stun_write_begin(w, out->bytes, sizeof out->bytes, class, h->method, h->id);
}

/* It fits STUN_ANSWER_MAX. Where there is no memory for the proof the length is 0. */
static void stun_server_finish(struct stun_writer *w, struct stun_answer *out,
			       const struct asked *q)
{
	if (q->password.len > 0)
		stun_write_integrity_sha256(w, q->password);
	if (q->m.has & STUN_HAS_FINGERPRINT)
		stun_write_fingerprint(w);
	out->len = stun_write_end(w);
	assert(out->len > 0 || q->password.len > 0);
}

static enum stun_outcome answer_bad_request(const struct asked *q, struct stun_answer *out)
{
	struct stun_writer w;

	stun_server_begin(&w, out, &q->m.header, STUN_ERROR);
	stun_write_error(&w, STUN_BAD_REQUEST);
	stun_server_finish(&w, out, q);
	return STUN_ANSWERED_ERROR;
}

static enum stun_outcome answer_unknown(const struct asked *q, const struct stun_types *unknown,
					struct stun_answer *out)
{
	struct stun_writer w;

	stun_server_begin(&w, out, &q->m.header, STUN_ERROR);
	stun_write_error(&w, STUN_UNKNOWN_ATTRIBUTE);
	stun_write_unknown(&w, unknown);
	stun_server_finish(&w, out, q);
	return STUN_ANSWERED_ERROR;
}

static enum stun_outcome answer_alternate(const struct asked *q, const struct addr *alternate,
					  struct stun_answer *out)
{
	struct stun_writer w;

	stun_server_begin(&w, out, &q->m.header, STUN_ERROR);
	stun_write_error(&w, STUN_TRY_ALTERNATE);
	stun_write_address(&w, STUN_ALTERNATE_SERVER, alternate);
	stun_server_finish(&w, out, q);
	return STUN_ANSWERED_ERROR;
}

/* RFC 5780 section 6.1: where the answer comes from, where it goes, and what it says of both. */
static void write_behaviour(struct stun_writer *w, const struct asked *q, struct stun_answer *out)
{
	const struct stun_behaviour *b = q->behaviour;

	if (q->m.change_address)
		out->from_address = !q->address;
	if (q->m.change_port)
		out->from_port = !q->port;
	if (q->m.has & STUN_HAS_RESPONSE_PORT) {
		if (out->to.sa.sa_family == AF_INET)
			out->to.v4.sin_port = htons(q->m.response_port);
		else
			out->to.v6.sin6_port = htons(q->m.response_port);
	}
	stun_write_address(w, STUN_MAPPED_ADDRESS, &q->from);
	stun_write_address(w, STUN_RESPONSE_ORIGIN, &b->places[out->from_address][out->from_port]);
	stun_write_address(w, STUN_OTHER_ADDRESS, &b->places[!q->address][!q->port]);
}

static void write_padding(struct stun_writer *w, const struct asked *q)
{
	size_t bytes = q->m.padding_bytes;
	size_t room = w->room - w->len - 2 * STUN_ATTRIBUTE_BYTES - 4; /* FINGERPRINT may follow */

	if (q->password.len > 0)
		room -= STUN_ATTRIBUTE_BYTES + STUN_SHA256_BYTES;
	room &= ~(size_t)3;
	stun_write_bytes(w, STUN_PADDING, NULL, bytes < room ? bytes : room);
}

static enum stun_outcome answer_success(const struct asked *q, struct stun_answer *out)
{
	struct stun_writer w;

	stun_server_begin(&w, out, &q->m.header, STUN_SUCCESS);
	stun_write_address(&w, STUN_XOR_MAPPED_ADDRESS, &q->from);
	if (q->behaviour) {
		write_behaviour(&w, q, out);
		if (q->m.has & STUN_HAS_PADDING)
			write_padding(&w, q);
	}
	stun_server_finish(&w, out, q);
	return STUN_ANSWERED;
}

static const struct stun_behaviour *behaviour_for(const struct stun_server *s, const struct addr *a,
						  bool stream)
{
	if (!s->behaviour || stream || s->behaviour->places[0][0].sa.sa_family != a->sa.sa_family)
		return NULL;
	return s->behaviour;
}

/* Attributes that have to be understood, and by this server for this client are not. */
static struct stun_types find_unknown(const struct asked *q)
{
	struct stun_types unknown = q->m.unknown;

	if (q->behaviour)
		return unknown;
	if (q->m.has & STUN_HAS_CHANGE_REQUEST)
		stun_types_add(&unknown, STUN_CHANGE_REQUEST);
	if (q->m.has & STUN_HAS_RESPONSE_PORT)
		stun_types_add(&unknown, STUN_RESPONSE_PORT);
	if (q->m.has & STUN_HAS_PADDING)
		stun_types_add(&unknown, STUN_PADDING);
	return unknown;
}

/* RFC 5780 section 6.1: not both; and no datagram can be sent to port 0. */
static bool response_port_ok(const struct stun_message *m)
{
	return !(m->has & STUN_HAS_RESPONSE_PORT) ||
	       (m->response_port != 0 && !(m->has & STUN_HAS_PADDING));
}

static enum stun_outcome answer_request(const struct stun_server *s, const struct asked *q,
					struct stun_answer *out)
{
	const struct addr *alternate = &s->alternate[q->from.sa.sa_family == AF_INET6];
	struct stun_types unknown = find_unknown(q);

	if (unknown.count > 0)
		return answer_unknown(q, &unknown, out);
	if (!response_port_ok(&q->m))
		return answer_bad_request(q, out);
	if (s->draining && alternate->len > 0)
		return answer_alternate(q, alternate, out);
	return answer_success(q, out);
}

enum stun_outcome stun_server_answer(const struct stun_server *s, const uint8_t *request,
				     size_t len, const struct addr *from, unsigned address,
				     unsigned port, bool stream, struct stun_answer *out)
{
	struct stun_header header;
	struct asked q = {.password = s->password};
	enum stun_outcome outcome;
	enum stun_status status;

	if (len > STUN_REQUEST_MAX || !stun_decode_header(request, len, &header) ||
	    len - STUN_HEADER_BYTES != header.length)
		return STUN_IGNORED_NOT_STUN;
	if (header.class != STUN_REQUEST)
		return STUN_IGNORED_CLASS;
	if (header.method != STUN_BINDING)
		return STUN_IGNORED_METHOD;
	status = stun_decode(request, len, &q.m);
	if (status == STUN_DAMAGED)
		return STUN_IGNORED_DAMAGED;
	if (q.password.len > 0 &&
	    (status != STUN_OK || !stun_integrity_sha256_ok(&q.m, request, q.password)))
		return STUN_IGNORED_UNPROVEN;
	out->to = *from;
	out->from_address = address;
	out->from_port = port;
	if (status != STUN_OK) {
		q.m.header = header; /* of what was not decoded it is all that counts */
		return answer_bad_request(&q, out);
	}
	q.from = *from;
	addr_unmap(&q.from);
	q.address = address;
	q.port = port;
	q.behaviour = behaviour_for(s, &q.from, stream);
	outcome = answer_request(s, &q, out);
	return out->len > 0 ? outcome : STUN_IGNORED_UNPROVEN;
}
