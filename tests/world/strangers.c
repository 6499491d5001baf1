/* SPDX-License-Identifier: Apache-2.0 */
/* strangers: a few bytes, or none, and a long wait for the relay to hang up. */
#include "tests/world/strangers.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/container.h"
#include "tests/world/real.h"

#define READ_MOST 4096u
#define OUT_MOST  32768u
#define DRIP_MS	  1000u

struct stranger {
	struct people *people;
	enum stranger_kind kind;
	int fd;
	struct ring_op rx, tx;
	struct timer timer;
	struct tls *tls;
	bool over, connected, asked;
	uint64_t came_us;
	uint8_t in[READ_MOST], out[OUT_MOST];
	size_t out_len, sent;
};

static size_t here;
static uint64_t longest_us;
static enum stranger_kind longest_kind;

static const char *const kind_names[STRANGER_KINDS] = {
	"silent", "garbage", "clear HTTP", "drips", "half a hello", "HTTPS",
	"shakes", "hoards",  "deaf",	   "STUN",  "resets",	    "hello",
};

void strangers_begin(void)
{
	here = 0;
	longest_us = 0;
}

bool strangers_gone(void *unused)
{
	return here == 0;
}

void strangers_judge(uint64_t most_us)
{
	world_check(here == 0, "strangers", "%zu strangers are still there", here);
	world_check(longest_us <= most_us, "strangers",
		    "a stranger (%s) could stay for %.1f seconds", kind_names[longest_kind],
		    (double)longest_us / SECOND);
}

/* ---- the end ---- */

static void stranger_free(struct stranger *s)
{
	if (ring_op_busy(&s->rx) || ring_op_busy(&s->tx))
		return;
	ring_timer_cancel(s->people->ring, &s->timer);
	ring_close_fd(s->people->ring, s->fd);
	tls_free(s->tls);
	s->people->busy--;
	here--;
	world_free(s);
}

static void stranger_end(struct stranger *s)
{
	struct ring *r = s->people->ring;
	uint64_t stayed = k_now_us - s->came_us;

	if (!s->over) {
		if (s->connected && stayed > longest_us) {
			longest_us = stayed;
			longest_kind = s->kind;
		}
		s->over = true;
		ring_cancel(r, &s->rx);
		ring_cancel(r, &s->tx);
	}
	stranger_free(s);
}

/* ---- what they say ---- */

static const char request[] = "GET / HTTP/1.1\r\nHost: www.example.org\r\n\r\n";

static void put(struct stranger *s, const void *bytes, size_t len)
{
	memcpy(s->out, bytes, len);
	s->out_len = len;
	s->sent = 0;
}

/* A ClientHello of ours. */
static void put_hello(struct stranger *s)
{
	size_t len;
	const uint8_t *out;

	s->tls = tls_new(people_visitor_context(), false);
	(void)!tls_handshake(s->tls);
	out = tls_output(s->tls, &len);
	put(s, out, len < OUT_MOST ? len : OUT_MOST);
	tls_output_drop(s->tls, len);
}

/* Thousands would take their time to make. */
static void put_same_hello(struct stranger *s)
{
	static uint8_t hello[READ_MOST];
	static size_t len;

	if (len > 0) {
		put(s, hello, len);
		return;
	}
	put_hello(s);
	len = s->out_len;
	memcpy(hello, s->out, len);
	tls_free(s->tls);
	s->tls = NULL;
}

static void prepare(struct stranger *s)
{
	static const uint8_t stun[20] = {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4};

	switch (s->kind) {
	case STRANGER_GARBAGE:
	case STRANGER_RESETS:
		s->out_len = dice_size(&world_dice, 2000);
		for (size_t i = 0; i < s->out_len; i++)
			s->out[i] = (uint8_t)dice_throw(&world_dice);
		break;
	case STRANGER_CLEAR_HTTP:
		put(s, request, sizeof(request) - 1);
		break;
	case STRANGER_STUN:
		put(s, stun, sizeof(stun));
		break;
	case STRANGER_HELLO:
		put_same_hello(s);
		break;
	case STRANGER_HALF_HELLO:
		put_hello(s);
		s->out_len = dice_below(&world_dice, s->out_len);
		break;
	case STRANGER_DRIPS:
	case STRANGER_HTTPS:
	case STRANGER_SHAKES:
	case STRANGER_HOARDS:
	case STRANGER_DEAF:
		put_hello(s);
		break;
	default:
		break;
	}
}

static void say(struct stranger *s)
{
	size_t n = s->out_len - s->sent;

	if (s->over || n == 0 || ring_op_busy(&s->tx))
		return;
	if (s->kind == STRANGER_DRIPS)
		n = 1;
	ring_send(s->people->ring, &s->tx, s->fd, s->out + s->sent, n);
}

/* As much of a head as a server keeps, without an end. */
static bool tls_say_much(struct tls *t)
{
	static uint8_t head[7900];

	memset(head, 'a', sizeof(head));
	memcpy(head, "GET / HTTP/1.1\r\nX: ", 19);
	return tls_write(t, head, sizeof(head)) == TLS_OK;
}

static void add_most_of_a_record(struct stranger *s)
{
	static const uint8_t record[5] = {23, 3, 3, 0x40, 0};

	memcpy(s->out + s->out_len, record, sizeof(record));
	memset(s->out + s->out_len + sizeof(record), 'x', 16300);
	s->out_len += sizeof(record) + 16300;
}

/* Its handshake is through, or it wants to ask once more. */
static void ask(struct stranger *s)
{
	size_t len;
	const uint8_t *out;

	if (SSL_in_init(tls_ssl(s->tls)))
		return;
	/* A client that only shakes hands still has to finish that. */
	if (s->kind == STRANGER_HOARDS && !s->asked && !tls_say_much(s->tls))
		abort();
	if (s->kind != STRANGER_SHAKES && s->kind != STRANGER_HOARDS &&
	    (!s->asked || s->kind == STRANGER_DEAF))
		if (tls_write(s->tls, (const uint8_t *)request, sizeof(request) - 1) != TLS_OK)
			abort();
	s->asked = true;
	out = tls_output(s->tls, &len);
	if (len == 0 || ring_op_busy(&s->tx))
		return;
	put(s, out, len < OUT_MOST ? len : OUT_MOST);
	tls_output_drop(s->tls, s->out_len);
	if (s->kind == STRANGER_HOARDS)
		add_most_of_a_record(s);
	say(s);
}

static void stranger_timer(struct timer *t, uint64_t now_ms)
{
	say(container(t, struct stranger, timer));
}

static void listen_on(struct stranger *s)
{
	if (s->over || ring_op_busy(&s->rx))
		return;
	if (s->kind == STRANGER_DEAF && s->asked) /* only sees the end */
		ring_poll(s->people->ring, &s->rx, s->fd, POLLRDHUP);
	else
		ring_recv(s->people->ring, &s->rx, s->fd, s->in, READ_MOST);
}

static void stranger_sent(struct ring_op *op, int res)
{
	struct stranger *s = container(op, struct stranger, tx);

	if (s->over || res < 0) {
		stranger_end(s);
		return;
	}
	s->sent += (size_t)res;
	if (s->kind == STRANGER_RESETS && s->sent == s->out_len) {
		struct linger linger = {.l_onoff = 1, .l_linger = 0};

		setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		stranger_end(s);
		return;
	}
	if (s->kind == STRANGER_DRIPS)
		ring_timer_set(s->people->ring, &s->timer, DRIP_MS);
	else if (s->kind == STRANGER_DEAF && s->asked)
		ask(s);
	else
		say(s);
}

static void stranger_received(struct ring_op *op, int res)
{
	struct stranger *s = container(op, struct stranger, rx);
	uint8_t plain[READ_MOST];
	size_t n;

	if (s->over || res <= 0 || s->kind == STRANGER_HELLO ||
	    (s->kind == STRANGER_DEAF && s->asked)) {
		stranger_end(s);
		return;
	}
	if (s->tls && s->kind != STRANGER_DRIPS && s->kind != STRANGER_HALF_HELLO) {
		const uint8_t *out;
		size_t len;

		if (!tls_feed(s->tls, s->in, (size_t)res))
			abort();
		(void)!tls_handshake(s->tls);
		while (!SSL_in_init(tls_ssl(s->tls)) &&
		       tls_read(s->tls, plain, sizeof(plain), &n) == TLS_OK)
			;
		if (!SSL_in_init(tls_ssl(s->tls)) && !s->asked) {
			ask(s);
		} else if ((out = tls_output(s->tls, &len)) && len > 0 && !ring_op_busy(&s->tx)) {
			put(s, out, len < READ_MOST ? len : READ_MOST);
			tls_output_drop(s->tls, s->out_len);
			say(s);
		}
	}
	listen_on(s);
}

static void stranger_connected(struct ring_op *op, int res)
{
	struct stranger *s = container(op, struct stranger, tx);
	int error = 0;
	socklen_t len = sizeof(error);

	s->tx.done = stranger_sent;
	if (s->over || res < 0 || getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
		stranger_end(s);
		return;
	}
	s->connected = true;
	s->came_us = k_now_us;
	prepare(s);
	say(s);
	listen_on(s);
}

void stranger_come(struct people *p, enum stranger_kind kind, const struct addr *to)
{
	struct k_program *was = k_enter(p->program);
	struct stranger *s = world_alloc(sizeof(*s));

	s->people = p;
	s->kind = kind;
	s->fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	s->rx.done = stranger_received;
	s->tx.done = stranger_connected;
	s->timer.fire = stranger_timer;
	struct addr from =
		k_address(to->sa.sa_family == AF_INET6 ? k_host_address6(p->host)
						       : k_host_some_address(p->host, &world_dice),
			  0);

	if (s->fd < 0 || bind(s->fd, &from.sa, from.len) ||
	    (connect(s->fd, &to->sa, to->len) < 0 && errno != EINPROGRESS))
		world_broken("a stranger cannot connect: %s", strerror(errno));
	p->busy++;
	here++;
	ring_poll(p->ring, &s->tx, s->fd, POLLOUT);
	k_enter(was);
}
