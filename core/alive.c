/* SPDX-License-Identifier: Apache-2.0 */
/* alive: whether a TCP connection still has somebody at its other end; alive.h tells how. */
#include "core/alive.h"

#include <linux/tcp.h> /* tcpi_notsent_bytes, which netinet/tcp.h lacks */
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

/* When something is wrong for sure, and where something has only stopped: that must not be more
 * eager than the patience with what was sent. */
static const struct alive_beat doubt = {1, 1, 3}, pausing = {1, 2, 5};

/* #syscalls:relay,agent getsockopt */
bool alive_facts(int fd, struct alive_facts *out)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof info;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
	    len < offsetof(struct tcp_info, tcpi_notsent_bytes) + sizeof info.tcpi_notsent_bytes)
		return false;
	*out = (struct alive_facts){.unacked = info.tcpi_unacked,
				    .notsent = info.tcpi_notsent_bytes,
				    .retransmits = info.tcpi_retransmits,
				    .probes = info.tcpi_probes,
				    .answered_ms = info.tcpi_last_ack_recv};
	return true;
}

bool alive_judge(struct alive *a, const struct alive_facts *f, uint64_t now_ms)
{
	uint32_t now = (uint32_t)now_ms;

	a->pending = f->unacked > 0 || f->notsent > 0;
	if (f->unacked == 0 && (f->notsent == 0 || f->probes == 0)) {
		a->marked = 0;
		return false;
	}
	if (!a->marked) {
		a->marked = 1;
		a->mark_ms = now;
	} else if (f->answered_ms < now - a->mark_ms) {
		a->mark_ms = now - f->answered_ms;
	}
	return now - a->mark_ms >= ALIVE_PATIENCE_MS &&
	       (f->retransmits >= ALIVE_TRIES || f->probes >= ALIVE_TRIES);
}

/* The idle time comes last: it alone makes the kernel set its timer anew.
 *
 * #syscalls:relay,agent setsockopt(1 is IPPROTO_TCP)
 */
void alive_rest(int fd, const struct alive_beat *beat)
{
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &beat->every_s, sizeof beat->every_s);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &beat->count, sizeof beat->count);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &beat->idle_s, sizeof beat->idle_s);
}

static void ask(struct alive *a, int fd, uint64_t now_ms, const struct alive_beat *beat)
{
	alive_rest(fd, beat);
	a->asked = 1;
	a->asked_ms = (uint32_t)now_ms;
}

void alive_ask(struct alive *a, int fd, uint64_t now_ms)
{
	ask(a, fd, now_ms, &doubt);
}

bool alive_look(struct alive *a, int fd, uint64_t sent, uint64_t came, uint64_t now_ms,
		const struct alive_beat *rest)
{
	struct alive now = {.sent = (uint32_t)sent & 0x3fffffff,
			    .came = (uint32_t)came & 0x3fffffff};
	bool still = now.sent == a->sent, flows = now.came != a->came;
	struct alive_facts f;

	if (a->asked && (uint32_t)now_ms - a->asked_ms >= ALIVE_ASKED_MS) {
		a->asked = 0;
		alive_rest(fd, rest);
	}
	if (a->flows && !flows && !a->asked)
		ask(a, fd, now_ms, &pausing);
	a->flows = flows;
	a->sent = now.sent;
	a->came = now.came;
	if (still && !a->pending)
		return false;
	return alive_facts(fd, &f) && alive_judge(a, &f, now_ms);
}

static void set_patience(int fd, unsigned ms)
{
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

void alive_hurry(int fd)
{
	set_patience(fd, ALIVE_HURRY_MS);
}

void alive_unhurry(int fd)
{
	set_patience(fd, 0);
}
