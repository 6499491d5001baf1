/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signing: packets to and from a signer, by CBS alone: the relay that writes them may have been
 * taken over.
 *
 * request: u8 duty, u64 number, then
 *          SIGN     key[32], u16 algorithm, u16 length, input
 *          HAS      u8 use, key[32]
 *          READ     u8 file
 *          PLACE    u8 file, u16 length, path without a zero byte
 *          STATE    u16 length, path without a zero byte
 *          MAKE     u8 use, key[32], u16 length, hosts: of each u8 length, text
 *          KEEP     u8 use, key[32]
 * reply:   u64 number, u32 -status, u32 length, data
 */
#include "core/parse/signing.h"

#include <string.h>

/* ---- what may be signed --------------------------------------------------------------------- */

#define VERIFY_SPACES  64u
#define VERIFY_CONTEXT "TLS 1.3, server CertificateVerify"
#define RANDOMS_BYTES  64u /* the client's and the server's */
#define NAMED_CURVE    3u

/* 64 spaces, the context and its zero byte, the hash of the handshake so far. */
static bool input_of_tls13(CBS input)
{
	uint8_t byte;
	CBS context;

	for (unsigned i = 0; i < VERIFY_SPACES; i++)
		if (!CBS_get_u8(&input, &byte) || byte != ' ')
			return false;
	return CBS_get_bytes(&input, &context, sizeof(VERIFY_CONTEXT)) &&
	       CBS_mem_equal(&context, (const uint8_t *)VERIFY_CONTEXT, sizeof(VERIFY_CONTEXT)) &&
	       (CBS_len(&input) == 32 || CBS_len(&input) == 48);
}

/* The bytes of a public value in this group; 0: no group that is used. */
static size_t point_bytes(uint16_t group)
{
	switch (group) {
	case 23: /* P-256 */
		return 65;
	case 24: /* P-384 */
		return 97;
	case 25: /* P-521 */
		return 133;
	case 29: /* X25519 */
		return 32;
	default:
		return 0;
	}
}

/* Both randoms and ServerECDHParams. The byte behind the randoms tells it from the text above,
 * whichever randoms a relay would choose. */
static bool input_of_tls12(CBS input)
{
	uint8_t type;
	uint16_t group;
	CBS point;

	return CBS_skip(&input, RANDOMS_BYTES) && CBS_get_u8(&input, &type) &&
	       type == NAMED_CURVE && CBS_get_u16(&input, &group) && point_bytes(group) > 0 &&
	       CBS_get_u8_length_prefixed(&input, &point) &&
	       CBS_len(&point) == point_bytes(group) && CBS_len(&input) == 0;
}

bool signing_input_ok(CBS input)
{
	return input_of_tls13(input) || input_of_tls12(input);
}

/* ---- requests -------------------------------------------------------------------------------- */

static bool request_file(CBS *in, struct signing_request *r)
{
	uint8_t file;

	if (!CBS_get_u8(in, &file) || file >= SIGNING_FILES)
		return false;
	r->file = (enum signing_file)file;
	return true;
}

static bool request_use(CBS *in, struct signing_request *r)
{
	uint8_t use;

	if (!CBS_get_u8(in, &use) || use >= SIGNING_USES)
		return false;
	r->use = (enum signing_use)use;
	return CBS_copy_bytes(in, r->key, sizeof(r->key));
}

bool signing_next_host(CBS *hosts, CBS *out)
{
	CBS rest = *hosts, one;

	if (!CBS_get_u8_length_prefixed(&rest, &one) || CBS_len(&one) == 0 ||
	    memchr(CBS_data(&one), '\0', CBS_len(&one)))
		return false;
	*hosts = rest;
	*out = one;
	return true;
}

static bool hosts_ok(CBS hosts)
{
	CBS one;

	if (CBS_len(&hosts) > SIGNING_HOSTS_BYTES)
		return false;
	while (signing_next_host(&hosts, &one))
		;
	return CBS_len(&hosts) == 0;
}

static bool path_ok(const CBS *path)
{
	return CBS_len(path) > 0 && CBS_len(path) <= SIGNING_PATH_MAX &&
	       !memchr(CBS_data(path), '\0', CBS_len(path));
}

static bool request_body(CBS *in, struct signing_request *r)
{
	switch (r->duty) {
	case SIGNING_SIGN:
		return CBS_copy_bytes(in, r->key, sizeof(r->key)) &&
		       CBS_get_u16(in, &r->algorithm) &&
		       CBS_get_u16_length_prefixed(in, &r->input) &&
		       CBS_len(&r->input) <= SIGNING_INPUT_MAX;
	case SIGNING_HAS:
	case SIGNING_KEEP:
		return request_use(in, r);
	case SIGNING_MAKE:
		return request_use(in, r) && CBS_get_u16_length_prefixed(in, &r->input) &&
		       hosts_ok(r->input);
	case SIGNING_STATE:
		return CBS_get_u16_length_prefixed(in, &r->input) && path_ok(&r->input);
	case SIGNING_READ:
		return request_file(in, r);
	case SIGNING_PLACE:
		return request_file(in, r) && CBS_get_u16_length_prefixed(in, &r->input) &&
		       path_ok(&r->input);
	case SIGNING_CHANNEL:
	case SIGNING_SEAL:
		return true;
	}
	return false;
}

bool signing_request_decode(const uint8_t *packet, size_t len, struct signing_request *out)
{
	struct signing_request r = {.number = 0};
	uint8_t duty;
	CBS in;

	CBS_init(&in, packet, len);
	CBS_init(&r.input, NULL, 0);
	if (!CBS_get_u8(&in, &duty) || !CBS_get_u64(&in, &r.number))
		return false;
	r.duty = (enum signing_duty)duty;
	if (!request_body(&in, &r) || CBS_len(&in) > 0)
		return false;
	*out = r;
	return true;
}

static bool put_input(CBB *out, const CBS *input)
{
	CBB part;

	return CBB_add_u16_length_prefixed(out, &part) &&
	       CBB_add_bytes(&part, CBS_data(input), CBS_len(input)) && CBB_flush(out);
}

static bool put_body(CBB *out, const struct signing_request *r)
{
	switch (r->duty) {
	case SIGNING_SIGN:
		return CBS_len(&r->input) <= SIGNING_INPUT_MAX &&
		       CBB_add_bytes(out, r->key, sizeof(r->key)) &&
		       CBB_add_u16(out, r->algorithm) && put_input(out, &r->input);
	case SIGNING_HAS:
	case SIGNING_KEEP:
		return CBB_add_u8(out, (uint8_t)r->use) &&
		       CBB_add_bytes(out, r->key, sizeof(r->key));
	case SIGNING_MAKE:
		return hosts_ok(r->input) && CBB_add_u8(out, (uint8_t)r->use) &&
		       CBB_add_bytes(out, r->key, sizeof(r->key)) && put_input(out, &r->input);
	case SIGNING_READ:
		return CBB_add_u8(out, (uint8_t)r->file);
	case SIGNING_PLACE:
		return path_ok(&r->input) && CBB_add_u8(out, (uint8_t)r->file) &&
		       put_input(out, &r->input);
	case SIGNING_STATE:
		return path_ok(&r->input) && put_input(out, &r->input);
	case SIGNING_CHANNEL:
	case SIGNING_SEAL:
		return true;
	}
	return false;
}

bool signing_request_encode(const struct signing_request *r, uint8_t *packet, size_t room,
			    size_t *len)
{
	CBB out;
	bool ok = CBB_init_fixed(&out, packet, room) && CBB_add_u8(&out, (uint8_t)r->duty) &&
		  CBB_add_u64(&out, r->number) && put_body(&out, r) && CBB_finish(&out, NULL, len);

	CBB_cleanup(&out);
	return ok;
}

/* ---- replies --------------------------------------------------------------------------------- */

#define STATUS_MAX 4095u /* errno's */

bool signing_reply_decode(const uint8_t *packet, size_t len, struct signing_reply *out)
{
	struct signing_reply r;
	uint32_t status;
	CBS in;

	CBS_init(&in, packet, len);
	if (!CBS_get_u64(&in, &r.number) || !CBS_get_u32(&in, &status) || status > STATUS_MAX ||
	    !CBS_get_u32(&in, &r.length) || CBS_len(&in) > r.length)
		return false;
	r.status = -(int)status;
	r.data = in;
	*out = r;
	return true;
}

void signing_reply_head(const struct signing_reply *r, uint8_t out[SIGNING_REPLY_HEAD])
{
	size_t len;
	CBB head;

	if (!CBB_init_fixed(&head, out, SIGNING_REPLY_HEAD) || !CBB_add_u64(&head, r->number) ||
	    !CBB_add_u32(&head, (uint32_t)-r->status) || !CBB_add_u32(&head, r->length) ||
	    !CBB_finish(&head, NULL, &len))
		memset(out, 0xff, SIGNING_REPLY_HEAD); /* cannot be: it has the size of these */
	CBB_cleanup(&head);
}
