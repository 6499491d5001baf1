/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_poll: a console that asks a relay for its status and its sessions, again and again, while a
 * test runs.
 *
 * It signs in on the relay's TLS port and asks on a fixed schedule, so that a relay that answers
 * late is asked no less. The answers are read and not looked into: their cost to the relay is what
 * is measured, and the cores are shared with it.
 */
#include <stdlib.h>
#include <string.h>

#include "bench/load.h"
#include "bench/load_wire.h"

static const char calls[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}\n"
			    "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"sessions\"}\n";
#define ANSWERS 2u

struct poller {
	const struct load_options *o;
	struct load_shared *s;
	struct speaker speaker;
};

static void read_answers(struct load_tls *tls)
{
	uint8_t bytes[16384];
	unsigned left = ANSWERS;

	while (left > 0) {
		size_t n = load_tls_read_some(tls, bytes, sizeof bytes);

		if (memmem(bytes, n, "\"error\":{", 9))
			load_fail("a call of the console failed");
		for (const uint8_t *at = bytes, *end = bytes + n;
		     left > 0 && (at = memchr(at, '\n', (size_t)(end - at))); at++)
			left--;
	}
}

static void *poll_relay(void *arg)
{
	struct poller *p = arg;
	uint64_t every_ns = 1000000000u / p->o->poll, next = load_now_ns();

	for (;;) {
		uint64_t asked = load_now_ns();

		if (asked < next) {
			load_sleep_ms((unsigned)((next - asked) / 1000000) + 1);
			continue;
		}
		load_tls_write(&p->speaker.tls, (const uint8_t *)calls, sizeof calls - 1);
		read_answers(&p->speaker.tls);
		atomic_fetch_add(&p->s->poll_ns, load_now_ns() - asked);
		atomic_fetch_add(&p->s->polls, 1);
		next += every_ns;
	}
	return NULL;
}

void load_poll_start(const struct load_options *o, struct load_shared *s)
{
	struct poller *p = calloc(1, sizeof *p);
	struct load_self self;
	struct wire_message welcome;
	pthread_t thread;

	if (!p)
		load_fail("out of memory");
	p->o = o;
	p->s = s;
	load_self_open(&self, o->console_bundle);
	load_sign_in(&p->speaker, &self, &o->relay, WIRE_HELLO_CONSOLE, &welcome);
	load_thread(&thread, poll_relay, p);
}
