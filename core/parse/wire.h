/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire: the Postern messages, from bytes to structs and back. docs/protocol.md is their text.
 *
 * A frame is {u8 version, u8 type, u16 length, body}. Decoded fields point into the frame: they
 * live as long as its bytes do. Texts are length-counted, UTF-8 without control characters and
 * never zero-terminated on the wire; names are checked against the name rule below while decoding.
 *
 * Nine messages end in extensions, {u16 id, bytes16 value} each: what later versions have to say
 * without a new frame. An id below WIRE_EXTENSION_CRITICAL that the receiver does not know is
 * skipped; any other makes the message one to refuse, by the answer that the protocol has for it.
 * To add one: a row in WIRE_EXTENSIONS, wire_extension_add() where the message is made,
 * wire_extension_get() where it is read.
 */
#ifndef POSTERN_PARSE_WIRE_H
#define POSTERN_PARSE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/must_check.h"

#define WIRE_VERSION	    2u
#define WIRE_HEADER_BYTES   4u
#define WIRE_BODY_MAX	    12288u /* with its header still one TLS record */
#define WIRE_FRAME_MAX	    (WIRE_HEADER_BYTES + WIRE_BODY_MAX)
#define WIRE_NAME_MAX	    63u /* agents and services */
#define WIRE_TEXT_MAX	    512u
#define WIRE_RELAY_MAX	    63u /* a relay's name, free text */
#define WIRE_SOFTWARE_MAX   64u
#define WIRE_ADDRESS_MAX    64u
#define WIRE_CERT_MAX	    8192u
#define WIRE_SIGNATURE_MAX  512u
#define WIRE_SECRET_BYTES   32u
#define WIRE_SERVICES_MAX   128u /* in one PUBLISH */
#define WIRE_CANDIDATES_MAX 6u
#define WIRE_REVOKED_MAX    64u	  /* in one REVOKED */
#define WIRE_REVOCATION_MAX 64u	  /* the value of one */
#define WIRE_SIGNED_MAX	    4096u /* a signed revocation: core/parse/revocation.h */

#define WIRE_EXTENSIONS_MAX	16u
#define WIRE_EXTENSIONS_BYTES	2048u	/* in one message: ids, lengths and values */
#define WIRE_EXTENSION_CRITICAL 0x8000u /* from here on: to be understood, or refused */
#define WIRE_EXTENSION_TEXT_MAX 96u /* what wire_explain_extension() writes, its zero byte too */

/* Services of Postern itself; no agent publishes one. Every agent has the first, for consoles only.
 */
#define WIRE_OWN_SERVICES    "postern/"
#define WIRE_CONTROL_SERVICE WIRE_OWN_SERVICES "control"

/* X(number, NAME) */
#define WIRE_MESSAGES(X)                                                                           \
	X(0x01, HELLO)	   /* agent -> relay, first on a link */                                   \
	X(0x02, WELCOME)   /* relay -> agent */                                                    \
	X(0x03, PUBLISH)   /* agent -> relay: the whole set of services */                         \
	X(0x04, PUBLISHED) /* relay -> agent: how many are in force */                             \
	X(0x05, OFFER)	   /* relay -> agent: a session is wanted */                               \
	X(0x06, REFUSE)	   /* agent -> relay: no to an OFFER */                                    \
	X(0x07, PING)	   /* either way on a link */                                              \
	X(0x08, PONG)	   /* the answer, same token */                                            \
	X(0x09, DRAIN)	   /* relay -> agent: open nothing new here */                             \
	X(0x0a, BYE)	   /* last message before a close, with the reason */                      \
	X(0x0b, REVOKED)   /* relay -> agent: a part of the list of revoked certificates */        \
	X(0x0c, TAGKEY)	   /* relay -> agent: the key to make tags with from now on */             \
	X(0x0d, SIGNED)	   /* relay -> agent: a revocation that a console or a CA has signed */    \
	X(0x0e, PROVE)	   /* either way on a link: a newer certificate */                         \
	X(0x0f, ENDED)	   /* either way on a link: who says it ends this session, and why */      \
	X(0x10, LEG)	   /* agent -> relay, first on a leg */                                    \
	X(0x11, READY)	   /* relay -> agent: the leg is idle (warm) */                            \
	X(0x12, OPEN)	   /* agent -> relay on an idle leg: wants a service */                    \
	X(0x13, ACCEPT)	   /* agent -> relay on an idle leg: yes to an OFFER */                    \
	X(0x14, GO)	   /* relay -> agent: paired; raw bytes follow, both ways */               \
	X(0x15, FAIL)	   /* relay -> agent: no to OPEN or ACCEPT; the leg is idle again */       \
	X(0x20, REQUEST)   /* agent -> agent, first inside the inner TLS */                        \
	X(0x21, RESULT)	   /* agent -> agent, the answer; raw bytes follow */

enum wire_type {
#define X(number, name) WIRE_##name = number,
	WIRE_MESSAGES(X)
#undef X
};

struct wire_bytes {
	const uint8_t *data;
	size_t len;
};

#define WIRE_HELLO_TRANSIENT 0x01u /* does not publish, does not replace an agent of this name */
#define WIRE_HELLO_CONSOLE   0x02u /* a console: JSON-RPC lines follow WELCOME */
#define WIRE_HELLO_FLAGS     (WIRE_HELLO_TRANSIENT | WIRE_HELLO_CONSOLE)

enum wire_offer_kind { WIRE_OFFER_AGENT = 0, WIRE_OFFER_PUBLIC = 1 };

/* Where this agent can be reached without a relay, as it believes: "tcp:203.0.113.7:443". */
struct wire_candidates {
	size_t count;
	struct wire_bytes items[WIRE_CANDIDATES_MAX];
};

/* A list of revocations is told whole, in parts: FIRST begins it, and what it says counts from LAST
 * on. */
#define WIRE_REVOKED_FIRST 0x01u
#define WIRE_REVOKED_LAST  0x02u
#define WIRE_REVOKED_FLAGS (WIRE_REVOKED_FIRST | WIRE_REVOKED_LAST)

enum wire_revocation_kind {
	WIRE_REVOKED_NAME = 1,
	WIRE_REVOKED_SERIAL = 2,
	WIRE_REVOKED_KEY = 3,
};

struct wire_revocation {
	uint8_t kind; /* enum wire_revocation_kind */
	struct wire_bytes value;
	uint64_t before; /* of certificates that begin before this second (of Unix); 0: of all */
};

struct wire_revocations {
	uint8_t flags;
	size_t count;
	struct wire_revocation items[WIRE_REVOKED_MAX];
};

/* X(number, NAME, messages), where messages is WIRE_IN(HELLO) | WIRE_IN(OPEN) and so on. A number
 * means the same in each of them. */
#define WIRE_EXTENSIONS(X)                                                                         \
	X(0x0001, PAD, WIRE_IN(PING) | WIRE_IN(PONG)) /* zeros, so that sizes differ */            \
	/* The session stays in the leg's own TLS, whose other end is the relay. */                \
	X(0x8010, OUTER_TLS, WIRE_IN(OFFER) | WIRE_IN(GO))
#define WIRE_IN(message) (UINT64_C(1) << WIRE_##message)
#define WIRE_PAD_MAX	 127u /* bytes that a sender of ours adds */

enum wire_extension_id {
#define X(number, name, messages) WIRE_EXTENSION_##name = number,
	WIRE_EXTENSIONS(X)
#undef X
};

struct wire_extension {
	uint16_t id;
	struct wire_bytes value; /* decoded: borrowed from the frame */
};

struct wire_extensions {
	uint16_t unknown; /* decoded: the first critical id that is unknown here; 0: none */
	size_t count;
	struct wire_extension items[WIRE_EXTENSIONS_MAX]; /* in their order on the wire */
};

struct wire_message {
	enum wire_type type;
	struct wire_extensions extensions; /* of the messages that wire_type_extends() names */
	union {
		struct {
			uint8_t flags;
			struct wire_bytes agent, software, certificate, signature;
		} hello;
		struct {
			struct wire_bytes relay, your_address; /* "198.51.100.7:40112" */
			uint64_t link;
			uint8_t leg_secret[WIRE_SECRET_BYTES];
			uint16_t ping_interval_s;
			uint16_t max_legs;     /* idle and opening, of this link */
			uint32_t max_sessions; /* of this agent */
		} welcome;
		struct {
			size_t count;
			struct wire_bytes services[WIRE_SERVICES_MAX];
		} publish;
		struct wire_revocations revoked;
		struct {
			uint16_t count;
		} published;
		struct {
			uint64_t session;
			enum wire_offer_kind kind;
			struct wire_bytes from; /* the asking agent; empty when public */
			struct wire_bytes service;
			struct wire_bytes
				source; /* "198.51.100.7:40112": the asking side's address */
			struct wire_bytes local; /* the relay's address that it came in on */
		} offer;
		struct {
			uint64_t session;
			uint16_t reason;
			struct wire_bytes text;
		} refuse;
		struct {
			uint64_t token;
		} ping, pong;
		struct {
			uint16_t reconnect_after_s;
		} drain;
		struct {
			uint16_t reason;
			struct wire_bytes text;
		} bye, fail;
		struct {
			uint8_t key[WIRE_SECRET_BYTES];
		} tagkey;
		struct {
			struct wire_bytes object;
		} signed_revocation;
		struct {
			uint64_t session;
			struct wire_bytes certificate, signature;
		} prove;
		struct {
			uint64_t session;
			struct wire_bytes cause; /* a letter of core/parse/ending.h */
			struct wire_bytes text;
		} ended;
		struct {
			uint64_t link;
			uint8_t proof[WIRE_SECRET_BYTES];
		} leg;
		struct {
			struct wire_bytes to, service;
		} open;
		struct {
			uint64_t session;
		} accept;
		struct {
			uint64_t session;
			uint8_t secret[WIRE_SECRET_BYTES]; /* of the envelope */
		} go;
		struct {
			struct wire_bytes service;
			struct wire_bytes source; /* the local client's "address:port", or empty */
			struct wire_candidates candidates;
		} request;
		struct {
			uint16_t reason;
			struct wire_bytes text;
			struct wire_candidates candidates;
		} result;
	};
};

enum wire_status {
	WIRE_OK,
	WIRE_SHORT,
	WIRE_MALFORMED,
	WIRE_BAD_VERSION,
	WIRE_UNKNOWN_EXTENSION, /* all is well but for extensions.unknown: refuse the message */
};

/*
 * Decodes the frame at the start of in. WIRE_OK: *out is filled and *used is the frame's size.
 * WIRE_SHORT: more bytes are needed (never for more than WIRE_FRAME_MAX). WIRE_UNKNOWN_EXTENSION:
 * outputs as for WIRE_OK, so that the answer can name what it refuses: REFUSE an OFFER, FAIL an
 * OPEN, RESULT for a REQUEST, BYE otherwise. At the other two, close with a BYE; they and
 * WIRE_SHORT leave the outputs alone.
 */
enum wire_status wire_decode(const uint8_t *in, size_t len, struct wire_message *out,
			     size_t *used) MUST_CHECK;

/* Encodes into out; returns the size, or 0 when a field breaks a limit or out is too small. Reasons
 * from REASON_WIRE_END do not encode, nor does REASON_OK in REFUSE and FAIL, nor a critical
 * extension that this side would refuse. */
size_t wire_encode(const struct wire_message *m, uint8_t *out, size_t room) MUST_CHECK;

/* "OPEN" and so on; "UNKNOWN" for others. */
const char *wire_type_name(unsigned type);
/* Whether messages of this type end in extensions. */
bool wire_type_extends(enum wire_type type) MUST_CHECK;

/* Adds a value, which is borrowed. False: there are WIRE_EXTENSIONS_MAX already. */
bool wire_extension_add(struct wire_message *m, uint16_t id, struct wire_bytes value) MUST_CHECK;
/* Adds PAD, 0 to WIRE_PAD_MAX bytes of it as number tells, to a message that has no extensions. */
void wire_pad(struct wire_message *m, uint64_t number);
/* False, *value untouched, when the message has none of this id. */
bool wire_extension_get(const struct wire_message *m, uint16_t id,
			struct wire_bytes *value) MUST_CHECK;
/* The sentence for REASON_EXTENSION; who is "this relay", "this agent". */
void wire_explain_extension(const struct wire_message *m, const char *who,
			    char out[WIRE_EXTENSION_TEXT_MAX]);

/*
 * The name rule: 1 to WIRE_NAME_MAX of a-z 0-9 - _ and, in services, . and / (never two of these
 * side by side); beginning and ending with a letter or digit. An agent's name has no dot because it
 * is the last label in SERVICE.AGENT.postern, and no slash because AGENT/SERVICE splits at it.
 */
bool wire_agent_name_ok(const uint8_t *name, size_t len) MUST_CHECK;
bool wire_service_name_ok(const uint8_t *name, size_t len) MUST_CHECK;
/* The same of strings. Consoles and relays are named as agents are. */
bool wire_is_agent_name(const char *text) MUST_CHECK;
bool wire_is_service_name(const char *text) MUST_CHECK;
/* For people, behind "write". */
#define WIRE_AGENT_NAME_RULE "1 to 63 of a-z 0-9 - _ and begin and end with a letter or digit"
/* A name, or the serial number (1 to 23 bytes) or SHA-256 of the key of a certificate in hex, small
 * letters. */
bool wire_revocation_ok(enum wire_revocation_kind kind, struct wire_bytes value) MUST_CHECK;
/* UTF-8 for people: no controls, and none that turns the direction of text. */
bool wire_text_ok(struct wire_bytes b) MUST_CHECK;
/* Splits "AGENT/SERVICE" at the first slash; false, outputs untouched, when either part breaks the
 * rule. */
bool wire_split_target(const char *text, char agent[WIRE_NAME_MAX + 1],
		       char service[WIRE_NAME_MAX + 1]) MUST_CHECK;

static inline struct wire_bytes wire_text(const char *s)
{
	return (struct wire_bytes){(const uint8_t *)s, __builtin_strlen(s)};
}
bool wire_bytes_equal(struct wire_bytes a, struct wire_bytes b) MUST_CHECK;
/* Copies into a zero-terminated text of room bytes (at least 1), cutting where it must, but never
 * inside a UTF-8 character. */
void wire_bytes_copy(struct wire_bytes b, char *out, size_t room);

#endif
