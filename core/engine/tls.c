/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls: one TLS connection as an engine: bytes in, bytes out, no sockets.
 *
 * BoringSSL reads and writes through a BIO of our own. Its read side serves what was fed and says
 * "retry" when that is used up; its write side appends to the output and never refuses, so that a
 * write is complete when the call returns. Both are plain byte queues that give their memory back
 * when they run empty: an idle connection holds the SSL object and struct tls, no buffer.
 *
 * BoringSSL sees whole records only: of one that has begun to come it would hold the bytes in a
 * buffer of the record's size, from malloc() itself, which no account sees (core/memory.h).
 *
 * tls_unread() is exact because BoringSSL asks its BIO for a record's five header bytes and then
 * for exactly the body (it has no read-ahead), and reads a record only when it is asked for
 * plaintext.
 *
 * #syscalls-rare getrandom; BoringSSL's, now and then
 */
#include "core/engine/tls.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>

#include "core/engine/keyring.h"
#include "core/memory.h"

/* Bytes from off to off + len are waiting. */
struct queue {
	uint8_t *data;
	size_t off, len, room;
};

enum signature_state { SIGNATURE_WANTED, SIGNATURE_ASKED, SIGNATURE_MADE, SIGNATURE_FAILED };

/* Of a handshake, until it has its signature. */
struct signature {
	enum signature_state state;
	uint16_t algorithm;
	size_t len; /* of the input; then of the signature */
	uint8_t input[SIGNING_INPUT_MAX], made[SIGNING_SIGNATURE_MAX];
};

struct tls {
	SSL *ssl;
	struct queue in, out;
	size_t granted; /* bytes of in that are of a record which has begun to be read */
	struct signature *signature; /* NULL: none is waited for */
	char *error;		     /* owned; NULL: none, or no memory to say it */
	bool eof, failed;
	bool no_memory; /* for output: records are lost, the connection is over */
};

#define QUEUE_ROOM_MIN 1024u

static void queue_clear(struct queue *q)
{
	memory_free(q->data);
	*q = (struct queue){0};
}

static bool queue_append(struct queue *q, const uint8_t *bytes, size_t len)
{
	size_t room = q->room > QUEUE_ROOM_MIN ? q->room : QUEUE_ROOM_MIN;
	uint8_t *grown;

	if (len == 0)
		return true;
	if (q->off > 0 && q->off + q->len + len > q->room) {
		memmove(q->data, q->data + q->off, q->len);
		q->off = 0;
	}
	if (len > SIZE_MAX / 4 - q->len)
		return false;
	while (room < q->len + len)
		room *= 2;
	if (room > q->room) {
		grown = memory_resize(q->data, room);
		if (!grown)
			return false;
		q->data = grown;
		q->room = room;
	}
	memcpy(q->data + q->off + q->len, bytes, len);
	q->len += len;
	return true;
}

static void queue_drop(struct queue *q, size_t n)
{
	q->off += n;
	q->len -= n;
	if (q->len == 0)
		queue_clear(q);
}

/* ---- the BIO ---- */

/* How many bytes the next record has with its header, once all of them are here; 0 until then. What
 * cannot be a record is the library's to judge as it comes. RFC 8446 section 5.1. */
static size_t record_whole(const struct tls *t)
{
	const size_t header_bytes = 5, body_max = (1u << 14) + 256;
	CBS in;
	uint8_t type, major, minor;
	uint16_t body;

	if (t->eof)
		return t->in.len;
	CBS_init(&in, t->in.data + t->in.off, t->in.len);
	if (!CBS_get_u8(&in, &type) || !CBS_get_u8(&in, &major) || !CBS_get_u8(&in, &minor) ||
	    !CBS_get_u16(&in, &body))
		return 0;
	if (type < 20 || type > 24 || major != 3 || body > body_max)
		return t->in.len;
	return CBS_len(&in) < body ? 0 : header_bytes + body;
}

static int bio_read(BIO *bio, char *out, int room)
{
	struct tls *t = BIO_get_data(bio);
	size_t n;

	BIO_clear_retry_flags(bio);
	if (room <= 0)
		return 0;
	if (t->granted == 0 && t->in.len > 0)
		t->granted = record_whole(t);
	n = t->granted;
	if (n == 0) {
		if (t->eof)
			return 0;
		BIO_set_retry_read(bio);
		return -1;
	}
	if (n > (size_t)room)
		n = (size_t)room;
	memcpy(out, t->in.data + t->in.off, n);
	queue_drop(&t->in, n);
	t->granted -= n;
	return (int)n;
}

static int bio_write(BIO *bio, const char *in, int len)
{
	struct tls *t = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (len < 0)
		return -1;
	if (t->no_memory || !queue_append(&t->out, (const uint8_t *)in, (size_t)len)) {
		t->no_memory = true;
		return -1;
	}
	return len;
}

static long bio_ctrl(BIO *bio, int command, long larg, void *parg)
{
	return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static void method_make(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "postern tls");

	if (!m)
		return;
	if (BIO_meth_set_read(m, bio_read) && BIO_meth_set_write(m, bio_write) &&
	    BIO_meth_set_ctrl(m, bio_ctrl))
		method = m;
	else
		BIO_meth_free(m);
}

/* ---- a signature that is made elsewhere ---- */

static struct tls *tls_of(SSL *ssl)
{
	return BIO_get_data(SSL_get_rbio(ssl));
}

static enum ssl_private_key_result_t signature_begin(SSL *ssl, uint8_t *out, size_t *out_len,
						     size_t room, uint16_t algorithm,
						     const uint8_t *in, size_t len)
{
	struct tls *t = tls_of(ssl);

	if (t->signature || len > SIGNING_INPUT_MAX)
		return ssl_private_key_failure;
	t->signature = memory_zeroed(sizeof(*t->signature));
	if (!t->signature)
		return ssl_private_key_failure;
	t->signature->algorithm = algorithm;
	t->signature->len = len;
	memcpy(t->signature->input, in, len);
	return ssl_private_key_retry;
}

static enum ssl_private_key_result_t signature_complete(SSL *ssl, uint8_t *out, size_t *out_len,
							size_t room)
{
	struct tls *t = tls_of(ssl);
	struct signature *s = t->signature;
	bool ok = s && s->state == SIGNATURE_MADE && s->len <= room;

	if (s && (s->state == SIGNATURE_WANTED || s->state == SIGNATURE_ASKED))
		return ssl_private_key_retry;
	if (ok) {
		memcpy(out, s->made, s->len);
		*out_len = s->len;
	}
	memory_free(s);
	t->signature = NULL;
	return ok ? ssl_private_key_success : ssl_private_key_failure;
}

/* Key exchange by RSA alone is of TLS 1.2 ciphers that no server of ours has. */
static enum ssl_private_key_result_t signature_no_decrypt(SSL *ssl, uint8_t *out, size_t *out_len,
							  size_t room, const uint8_t *in,
							  size_t len)
{
	return ssl_private_key_failure;
}

const SSL_PRIVATE_KEY_METHOD tls_signing_method = {
	.sign = signature_begin,
	.decrypt = signature_no_decrypt,
	.complete = signature_complete,
};

bool tls_wants_signature(const struct tls *t)
{
	return t->signature && t->signature->state == SIGNATURE_WANTED;
}

bool tls_ask_signature(struct tls *t, struct tls_signing *out)
{
	struct signature *s = t->signature;

	if (!s || (s->state != SIGNATURE_WANTED && s->state != SIGNATURE_ASKED))
		return false;
	s->state = SIGNATURE_ASKED;
	*out = (struct tls_signing){s->algorithm, s->input, s->len};
	return true;
}

void tls_give_signature(struct tls *t, const uint8_t *signature, size_t len)
{
	struct signature *s = t->signature;

	if (!s || s->state != SIGNATURE_ASKED)
		return;
	s->state = SIGNATURE_FAILED;
	if (!signature || len > SIGNING_SIGNATURE_MAX)
		return;
	memcpy(s->made, signature, len);
	s->len = len;
	s->state = SIGNATURE_MADE;
}

bool tls_awaits_signature(const struct tls *t)
{
	return t->signature != NULL;
}

bool tls_key_id(const struct tls *t, uint8_t out[SIGNING_KEY_BYTES])
{
	X509 *own = SSL_get_certificate(t->ssl);

	return own && keyring_id_of_certificate(own, out);
}

/* ---- life ---- */

struct tls *tls_new(SSL_CTX *context, bool server)
{
	struct tls *t = memory_zeroed(sizeof(*t));
	BIO *bio = NULL;

	if (!t)
		return NULL;
	pthread_once(&method_once, method_make);
	t->ssl = SSL_new(context);
	if (!t->ssl || !method)
		goto fail;
	bio = BIO_new(method);
	if (!bio)
		goto fail;
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio); /* takes the one reference, for both directions */
	/* Configuration that only a handshake needs is freed with its end: several kilobytes of
	 * every idle connection. */
	SSL_set_shed_handshake_config(t->ssl, 1);
	if (server)
		SSL_set_accept_state(t->ssl);
	else
		SSL_set_connect_state(t->ssl);
	return t;
fail:
	tls_free(t);
	ERR_clear_error();
	return NULL;
}

void tls_free(struct tls *t)
{
	void *verdict; /* of identity_inner_at() */

	if (!t)
		return;
	verdict = t->ssl ? SSL_get_app_data(t->ssl) : NULL;
	SSL_free(t->ssl);
	memory_free(verdict);
	queue_clear(&t->in);
	queue_clear(&t->out);
	memory_free(t->signature);
	memory_free(t->error);
	memory_free(t);
}

SSL *tls_ssl(struct tls *t)
{
	return t->ssl;
}

/* ---- errors ---- */

static void set_error(struct tls *t, const char *words)
{
	t->failed = true;
	memory_free(t->error);
	t->error = memory_text(words);
}

/* The library's "WRONG_VERSION_NUMBER" as "wrong version number". */
static void set_library_error(struct tls *t, const char *name)
{
	set_error(t, name);
	for (char *p = t->error; p && *p; p++) {
		if (*p == '_')
			*p = ' ';
		else if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	}
}

/* What people can act on, for the failures that people meet; NULL for the others. */
static const char *reason_words(uint32_t code)
{
	if (ERR_GET_LIB(code) != ERR_LIB_SSL)
		return NULL;
	switch (ERR_GET_REASON(code)) {
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST:
		return "the peer's bytes are not TLS";
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
		return "the two sides have no TLS version in common";
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
		return "the peer says that our certificate has expired";
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
		return "the peer does not trust the CA of our certificate";
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
		return "the peer refused our certificate";
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		return "the peer presented no certificate";
	case SSL_R_CERTIFICATE_VERIFY_FAILED:
		return "the peer's certificate was refused";
	case SSL_R_NO_APPLICATION_PROTOCOL:
	case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
		return "the two sides speak different protocols inside TLS";
	default:
		return NULL;
	}
}

static void set_error_from(struct tls *t, uint32_t code)
{
	const char *words = reason_words(code);
	const char *name = ERR_reason_error_string(code);

	if (words)
		set_error(t, words);
	else
		set_library_error(t, name ? name : "the TLS library gave no reason");
}

/* Judges the result of an SSL call and leaves the thread's error queue empty. */
static enum tls_status tls_judge(struct tls *t, int result)
{
	int error = SSL_get_error(t->ssl, result);
	enum tls_status status;

	switch (error) {
	case SSL_ERROR_NONE:
		status = TLS_OK;
		break;
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_PRIVATE_KEY_OPERATION:
		status = TLS_AGAIN;
		break;
	case SSL_ERROR_ZERO_RETURN:
		status = TLS_CLOSED;
		break;
	case SSL_ERROR_SYSCALL:
		/* The BIO ended the call: the wire's end, or no memory for output. */
		status = t->no_memory ? TLS_FAILED : TLS_CUT;
		if (t->no_memory)
			set_error(t, "out of memory");
		break;
	default:
		set_error_from(t, ERR_peek_error());
		status = TLS_FAILED;
	}
	ERR_clear_error();
	return status;
}

const char *tls_error(const struct tls *t)
{
	if (t->error)
		return t->error;
	return t->failed ? "out of memory" : "no error";
}

/* ---- the wire ---- */

bool tls_feed(struct tls *t, const uint8_t *in, size_t len)
{
	if (len > TLS_FEED_MAX || t->in.len > TLS_FEED_MAX - len)
		return false;
	return queue_append(&t->in, in, len);
}

void tls_feed_eof(struct tls *t)
{
	t->eof = true;
}

const uint8_t *tls_output(const struct tls *t, size_t *len)
{
	*len = t->out.len;
	return t->out.len ? t->out.data + t->out.off : NULL;
}

void tls_output_drop(struct tls *t, size_t n)
{
	queue_drop(&t->out, n < t->out.len ? n : t->out.len);
}

const uint8_t *tls_unread(const struct tls *t, size_t *len)
{
	*len = t->in.len;
	return t->in.len ? t->in.data + t->in.off : NULL;
}

/* ---- the session ---- */

enum tls_status tls_handshake(struct tls *t)
{
	ERR_clear_error();
	return tls_judge(t, SSL_do_handshake(t->ssl));
}

enum tls_status tls_read(struct tls *t, uint8_t *out, size_t room, size_t *n)
{
	enum tls_status status;
	int result;

	if (room == 0)
		return TLS_AGAIN;
	ERR_clear_error();
	result = SSL_read(t->ssl, out, room < INT_MAX ? (int)room : INT_MAX);
	status = tls_judge(t, result);
	if (status == TLS_OK)
		*n = (size_t)result;
	return status;
}

enum tls_status tls_write(struct tls *t, const uint8_t *in, size_t len)
{
	enum tls_status status;

	while (len > 0) {
		int chunk = len < INT_MAX ? (int)len : INT_MAX;

		ERR_clear_error();
		/* Without partial writes, a success has taken the whole chunk. */
		status = tls_judge(t, SSL_write(t->ssl, in, chunk));
		if (status != TLS_OK)
			return status;
		in += chunk;
		len -= (size_t)chunk;
	}
	return TLS_OK;
}

bool tls_update_keys(struct tls *t)
{
	bool ok;

	ERR_clear_error();
	ok = SSL_key_update(t->ssl, SSL_KEY_UPDATE_REQUESTED) == 1;
	if (!ok)
		set_error_from(t, ERR_peek_error());
	ERR_clear_error();
	return ok;
}

void tls_close_write(struct tls *t)
{
	/* A second call would start to wait for the peer's close_notify. */
	if (SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN)
		return;
	ERR_clear_error();
	(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
}

uint16_t tls_group(const struct tls *t)
{
	return SSL_in_init(t->ssl) ? 0 : SSL_get_curve_id(t->ssl);
}

const char *tls_group_name(uint16_t group)
{
	const char *name = group ? SSL_get_curve_name(group) : "none";

	return name ? name : "unknown";
}

bool tls_export(struct tls *t, const char *label, uint8_t out[TLS_EXPORT_BYTES])
{
	uint8_t key[TLS_EXPORT_BYTES];
	bool ok;

	if (SSL_in_init(t->ssl) || SSL_version(t->ssl) < TLS1_3_VERSION)
		return false;
	ERR_clear_error();
	ok = SSL_export_keying_material(t->ssl, key, sizeof(key), label, strlen(label), NULL, 0,
					0) == 1;
	ERR_clear_error();
	if (ok)
		memcpy(out, key, sizeof(key));
	return ok;
}
