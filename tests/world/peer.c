/* SPDX-License-Identifier: Apache-2.0 */
/* peer: one connection, played by hand. */
#include "tests/world/peer.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/area.h"

#define WAIT_US (30u * SECOND)

/* Pages that nobody touches cost nothing: the sanitizer marks each byte of what is allocated and
 * freed, which is a fifth of the time of a fuzzer of channels. */
static uint8_t *kept_new(void)
{
	uint8_t *pages = area_new(PEER_KEPT);

	if (!pages)
		world_broken("no memory for a peer");
	return pages;
}

void peer_start(struct peer *p, const char *name, enum who who, struct k_host *host)
{
	char why[256];

	*p = (struct peer){.fd = -1, .who = who, .pongs = true};
	p->program = k_program_new(name, host);
	p->identity = identity_new(world_ca.pem, world_pairs[who].certificate, world_pairs[who].key,
				   time(NULL), why, sizeof(why));
	if (!p->identity)
		world_broken("a peer's identity: %s", why);
	p->context = identity_dial_context(p->identity);
	p->front = identity_front_context(p->identity);
	p->got = kept_new();
	p->out = kept_new();
}

void peer_end(struct peer *p)
{
	peer_close(p, false);
	k_program_end(p->program);
	SSL_CTX_free(p->context);
	SSL_CTX_free(p->front);
	identity_free(p->identity);
	area_free(p->got, PEER_KEPT);
	area_free(p->out, PEER_KEPT);
	p->got = p->out = NULL;
}

void peer_close(struct peer *p, bool reset)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 0};

	tls_free(p->tls);
	p->tls = NULL;
	if (p->fd < 0)
		return;
	k_enter(p->program);
	if (reset)
		setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(p->fd);
	k_enter(NULL);
	p->fd = -1;
}

/* ---- bytes ---- */

static void keep(struct peer *p, const uint8_t *bytes, size_t len)
{
	if (len > PEER_KEPT - p->got_len)
		world_broken("a peer is told more than it can keep");
	memcpy(p->got + p->got_len, bytes, len);
	p->got_len += len;
}

/* What follows GO is no TLS any more: it is read no further. */
static bool has_go(struct peer *p)
{
	struct wire_message m;
	size_t used;

	while (wire_decode(p->got + p->looked_at, p->got_len - p->looked_at, &m, &used) ==
	       WIRE_OK) {
		if (m.type == WIRE_GO)
			return true;
		p->looked_at += used;
	}
	return false;
}

/* An agent's first record begins with a tag. */
static void keep_plain(struct peer *p, const uint8_t *bytes, size_t len)
{
	uint8_t tag[TAG_BYTES];

	if (p->tag_due) {
		certs_tag(p->tls, tag);
		p->tag_due = false;
		if (!world_check(len > TAG_BYTES && memcmp(bytes, tag, TAG_BYTES) == 0, "messages",
				 "%s hears no tag", p->program->name))
			return;
		bytes += TAG_BYTES;
		len -= TAG_BYTES;
	}
	keep(p, bytes, len);
}

/* What has come since; then what wants to leave. */
static void work(struct peer *p)
{
	uint8_t bytes[16384];
	const uint8_t *out;
	size_t len, n;
	ssize_t got = -1;

	while (p->fd >= 0 && !p->mute && !p->eof && !p->reset) {
		k_enter(p->program);
		got = recv(p->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		k_enter(NULL);
		if (got <= 0) {
			p->eof = got == 0;
			p->reset = got < 0 && errno != EAGAIN && errno != ENOTCONN;
			break;
		}
		if (p->raw || !p->tls)
			keep(p, bytes, (size_t)got);
		else if (!tls_feed(p->tls, bytes, (size_t)got))
			world_broken("a peer's TLS takes no more");
	}
	if (p->tls && !p->raw && tls_handshake(p->tls) == TLS_OK)
		while (!has_go(p) && tls_read(p->tls, bytes, sizeof(bytes), &n) == TLS_OK)
			keep_plain(p, bytes, n);
	while (p->tls && p->fd >= 0 && (out = tls_output(p->tls, &len)) && len > 0) {
		k_enter(p->program);
		got = send(p->fd, out, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		k_enter(NULL);
		if (got <= 0)
			break;
		tls_output_drop(p->tls, (size_t)got);
	}
	while (p->fd >= 0 && p->out_len > 0) {
		k_enter(p->program);
		got = send(p->fd, p->out, p->out_len, MSG_DONTWAIT | MSG_NOSIGNAL);
		k_enter(NULL);
		if (got <= 0)
			break;
		p->out_len -= (size_t)got;
		memmove(p->out, p->out + got, p->out_len);
	}
}

void peer_write(struct peer *p, const void *bytes, size_t len)
{
	if (p->tls && !p->raw) {
		if (tls_write(p->tls, bytes, len) != TLS_OK)
			world_broken("a peer cannot write");
	} else {
		if (len > PEER_KEPT - p->out_len)
			world_broken("a peer has more to say than it can keep");
		memcpy(p->out + p->out_len, bytes, len);
		p->out_len += len;
	}
	work(p);
}

/* ---- connecting ---- */

static bool is_connected(struct peer *p)
{
	struct addr to = {.len = sizeof(to.v6)};
	bool yes;

	k_enter(p->program);
	yes = getpeername(p->fd, &to.sa, &to.len) == 0;
	k_enter(NULL);
	return yes;
}

/* Connected, or cut off already. */
static bool has_connected(void *context)
{
	struct peer *p = context;
	unsigned ready;

	k_enter(p->program);
	ready = k_ready(k_file_get(p->fd));
	k_enter(NULL);
	return is_connected(p) || (ready & (POLLERR | POLLHUP));
}

/* Without a connection, and with nothing of the last one. */
static void forget(struct peer *p)
{
	peer_close(p, false);
	p->eof = p->reset = p->raw = p->mute = false;
	p->got_len = p->looked_at = p->frame_len = p->out_len = 0;
	p->tag_due = false;
}

void peer_listen(struct peer *p, uint16_t port)
{
	struct addr at = k_address("0.0.0.0", port);

	forget(p);
	k_enter(p->program);
	p->fd = socket(at.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (bind(p->fd, &at.sa, at.len) || listen(p->fd, 128))
		world_broken("a peer cannot listen on %u", port);
	k_enter(NULL);
}

bool peer_take(struct peer *p, struct peer *listening, bool secure)
{
	int fd;

	k_enter(listening->program);
	fd = k_accept(listening->fd);
	k_enter(NULL);
	if (fd < 0)
		return false;
	forget(p);
	k_enter(listening->program);
	p->fd = world_give_descriptor(fd, p->program);
	k_enter(NULL);
	p->tag_due = secure;
	if (secure)
		p->tls = tls_new(p->front, true);
	return true;
}

bool peer_connect_at(struct peer *p, const struct addr *to)
{
	forget(p);
	k_enter(p->program);
	p->fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	(void)connect(p->fd, &to->sa, to->len);
	k_enter(NULL);
	(void)world_until(has_connected, p, WAIT_US);
	return is_connected(p);
}

bool peer_connect_to(struct peer *p, const struct k_host *relay, uint16_t port)
{
	const struct addr to = k_address(k_host_address(relay), port);

	return peer_connect_at(p, &to);
}

bool peer_connect(struct peer *p, const struct k_host *relay)
{
	return peer_connect_to(p, relay, 443);
}

static bool has_shaken(void *context)
{
	struct peer *p = context;

	work(p);
	return p->eof || p->reset || !SSL_in_init(tls_ssl(p->tls));
}

bool peer_dial(struct peer *p, const struct k_host *relay)
{
	if (!peer_connect(p, relay))
		return false;
	p->tls = tls_new(p->context, false);
	(void)world_until(has_shaken, p, WAIT_US);
	if (SSL_in_init(tls_ssl(p->tls)))
		return false;
	certs_tag(p->tls, p->frame);
	p->frame_len = TAG_BYTES;
	return true;
}

void peer_say_no_tag(struct peer *p)
{
	p->frame_len = 0;
}

/* ---- messages ---- */

void peer_frame(struct peer *p, const struct wire_message *m)
{
	size_t len = wire_encode(m, p->frame + p->frame_len, sizeof(p->frame) - p->frame_len);

	if (len == 0)
		world_broken("a peer's %s does not encode", wire_type_name(m->type));
	p->frame_len += len;
}

void peer_flush(struct peer *p)
{
	peer_write(p, p->frame, p->frame_len);
	p->frame_len = 0;
}

void peer_say(struct peer *p, const struct wire_message *m)
{
	peer_frame(p, m);
	peer_flush(p);
}

static size_t whole(const struct peer *p)
{
	struct wire_message m;
	size_t used = 0;

	switch (wire_decode(p->got, p->got_len, &m, &used)) {
	case WIRE_OK:
	case WIRE_UNKNOWN_EXTENSION:
		return used;
	default:
		return 0;
	}
}

static bool has_message(void *context)
{
	struct peer *p = context;

	work(p);
	return whole(p) > 0 || p->eof || p->reset;
}

bool peer_hear(struct peer *p, struct wire_message *m, uint64_t at_most_us)
{
	static uint8_t frame[WIRE_FRAME_MAX];
	size_t used;

	(void)world_until(has_message, p, at_most_us);
	used = whole(p);
	if (used == 0)
		return false;
	memcpy(frame, p->got, used);
	p->got_len -= used;
	p->looked_at -= p->looked_at < used ? p->looked_at : used;
	memmove(p->got, p->got + used, p->got_len);
	return wire_decode(frame, used, m, &used) == WIRE_OK;
}

bool peer_expect(struct peer *p, enum wire_type type, struct wire_message *m)
{
	const char *came = "nothing";

	while (peer_hear(p, m, WAIT_US)) {
		if (m->type == type)
			return true;
		if (m->type == WIRE_PING && p->pongs) {
			struct wire_message pong = {.type = WIRE_PONG};

			pong.pong.token = m->ping.token;
			peer_say(p, &pong);
			continue;
		}
		if (m->type == WIRE_PING || m->type == WIRE_PONG ||
		    (m->type == WIRE_REVOKED && m->revoked.count == 0))
			continue;
		came = wire_type_name(m->type);
		break;
	}
	return world_check(false, "messages", "%s hears %s instead of %s", p->program->name, came,
			   wire_type_name(type));
}

bool peer_expect_bye(struct peer *p, enum reason reason)
{
	struct wire_message m;

	return peer_expect(p, WIRE_BYE, &m) &&
	       world_check(m.bye.reason == reason, "messages", "%s hears BYE for %s, not for %s",
			   p->program->name, reason_name(m.bye.reason), reason_name(reason)) &&
	       world_check(peer_gone(p, 10 * SECOND), "ends", "%s is still connected after its BYE",
			   p->program->name);
}

static bool has_gone(void *context)
{
	struct peer *p = context;

	work(p);
	return p->eof || p->reset;
}

bool peer_gone(struct peer *p, uint64_t at_most_us)
{
	return world_until(has_gone, p, at_most_us);
}

struct wanted {
	struct peer *p;
	size_t len;
};

static bool has_bytes(void *context)
{
	struct wanted *w = context;

	work(w->p);
	return w->p->got_len >= w->len || w->p->eof || w->p->reset;
}

bool peer_has(struct peer *p, size_t len, uint64_t at_most_us)
{
	struct wanted w = {p, len};

	(void)world_until(has_bytes, &w, at_most_us);
	return p->got_len >= len;
}

/* ---- what agents say ---- */

void peer_frame_hello(struct peer *p, uint8_t flags)
{
	uint8_t exported[TLS_EXPORT_BYTES], signature[WIRE_SIGNATURE_MAX];
	struct wire_message m = {.type = WIRE_HELLO};

	m.hello.flags = flags;
	m.hello.agent = wire_text(who_name(p->who));
	m.hello.software = wire_text("by hand");
	identity_certificate_der(p->identity, &m.hello.certificate.data, &m.hello.certificate.len);
	m.hello.signature.data = signature;
	if (!tls_export(p->tls, TLS_EXPORT_HELLO, exported) ||
	    !identity_sign(p->identity, IDENTITY_HELLO, exported, signature, sizeof(signature),
			   &m.hello.signature.len))
		world_broken("a peer cannot sign");
	peer_frame(p, &m);
}

bool peer_sign_in(struct peer *p, const struct k_host *relay, uint8_t flags)
{
	struct wire_message m;

	if (!world_check(peer_dial(p, relay), "links", "%s cannot dial", p->program->name))
		return false;
	peer_frame_hello(p, flags);
	peer_flush(p);
	if (!peer_expect(p, WIRE_WELCOME, &m))
		return false;
	p->link = m.welcome.link;
	memcpy(p->secret, m.welcome.leg_secret, sizeof(p->secret));
	return true;
}

void peer_publish(struct peer *p, const char *service)
{
	struct wire_message m = {.type = WIRE_PUBLISH, .publish.count = 1};

	m.publish.services[0] = wire_text(service);
	peer_say(p, &m);
	if (peer_expect(p, WIRE_PUBLISHED, &m))
		world_check(m.published.count == 1, "messages", "one service is counted as %u",
			    m.published.count);
}

void peer_frame_leg(struct peer *p, const struct peer *link)
{
	uint8_t exported[TLS_EXPORT_BYTES];
	struct wire_message m = {.type = WIRE_LEG, .leg.link = link->link};

	if (!tls_export(p->tls, TLS_EXPORT_LEG, exported))
		world_broken("a peer cannot export");
	identity_leg_proof(link->secret, exported, m.leg.proof);
	peer_frame(p, &m);
}

bool peer_leg(struct peer *p, const struct k_host *relay, const struct peer *link)
{
	struct wire_message m;

	if (!world_check(peer_dial(p, relay), "links", "%s cannot dial", p->program->name))
		return false;
	peer_frame_leg(p, link);
	peer_flush(p);
	return peer_expect(p, WIRE_READY, &m);
}

void peer_open(struct peer *p, const char *to, const char *service)
{
	struct wire_message m = {.type = WIRE_OPEN};

	m.open.to = wire_text(to);
	m.open.service = wire_text(service);
	peer_say(p, &m);
}

void peer_accept(struct peer *p, uint64_t session)
{
	const struct wire_message m = {.type = WIRE_ACCEPT, .accept.session = session};

	peer_say(p, &m);
}

bool peer_go(struct peer *p)
{
	struct wire_message m;
	const uint8_t *early;
	size_t len = 0;

	if (!peer_expect(p, WIRE_GO, &m))
		return false;
	memcpy(p->envelope, m.go.secret, sizeof(p->envelope));
	p->raw = true;
	early = tls_unread(p->tls, &len);
	if (len > 0)
		keep(p, early, len);
	return true;
}
