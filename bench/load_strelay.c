/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_strelay: sessions through Syncthing's relay server (its relay protocol, version 1).
 *
 * The sink signs in over TLS and stays (JoinRelayRequest). For every session the source makes a TLS
 * connection of its own, asks for the sink (ConnectRequest) and gets a SessionInvitation with a
 * key; the sink gets one too. Both then join with their key over plain TCP. Messages are XDR:
 * {magic, type, length} and 32-bit big-endian fields, opaque ones with a length and padding.
 *
 * A join that reaches the relay while it is busy with the other side's is refused as "already
 * connected", and its key is spent. So the sink joins first, the source a moment later, and either
 * tells the other how it went, by shared memory; after a refusal both begin again, as agents would.
 * The relay tells the sink only who asks, hence every thread of the source is a device of its own.
 */
#include "bench/load.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <openssl/bytestring.h>
#include <openssl/digest.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "bench/load_tls.h"

#define MAGIC	     0x9e79bc40u
#define HEADER_BYTES 12u
#define BODY_MAX     1024u
#define KEY_MAX	     32u
#define RESPONSE_OK  0u
#define ID_BYTES     SHA256_DIGEST_LENGTH

enum message {
	PING = 0,
	PONG = 1,
	JOIN_RELAY_REQUEST = 2,
	JOIN_SESSION_REQUEST = 3,
	RESPONSE = 4,
	CONNECT_REQUEST = 5,
	SESSION_INVITATION = 6,
	RELAY_FULL = 7,
};

/* The moment after the sink's join in which the relay may not be ready for the source's. */
#define SETTLE_NS 200000

/* struct load_shared's note. */
struct strelay_note {
	uint8_t sink_id[ID_BYTES];
	uint8_t source_ids[LOAD_WORKERS_MAX][ID_BYTES];
	struct joins {
		_Atomic uint32_t accepted, refused;
	} sink[LOAD_WORKERS_MAX], source[LOAD_WORKERS_MAX]; /* of each device */
};
_Static_assert(sizeof(struct strelay_note) <= sizeof(((struct load_shared *)0)->note),
	       "the note has room");

/* Goes through a pipe with one write and one read: below PIPE_BUF, hence whole. */
struct invitation {
	uint8_t from[ID_BYTES];
	uint8_t key_len, key[KEY_MAX];
};

struct strelay {
	struct addr relay;
	struct strelay_note *note;
	SSL_CTX *contexts[LOAD_WORKERS_MAX]; /* source: of each device; sink: the first */
	_Atomic unsigned devices;	     /* source: taken by a thread */
	struct load_tls control;	     /* sink */
	int invitations[2];		     /* sink: pipe of struct invitation */
};

/* ---- identity: self-signed; the relay knows a device by its certificate's SHA-256 ---- */

static EVP_PKEY *make_key(void)
{
	EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
	EVP_PKEY *key = EVP_PKEY_new();

	if (!ec || !key || !EC_KEY_generate_key(ec) || !EVP_PKEY_assign_EC_KEY(key, ec))
		load_fail("cannot make a key");
	return key;
}

static X509 *make_certificate(EVP_PKEY *key)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_NAME_new();

	if (!cert || !name || !X509_set_version(cert, 2) ||
	    !ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) ||
	    !X509_gmtime_adj(X509_getm_notBefore(cert), -3600) ||
	    !X509_gmtime_adj(X509_getm_notAfter(cert), 86400) ||
	    !X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"syncthing", -1,
					-1, 0) ||
	    !X509_set_subject_name(cert, name) || !X509_set_issuer_name(cert, name) ||
	    !X509_set_pubkey(cert, key) || !X509_sign(cert, key, EVP_sha256()))
		load_fail("cannot make a certificate");
	X509_NAME_free(name);
	return cert;
}

/* The relay is the program that listens on loopback: its certificate is not looked at. */
static enum ssl_verify_result_t accept_any(SSL *ssl, uint8_t *alert)
{
	return ssl_verify_ok;
}

static SSL_CTX *make_device(uint8_t id[ID_BYTES])
{
	static const uint8_t alpn[] = "\x09"
				      "bep-relay";
	SSL_CTX *context = SSL_CTX_new(TLS_method());
	EVP_PKEY *key = make_key();
	X509 *cert = make_certificate(key);
	unsigned len = ID_BYTES;

	if (!context || !SSL_CTX_use_certificate(context, cert) ||
	    !SSL_CTX_use_PrivateKey(context, key) ||
	    SSL_CTX_set_alpn_protos(context, alpn, sizeof alpn - 1) != 0 ||
	    !X509_digest(cert, EVP_sha256(), id, &len))
		load_fail("cannot make a TLS context");
	SSL_CTX_set_custom_verify(context, SSL_VERIFY_PEER, accept_any);
	X509_free(cert);
	EVP_PKEY_free(key);
	return context;
}

static struct strelay *strelay_new(const struct load_options *o, struct load_shared *s)
{
	struct strelay *r = calloc(1, sizeof *r);

	if (!r)
		load_fail("out of memory");
	r->relay = o->relay;
	r->note = (struct strelay_note *)s->note;
	return r;
}

/* ---- messages ---- */

/* A message with no field, or with one opaque field. Returns its size. */
static size_t encode(enum message type, const uint8_t *field, size_t len, uint8_t *out, size_t room)
{
	static const uint8_t padding[3];
	CBB cbb;
	size_t body = field ? 4 + ((len + 3) & ~(size_t)3) : 0, n;

	if (!CBB_init_fixed(&cbb, out, room) || !CBB_add_u32(&cbb, MAGIC) ||
	    !CBB_add_u32(&cbb, (uint32_t)type) || !CBB_add_u32(&cbb, (uint32_t)body) ||
	    (field && (!CBB_add_u32(&cbb, (uint32_t)len) || !CBB_add_bytes(&cbb, field, len) ||
		       !CBB_add_bytes(&cbb, padding, -len & 3))) ||
	    !CBB_finish(&cbb, NULL, &n))
		load_fail("a message does not fit");
	return n;
}

static void decode_header(const uint8_t in[HEADER_BYTES], enum message *type, size_t *len)
{
	CBS cbs;
	uint32_t magic, number, body;

	CBS_init(&cbs, in, HEADER_BYTES);
	if (!CBS_get_u32(&cbs, &magic) || !CBS_get_u32(&cbs, &number) ||
	    !CBS_get_u32(&cbs, &body) || magic != MAGIC || body > BODY_MAX)
		load_fail("not a message of the relay protocol");
	*type = (enum message)number;
	*len = body;
}

static bool get_opaque(CBS *cbs, CBS *out)
{
	uint32_t len;

	return CBS_get_u32(cbs, &len) && CBS_get_bytes(cbs, out, len) && CBS_skip(cbs, -len & 3);
}

static struct invitation decode_invitation(const uint8_t *body, size_t len)
{
	struct invitation out = {0};
	CBS cbs, from, key;

	CBS_init(&cbs, body, len);
	if (!get_opaque(&cbs, &from) || !get_opaque(&cbs, &key) || CBS_len(&key) > KEY_MAX)
		load_fail("malformed invitation");
	out.key_len = (uint8_t)CBS_len(&key);
	if (!CBS_copy_bytes(&from, out.from, sizeof out.from) ||
	    !CBS_copy_bytes(&key, out.key, out.key_len))
		load_fail("malformed invitation");
	return out;
}

static size_t read_message(struct load_tls *c, enum message *type, uint8_t body[BODY_MAX])
{
	uint8_t header[HEADER_BYTES];
	size_t len;

	load_tls_read(c, header, sizeof header);
	decode_header(header, type, &len);
	load_tls_read(c, body, len);
	return len;
}

static void write_message(struct load_tls *c, enum message type, const uint8_t *field, size_t len)
{
	uint8_t out[HEADER_BYTES + BODY_MAX];

	load_tls_write(c, out, encode(type, field, len, out, sizeof out));
}

/* ---- sessions ---- */

/* A socket in the session, or -1 when the relay refused. */
static int join(struct strelay *r, const struct invitation *invitation)
{
	uint8_t message[HEADER_BYTES + BODY_MAX], body[BODY_MAX];
	int fd = load_dial(&r->relay);
	enum message type;
	uint32_t code;
	size_t len;
	CBS cbs;

	load_write(fd, message,
		   encode(JOIN_SESSION_REQUEST, invitation->key, invitation->key_len, message,
			  sizeof message));
	load_read(fd, message, HEADER_BYTES);
	decode_header(message, &type, &len);
	load_read(fd, body, len);
	CBS_init(&cbs, body, len);
	if (type != RESPONSE || !CBS_get_u32(&cbs, &code))
		load_fail("no response to a join");
	if (code == RESPONSE_OK)
		return fd;
	close(fd);
	return -1;
}

static void *source_start(const struct load_options *o, struct load_shared *s)
{
	struct strelay *r = strelay_new(o, s);

	for (unsigned i = 0; i < LOAD_WORKERS_MAX; i++)
		r->contexts[i] = make_device(r->note->source_ids[i]);
	return r;
}

static struct invitation ask(struct strelay *r, unsigned device)
{
	struct load_tls c;
	uint8_t body[BODY_MAX];
	enum message type;
	size_t len;

	load_tls_dial(&c, &r->relay, r->contexts[device]);
	write_message(&c, CONNECT_REQUEST, r->note->sink_id, ID_BYTES);
	len = read_message(&c, &type, body);
	if (type != SESSION_INVITATION)
		load_fail("no invitation but message %d", type);
	load_tls_close(&c);
	return decode_invitation(body, len);
}

static void pause_ns(long ns)
{
	const struct timespec t = {0, ns};

	nanosleep(&t, NULL);
}

/* How the other side's join went that follows those in before. */
static bool join_accepted(const struct joins *now, const struct joins *before)
{
	for (;;) {
		if (atomic_load(&now->accepted) != before->accepted)
			return true;
		if (atomic_load(&now->refused) != before->refused)
			return false;
		pause_ns(20000);
	}
}

static void tell(struct joins *joins, bool accepted)
{
	atomic_fetch_add(accepted ? &joins->accepted : &joins->refused, 1);
}

static int strelay_open(void *state)
{
	static _Thread_local int own = -1;
	struct strelay *r = state;
	unsigned device;

	if (own < 0)
		own = (int)(atomic_fetch_add(&r->devices, 1) % LOAD_WORKERS_MAX);
	device = (unsigned)own;
	for (;;) {
		const struct joins before = r->note->sink[device];
		struct invitation invitation = ask(r, device);
		int fd;

		if (!join_accepted(&r->note->sink[device], &before))
			continue;
		pause_ns(SETTLE_NS);
		fd = join(r, &invitation);
		tell(&r->note->source[device], fd >= 0);
		if (fd >= 0)
			return fd;
	}
}

static void *watch_control(void *arg)
{
	struct strelay *r = arg;

	for (;;) {
		uint8_t body[BODY_MAX];
		enum message type;
		size_t len = read_message(&r->control, &type, body);
		struct invitation invitation;

		if (type == PING)
			write_message(&r->control, PONG, NULL, 0);
		if (type != SESSION_INVITATION)
			continue;
		invitation = decode_invitation(body, len);
		if (write(r->invitations[1], &invitation, sizeof invitation) != sizeof invitation)
			load_fail("pipe: %s", strerror(errno));
	}
}

static void *sink_start(const struct load_options *o, struct load_shared *s)
{
	struct strelay *r = strelay_new(o, s);
	uint8_t body[BODY_MAX];
	enum message type;
	pthread_t thread;

	r->contexts[0] = make_device(r->note->sink_id);
	load_tls_dial(&r->control, &r->relay, r->contexts[0]);
	write_message(&r->control, JOIN_RELAY_REQUEST, NULL, 0);
	if (read_message(&r->control, &type, body) < 4 || type != RESPONSE ||
	    body[3] != RESPONSE_OK)
		load_fail("the relay did not let the sink join");
	if (pipe(r->invitations) < 0)
		load_fail("pipe: %s", strerror(errno));
	load_thread(&thread, watch_control, r);
	return r;
}

static unsigned device_of(const struct strelay_note *note, const uint8_t id[ID_BYTES])
{
	for (unsigned i = 0; i < LOAD_WORKERS_MAX; i++)
		if (memcmp(note->source_ids[i], id, ID_BYTES) == 0)
			return i;
	load_fail("an invitation from an unknown device");
}

static int strelay_accept(void *state)
{
	struct strelay *r = state;

	for (;;) {
		struct invitation invitation;
		struct joins before;
		unsigned device;
		int fd;

		if (read(r->invitations[0], &invitation, sizeof invitation) != sizeof invitation)
			load_fail("pipe: %s", strerror(errno));
		device = device_of(r->note, invitation.from);
		before = r->note->source[device];
		fd = join(r, &invitation);
		tell(&r->note->sink[device], fd >= 0);
		if (fd >= 0 && join_accepted(&r->note->source[device], &before))
			return fd;
		if (fd >= 0)
			close(fd);
	}
}

const struct load_path load_path_strelay = {
	.name = "strelay",
	.source_start = source_start,
	.open = strelay_open,
	.sink_start = sink_start,
	.accept = strelay_accept,
};
