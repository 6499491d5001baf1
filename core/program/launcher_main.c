/* SPDX-License-Identifier: Apache-2.0 */
/* launcher_main: the launcher's side: starts and kills children, and tells of their ends. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/file.h"
#include "core/passing.h"
#include "core/program/launcher_internal.h"

struct child {
	pid_t pid; /* 0: free */
	uint32_t number;
	int64_t due_ms; /* INT64_MAX: no deadline */
};

struct launch {
	int fd;
	const struct launcher_plan *plan;
	struct child children[LAUNCHER_CHILDREN_MAX];
	sigset_t as_before; /* without SIGCHLD blocked */
};

/* #syscalls sendto */
static void launch_tell(const struct launch *l, uint32_t number, int status)
{
	struct launcher_note note = {.number = number, .status = status};

	/* The daemon that lags so far behind has lost more than a note. */
	(void)!send(l->fd, &note, sizeof(note), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* ---- children -------------------------------------------------------------------------------- */

static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE};

static _Noreturn void run_program(const struct launch *l, struct launcher_request *r)
{
	char *arguments[LAUNCHER_ARGUMENTS_MAX + 2] = {(char *)l->plan->program};
	char *text = r->text;

	for (uint32_t i = 0; i < r->argument_count; i++) {
		arguments[i + 1] = text;
		text += strlen(text) + 1;
	}
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_DFL);
	(void)dup2(STDERR_FILENO, STDOUT_FILENO);
	execv(l->plan->program, arguments);
	dprintf(STDERR_FILENO, "%s: cannot be run: %s\n", l->plan->program, strerror(errno));
	_exit(127);
}

/* The child. socket -1: none. What it does under its own filter, this one has to let through.
 *
 * #syscalls prctl setpgid close rt_sigaction rt_sigprocmask
 */
static _Noreturn void child_main(const struct launch *l, struct launcher_request *r, int socket)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	(void)setpgid(0, 0);
	close(l->fd);
	(void)signal(SIGCHLD, SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, &l->as_before, NULL);
	if (r->act == LAUNCHER_RUN)
		run_program(l, r);
	l->plan->serve(socket);
	_exit(0);
}

static struct child *launch_find(struct launch *l, uint32_t number)
{
	for (size_t i = 0; i < LAUNCHER_CHILDREN_MAX; i++)
		if (l->children[i].pid > 0 && l->children[i].number == number)
			return &l->children[i];
	return NULL;
}

/* #syscalls clone|clone3 set_robust_list setpgid
 * #syscalls-rare rseq; fork() of newer C libraries
 */
static void launch_start(struct launch *l, struct launcher_request *r, int socket)
{
	struct child *c = NULL;

	for (size_t i = 0; i < LAUNCHER_CHILDREN_MAX && !c; i++)
		if (l->children[i].pid == 0)
			c = &l->children[i];
	if (!c) {
		launch_tell(l, r->number, 127 << 8);
		return;
	}
	c->pid = fork();
	if (c->pid == 0)
		child_main(l, r, socket);
	if (c->pid < 0) {
		c->pid = 0;
		launch_tell(l, r->number, 127 << 8);
		return;
	}
	(void)setpgid(c->pid, c->pid); /* the child does it, too: either may come first */
	c->number = r->number;
	/* A suspended machine's time counts: what hung before is not worth waiting for after. */
	c->due_ms = r->deadline_ms ? (int64_t)clock_ms(CLOCK_BOOTTIME) + r->deadline_ms : INT64_MAX;
}

/* With what it has started itself.
 *
 * #syscalls kill
 */
static void launch_end(const struct child *c)
{
	if (kill(-c->pid, SIGKILL))
		(void)kill(c->pid, SIGKILL);
}

/* #syscalls wait4|waitid */
static void launch_reap(struct launch *l)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < LAUNCHER_CHILDREN_MAX; i++)
			if (l->children[i].pid == pid) {
				l->children[i].pid = 0;
				launch_tell(l, l->children[i].number, status);
			}
}

/* Kills what is due; returns how long to wait for the next. */
static int kill_due(struct launch *l)
{
	int64_t now = (int64_t)clock_ms(CLOCK_BOOTTIME), next = INT64_MAX;

	for (size_t i = 0; i < LAUNCHER_CHILDREN_MAX; i++) {
		struct child *c = &l->children[i];
		if (c->pid == 0 || c->due_ms == INT64_MAX)
			continue;
		if (c->due_ms <= now) {
			launch_end(c);
			c->due_ms = INT64_MAX;
		} else if (c->due_ms < next) {
			next = c->due_ms;
		}
	}
	if (next == INT64_MAX)
		return -1;
	return next - now > INT_MAX ? INT_MAX : (int)(next - now);
}

/* ---- requests -------------------------------------------------------------------------------- */

static bool arguments_ok(const struct launcher_request *r)
{
	size_t ends = 0;

	for (size_t i = 0; i < sizeof(r->text); i++)
		ends += r->text[i] == '\0';
	return r->argument_count <= LAUNCHER_ARGUMENTS_MAX && r->argument_count <= ends;
}

static void launch_perform(struct launch *l, struct launcher_request *r, int socket)
{
	struct child *c = launch_find(l, r->number);

	if (r->act == LAUNCHER_KILL && c)
		launch_end(c);
	else if (c)
		return;
	else if (r->act == LAUNCHER_SERVE && l->plan->serve && socket >= 0)
		launch_start(l, r, socket);
	else if (r->act == LAUNCHER_RUN && l->plan->program && arguments_ok(r))
		launch_start(l, r, -1);
}

/* False: the daemon is gone.
 *
 * #syscalls recvmsg
 */
static bool serve_one(struct launch *l)
{
	struct launcher_request r;
	union passing along;
	struct iovec whole = {&r, sizeof(r)};
	struct msghdr m = {.msg_iov = &whole,
			   .msg_iovlen = 1,
			   .msg_control = along.bytes,
			   .msg_controllen = sizeof(along.bytes)};
	ssize_t n = recvmsg(l->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int socket;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	socket = passing_take(&m);
	if (n == (ssize_t)sizeof(r) && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		launch_perform(l, &r, socket);
	if (socket >= 0)
		close(socket);
	return true;
}

/* ---- the launcher's life --------------------------------------------------------------------- */

static void launch_child_signal(int number)
{
}

/* SIGCHLD is let in only while waiting, so that none is missed. */
static void prepare_signals(struct launch *l)
{
	struct sigaction on_child = {.sa_handler = launch_child_signal, .sa_flags = SA_NOCLDSTOP};
	sigset_t child;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_IGN);
	(void)sigaction(SIGCHLD, &on_child, NULL);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &child, &l->as_before);
	sigdelset(&l->as_before, SIGCHLD);
}

/* #syscalls ppoll rt_sigreturn */
_Noreturn void launcher_main(int fd, const struct launcher_plan *plan)
{
	struct launch l = {.fd = fd, .plan = plan};
	struct pollfd p = {.fd = fd, .events = POLLIN};
	const struct rlimit none = {0, 0};
	int error = 0;

	file_close_others(&fd, 1);
	prepare_signals(&l);
	(void)prctl(PR_SET_NAME, plan->name, 0, 0, 0);
	(void)setrlimit(RLIMIT_CORE, &none);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		error = -errno;
	if (!error && plan->isolation)
		error = isolation_confine(plan->isolation);
	launch_tell(&l, 0, error);
	while (!error) {
		int wait_ms = kill_due(&l);
		struct timespec wait = {.tv_sec = wait_ms / 1000,
					.tv_nsec = (long)(wait_ms % 1000) * 1000000};

		(void)!ppoll(&p, 1, wait_ms < 0 ? NULL : &wait, &l.as_before);
		launch_reap(&l);
		if (!serve_one(&l))
			break;
	}
	for (size_t i = 0; i < LAUNCHER_CHILDREN_MAX; i++)
		if (l.children[i].pid > 0)
			launch_end(&l.children[i]);
	_exit(error ? 1 : 0);
}
