/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recorder: runs a program and writes down which system calls its sealed processes make.
 *
 *     recorder FILE PROGRAM ARGUMENTS...
 *
 * Theory of operation. The program keeps its process and its parent; the recorder is a grandchild
 * of the same parent, in a session of its own, and traces it with all threads and children. What
 * counts is what a process calls under a filter of seccomp. So calls are kept by the name of the
 * process and the number of filters over it: a child that confines itself once more is another
 * role. A tracer sees a call before a filter does, and its result after that: what a filter refuses
 * is seen twice, as a call and as refused.
 *
 * When the last process has ended, lines of "NAME FILTERS CALL [refused]" are appended to FILE in
 * one write.
 */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/ptrace.h>

#define CALLS_MAX  512
#define ROLES_MAX  32
#define TASKS_MAX  1024
#define NAME_BYTES 16 /* of /proc/PID/comm with its end */

struct role {
	char name[NAME_BYTES];
	int filters;
	bool called[CALLS_MAX], refused[CALLS_MAX];
};

/* A thread. role is looked up again when something may have changed it. */
struct task {
	pid_t tid; /* 0: free */
	struct role *role;
	bool known;
	uint64_t call; /* that it is in */
};

static struct role roles[ROLES_MAX];
static struct task tasks[TASKS_MAX];
static int outer_filters; /* of the recorder itself */

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "recorder: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- who calls ------------------------------------------------------------------------------ */

/* A number of /proc/TID/status; -1: it is not there. */
static int status_number(pid_t tid, const char *field)
{
	char path[64], line[256];
	size_t len = strlen(field);
	int value = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	f = fopen(path, "re");
	while (f && value < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, field, len) && line[len] == ':')
			value = atoi(line + len + 1);
	if (f)
		fclose(f);
	return value;
}

/* The role of a thread's process; NULL: it runs without a filter. */
static struct role *role_of(pid_t tid)
{
	int filters = status_number(tid, "Seccomp_filters") - outer_filters;
	char path[64], name[NAME_BYTES] = "";
	FILE *f;

	if (filters <= 0)
		return NULL;
	snprintf(path, sizeof(path), "/proc/%d/comm", status_number(tid, "Tgid"));
	f = fopen(path, "re");
	if (f && fgets(name, sizeof(name), f))
		name[strcspn(name, "\n")] = '\0';
	if (f)
		fclose(f);
	for (struct role *r = roles; r < roles + ROLES_MAX; r++) {
		if (r->filters == 0) {
			memcpy(r->name, name, sizeof(name));
			r->filters = filters;
		}
		if (r->filters == filters && !strcmp(r->name, name))
			return r;
	}
	errno = ENOSPC;
	fail("roles");
}

static struct task *task_of(pid_t tid)
{
	struct task *free_one = NULL;

	for (struct task *t = tasks; t < tasks + TASKS_MAX; t++) {
		if (t->tid == tid)
			return t;
		if (!free_one && t->tid == 0)
			free_one = t;
	}
	if (!free_one) {
		errno = ENOSPC;
		fail("threads");
	}
	*free_one = (struct task){.tid = tid};
	return free_one;
}

static struct role *task_role(struct task *t)
{
	if (!t->known)
		t->role = role_of(t->tid);
	t->known = true;
	return t->role;
}

/* ---- what is called ------------------------------------------------------------------------- */

static void entered(struct task *t, const struct ptrace_syscall_info *info)
{
	struct role *r = task_role(t);

	t->call = info->entry.nr;
	if (r && t->call < CALLS_MAX)
		r->called[t->call] = true;
}

static void left(struct task *t, const struct ptrace_syscall_info *info)
{
	struct role *r = task_role(t);

	if (r && t->call < CALLS_MAX && info->exit.rval == -EPERM)
		r->refused[t->call] = true;
	if (t->call == SYS_prctl)
		t->known = false; /* has another name, perhaps */
	if (t->call == SYS_seccomp && info->exit.rval == 0)
		for (struct task *other = tasks; other < tasks + TASKS_MAX; other++)
			other->known = false;
}

static void stopped_in_call(pid_t tid)
{
	struct ptrace_syscall_info info;
	struct task *t = task_of(tid);

	if (ptrace((enum __ptrace_request)PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info) < 0)
		return; /* killed meanwhile */
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		entered(t, &info);
	else if (info.op == PTRACE_SYSCALL_INFO_EXIT)
		left(t, &info);
}

/* ---- the tracer's life ---------------------------------------------------------------------- */

static bool stops_a_group(int number)
{
	return number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
}

static void go_on(pid_t tid, int status)
{
	int number = WSTOPSIG(status), event = status >> 16;

	if (number == (SIGTRAP | 0x80)) {
		stopped_in_call(tid);
		number = 0;
	} else if (event == PTRACE_EVENT_STOP && stops_a_group(number)) {
		(void)ptrace(PTRACE_LISTEN, tid, NULL, NULL);
		return;
	} else if (event) {
		number = 0;
	}
	(void)ptrace(PTRACE_SYSCALL, tid, NULL, (void *)(uintptr_t)(unsigned)number);
}

static void trace(void)
{
	int status;
	pid_t tid;

	while ((tid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		if (tid <= 0)
			continue;
		if (WIFSTOPPED(status))
			go_on(tid, status);
		else
			task_of(tid)->tid = 0;
	}
}

static void write_down(const char *path)
{
	size_t room = 0;
	char *text = NULL;
	FILE *f = open_memstream(&text, &room);
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);

	if (!f || fd < 0)
		fail(path);
	for (struct role *r = roles; r < roles + ROLES_MAX && r->filters; r++)
		for (int nr = 0; nr < CALLS_MAX; nr++) {
			char *name =
				r->called[nr]
					? seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr)
					: NULL;
			if (r->called[nr])
				fprintf(f, "%s %d %s%s\n", r->name, r->filters,
					name ? name : "unknown", r->refused[nr] ? " refused" : "");
			free(name);
		}
	fclose(f);
	if (write(fd, text, room) != (ssize_t)room)
		fail(path);
	close(fd);
	free(text);
}

static _Noreturn void record(const char *path, pid_t program, int ready)
{
	const uintptr_t options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
				  PTRACE_O_TRACECLONE;

	(void)setsid();
	for (int number = SIGHUP; number <= SIGTERM; number++)
		(void)signal(number, SIG_IGN);
	outer_filters = status_number(getpid(), "Seccomp_filters");
	if (outer_filters < 0)
		fail("the kernel does not count filters");
	if (ptrace(PTRACE_SEIZE, program, NULL, options) < 0 ||
	    ptrace(PTRACE_INTERRUPT, program, NULL, NULL) < 0)
		fail("PTRACE_SEIZE");
	if (write(ready, "", 1) != 1)
		fail("write");
	for (int fd = 0; fd < 64; fd++) /* the program's readers must see its end */
		if (fd != STDERR_FILENO)
			close(fd);
	trace();
	write_down(path);
	exit(0);
}

int main(int argc, char **argv)
{
	pid_t program = getpid(), child;
	int ready[2];
	char byte;

	if (argc < 3) {
		fprintf(stderr, "usage: recorder FILE PROGRAM ARGUMENTS...\n");
		return 2;
	}
	if (pipe2(ready, O_CLOEXEC) < 0)
		fail("pipe");
	child = fork();
	if (child == 0) {
		child = fork();
		if (child == 0)
			record(argv[1], program, ready[1]);
		_exit(child < 0);
	}
	if (child < 0 || waitpid(child, NULL, 0) != child)
		fail("fork");
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		fail("the recorder did not come up");
	execv(argv[2], argv + 2);
	fail(argv[2]);
}
