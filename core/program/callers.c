/* SPDX-License-Identifier: Apache-2.0 */
/* callers: lines to calls, and a Unix socket that they come in by. */
#include "core/program/callers.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/container.h"
#include "core/log.h"
#include "core/memory.h"

/* ---- one connection ---- */

static void callers_line_came(struct lines *lines, const char *line, size_t len)
{
	struct line_caller *c = container(lines, struct line_caller, lines);

	calls_line(c->calls, &c->caller, line, len);
}

/* A program like nc or socat ends its input with its last call. */
static bool callers_owe(const struct lines *lines)
{
	return container(lines, const struct line_caller, lines)->caller.pending > 0;
}

static void callers_lines_ended(struct lines *lines)
{
	struct line_caller *c = container(lines, struct line_caller, lines);

	caller_remove(c->calls, &c->caller);
	c->ended(c);
}

static bool callers_send_line(struct caller *caller, char *line, size_t len)
{
	struct lines *lines = &container(caller, struct line_caller, caller)->lines;

	if (outbox_waiting(&lines->out) <= CALLER_OUTPUT_TIGHT || !memory_tight())
		return lines_send(lines, line, len);
	lines_close(lines);
	memory_free(line);
	return false;
}

void line_caller_start(struct line_caller *c, struct ring *ring, struct calls *calls, int fd,
		       size_t line_max)
{
	c->calls = calls;
	c->caller.send = callers_send_line;
	c->lines = (struct lines){
		.ring = ring,
		.fd = fd,
		.line_max = line_max,
		.output_max = CALLER_OUTPUT_MAX,
		.line = callers_line_came,
		.owes = callers_owe,
		.ended = callers_lines_ended,
	};
	caller_add(calls, &c->caller);
	lines_start(&c->lines);
}

void line_caller_close(struct line_caller *c)
{
	lines_close(&c->lines);
}

/* ---- who comes in ---- */

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59 /* Linux 4.13; absent from older headers */
#endif
#define CALLERS_SHARE 4u /* of all places one user may have one in so many */

struct callers_conn {
	struct line_caller line; /* first */
	struct caller_peer peer;
	struct callers *callers;
	struct callers_conn *next, *prev;
};

static void callers_conn_ended(struct line_caller *line)
{
	struct callers_conn *c = container(line, struct callers_conn, line);
	struct callers *cs = c->callers;

	if (c->prev)
		c->prev->next = c->next;
	else
		cs->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	cs->count--;
	memory_free(c);
}

/* Says why in one line.
 *
 * #syscalls sendto(4 is 0, 3 without MSG_FASTOPEN)
 */
static void callers_say(int fd, enum jsonrpc_error code, const char *why)
{
	size_t len = 0;
	json_t *failure = jsonrpc_failure(NULL, code, NULL, "%s", why);
	char *line = failure ? jsonrpc_line(failure, &len) : NULL;

	json_decref(failure);
	for (size_t at = 0; line && at < len;) {
		ssize_t n = send(fd, line + at, len - at, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n <= 0)
			break; /* it has room for this, or is gone */
		at += (size_t)n;
	}
	memory_free(line);
}

static void callers_refuse(struct callers *cs, int fd, enum jsonrpc_error code, const char *why)
{
	callers_say(fd, code, why);
	ring_close_fd(cs->ring, fd);
}

/* Why there is no place for this user, or NULL. */
static const char *callers_full(const struct callers *cs, uid_t uid)
{
	size_t own = 0, share = (cs->most + CALLERS_SHARE - 1) / CALLERS_SHARE;

	for (const struct callers_conn *c = cs->conns; c; c = c->next)
		own += c->peer.uid == uid;
	if (cs->count >= cs->most)
		return "too many callers at once; close one of them";
	if (uid != 0 && own >= share)
		return "this user has as many connections to this socket as one may have; close "
		       "one of them";
	if (uid != 0 && cs->count >= cs->most - 1)
		return "too many callers at once, and the last place is root's; close one of them";
	return NULL;
}

const struct caller_peer *callers_peer(const struct caller *c)
{
	return &container(c, const struct callers_conn, line.caller)->peer;
}

/* A kernel that does not tell a process's further groups leaves its own one.
 *
 * #syscalls getsockopt
 */
static void callers_note_peer(int fd, const struct ucred *who, struct caller_peer *out)
{
	gid_t few[CALLERS_GROUPS_MAX - 1], *groups = few, *all = NULL;
	socklen_t len = sizeof(few);
	int failed;

	out->uid = who->uid;
	out->groups[0] = who->gid;
	out->group_count = 1;
	failed = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len);
	/* There are more, and none are told where not all find room. */
	if (failed && errno == ERANGE && len <= NGROUPS_MAX * sizeof(*groups))
		groups = all = memory_zeroed(len);
	if (all)
		failed = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len);
	for (size_t i = 0; !failed && i < len / sizeof(*groups); i++)
		if (out->group_count < CALLERS_GROUPS_MAX)
			out->groups[out->group_count++] = groups[i];
	memory_free(all);
}

/* #syscalls getsockopt */
static void callers_admit(struct callers *cs, int fd)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t len = sizeof(peer);
	enum caller_level level = CALLER_READ;
	struct callers_conn *c;
	const char *why;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		why = "the system does not say whose connection this is";
	else
		why = cs->admit(cs, peer.uid, &level);
	if (why) {
		callers_refuse(cs, fd, JSONRPC_FORBIDDEN, why);
		return;
	}
	why = callers_full(cs, peer.uid);
	c = why ? NULL : memory_zeroed(sizeof(*c));
	if (!c) {
		callers_refuse(cs, fd, JSONRPC_BUSY, why ? why : "out of memory");
		return;
	}
	callers_note_peer(fd, &peer, &c->peer);
	c->callers = cs;
	c->line.ended = callers_conn_ended;
	c->line.caller.level = level;
	snprintf(c->line.caller.who, sizeof(c->line.caller.who), "uid:%u", (unsigned)peer.uid);
	c->next = cs->conns;
	if (c->next)
		c->next->prev = c;
	cs->conns = c;
	cs->count++;
	line_caller_start(&c->line, cs->ring, cs->calls, fd, cs->line_max);
}

static void callers_accepted(struct acceptor *a, int fd)
{
	callers_admit(container(a, struct callers, acceptor), fd);
}

static bool callers_dropping(struct acceptor *a, int fd)
{
	callers_say(fd, JSONRPC_BUSY,
		    "this program has no descriptor left; raise its limit (LimitNOFILE)");
	return true;
}

/* ---- the socket ---- */

/* False: the path is too long. */
static bool address_of(const char *path, struct sockaddr_un *out)
{
	*out = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(out->sun_path))
		return false;
	memcpy(out->sun_path, path, strlen(path) + 1);
	return true;
}

bool callers_path_taken(const char *path)
{
	struct sockaddr_un at;
	bool heard;
	int fd;

	if (!address_of(path, &at))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	heard = fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0;
	if (fd >= 0)
		close(fd);
	return heard;
}

/* Only what a predecessor of this user has left: what else is there is not ours to take away. A
 * link is looked at, never followed. */
static int callers_clear(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
		return -EEXIST;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int callers_listen(const char *path)
{
	struct sockaddr_un at;
	int fd, error;

	if (!address_of(path, &at))
		return -ENAMETOOLONG;
	error = callers_clear(path);
	if (error)
		return error;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0 && chmod(path, 0666) == 0 &&
	    listen(fd, 16) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

void callers_start(struct callers *cs, int listener)
{
	cs->acceptor = (struct acceptor){
		.name = "control", .accepted = callers_accepted, .dropping = callers_dropping};
	acceptor_init(&cs->acceptor, listener);
	acceptor_start(&cs->acceptor, cs->ring);
}

bool callers_stop(struct callers *cs)
{
	if (!cs->stopping) {
		cs->stopping = true;
		acceptor_close(&cs->acceptor);
		for (struct callers_conn *c = cs->conns; c; c = c->next)
			line_caller_close(&c->line);
	}
	return !cs->conns && acceptor_is_closed(&cs->acceptor);
}

void callers_free(struct callers *cs)
{
	while (cs->conns) {
		struct callers_conn *c = cs->conns;

		cs->conns = c->next;
		caller_remove(cs->calls, &c->line.caller);
		lines_free(&c->line.lines);
		memory_free(c);
	}
	acceptor_free(&cs->acceptor);
}
