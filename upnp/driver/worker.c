/* SPDX-License-Identifier: Apache-2.0 */
/* worker: confines itself and serves. */
#include "upnp/driver/worker.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/memory.h"
#include "core/program/launcher.h"
#include "core/sanitized.h"
#include "gen/launcher_calls.h"
#include "gen/upnp_worker_calls.h"
#include "upnp/driver/search.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- confinement ----------------------------------------------------------------------------- */

static const struct isolation_limit limits[] = {
#if !SANITIZED /* whose run time reserves terabytes of addresses */
	{RLIMIT_AS, WORKER_MEMORY_BYTES},
#endif
	{RLIMIT_CPU, WORKER_CPU_S},
	{RLIMIT_FSIZE, 0},
	{RLIMIT_NPROC, 0},
	/* The standard streams, the socket for requests, one for the LAN. */
	{RLIMIT_NOFILE, 16},
};

/* Where to connect, its own checks decide. */
static const struct isolation_plan launch_plan = {
	.calls = &launcher_calls, .connects_tcp = true, .binds_tcp = true};
static const struct isolation_plan plan = {.calls = &upnp_worker_calls,
					   .limits = limits,
					   .limit_count = COUNT(limits),
					   .connects_tcp = true,
					   .binds_tcp = true};

const struct isolation_plan *upnp_worker_launch_plan(void)
{
	return &launch_plan;
}

int upnp_worker_confine(void)
{
	return isolation_confine(&plan);
}

/* ---- requests -------------------------------------------------------------------------------- */

/* The process ends, without a word, when a request takes longer. 0: no longer.
 *
 * #syscalls setitimer
 */
static void set_alarm(uint32_t ms)
{
	const struct itimerval t = {
		.it_value = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000}};

	(void)setitimer(ITIMER_REAL, &t, NULL);
}

static void upnp_worker_perform(struct igd *g, const struct upnp_request *r, struct upnp_answer *a)
{
	switch (r->duty) {
	case UPNP_DISCOVER:
		search_perform(r, a);
		return;
	case UPNP_INSPECT:
		worker_inspect(g, r, a);
		return;
	case UPNP_MAP:
		worker_map(g, r, a);
		return;
	case UPNP_UNMAP:
		worker_unmap(g, r, a);
		return;
	case UPNP_PINHOLE:
		worker_pinhole(g, r, a);
		return;
	case UPNP_UNPINHOLE:
		worker_unpinhole(g, r, a);
		return;
	case UPNP_LOOK:
		worker_look(g, r, a);
		return;
	case UPNP_ADDRESS:
		worker_address(g, r, a);
		return;
	case UPNP_DUTIES:
		break;
	}
}

/* #syscalls sendto */
static bool upnp_worker_send_line(int fd, const char *line, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, line, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return false;
		line += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return true;
}

/* False: the worker must end. */
static bool serve_line(int fd, const char *line, size_t len)
{
	static struct igd igd;
	struct upnp_request r;
	struct upnp_answer a = {.ok = false};
	char *answer;
	size_t size;
	bool sent;

	if (!upnp_request_read(line, len, &r))
		return false;
	igd_plain(r.description, r.description, sizeof(r.description)); /* may stand in XML */
	set_alarm(r.wait_ms + 1000);
	a.number = r.number;
	igd.exchange.source = r.source;
	igd.exchange.due_ms = (int64_t)clock_ms(CLOCK_MONOTONIC) + r.wait_ms;
	upnp_worker_perform(&igd, &r, &a);
	set_alarm(0);
	answer = upnp_answer_line(r.duty, &a, &size);
	sent = answer && upnp_worker_send_line(fd, answer, size);
	memory_free(answer);
	return sent;
}

/* #syscalls read */
void upnp_worker_main(int fd)
{
	static char bytes[UPNP_LINE_MAX];
	size_t have = 0;

	if (upnp_worker_confine())
		return;
	while (have < sizeof(bytes)) {
		ssize_t n = read(fd, bytes + have, sizeof(bytes) - have);
		char *end;

		if (n == 0 || (n < 0 && errno != EINTR))
			return;
		have += n > 0 ? (size_t)n : 0;
		while ((end = memchr(bytes, '\n', have))) {
			size_t len = (size_t)(end - bytes);

			if (!serve_line(fd, bytes, len))
				return;
			have -= len + 1;
			memmove(bytes, end + 1, have);
		}
	}
}
