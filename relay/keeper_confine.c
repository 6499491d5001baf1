/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_confine: the keeper's own isolation, tighter than the relay's where it can be.
 *
 * It keeps what the relay has given up, to open files and bind ports, and nothing of what the relay
 * still does: it neither accepts nor receives from the network. Landlock knows ports only one by
 * one, so binding stays open there; connecting is denied by it and by seccomp.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "relay/keeper_internal.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- capabilities --------------------------------------------------------------------------- */

/* All but the right to bind ports below 1024, if that is there. */
static int drop_capabilities(void)
{
	const uint32_t bind_service = UINT32_C(1) << CAP_NET_BIND_SERVICE;
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

	if (syscall(SYS_capget, &head, data))
		return -errno;
	data[0].permitted &= bind_service;
	data[0].effective = data[0].permitted;
	data[0].inheritable = 0;
	data[1] = (struct __user_cap_data_struct){0};
	return syscall(SYS_capset, &head, data) ? -errno : 0;
}

/* ---- Landlock ------------------------------------------------------------------------------- */

/* Newer than the oldest headers that we build with; see landlock(7). */
struct ruleset {
	uint64_t access_fs, access_net, scoped;
};
#define ACCESS_NET_CONNECT_TCP	   (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT_UNIX_SOCKET (UINT64_C(1) << 0)
#define SCOPE_SIGNAL		   (UINT64_C(1) << 1)
#define ABI_TCP			   4
#define ABI_SCOPE		   6

#define READ_FILES LANDLOCK_ACCESS_FS_READ_FILE
#define WRITE_FILES                                                                                \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |                            \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE)

/* Every right to files that the ABI knows. */
static uint64_t all_file_rights(long abi)
{
	int bits = abi >= 5 ? 16 : abi >= 3 ? 15 : abi == 2 ? 14 : 13;

	return (UINT64_C(1) << bits) - 1;
}

static int allow_beneath(int ruleset, int dir, uint64_t rights)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = dir};

	if (dir < 0)
		return 0;
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0)
		       ? -errno
		       : 0;
}

static int enter_landlock(const struct keeper_places *places)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset attr = {
		.access_fs = all_file_rights(abi),
		.access_net = abi >= ABI_TCP ? ACCESS_NET_CONNECT_TCP : 0,
		.scoped = abi >= ABI_SCOPE ? SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL : 0,
	};
	size_t size = abi >= ABI_SCOPE ? 24 : abi >= ABI_TCP ? 16 : 8;
	int fd, error;

	if (abi < 1) /* none here, as the relay's own report says */
		return 0;
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	if (fd < 0)
		return -errno;
	error = allow_beneath(fd, places->config_dir, READ_FILES);
	if (!error)
		error = allow_beneath(fd, places->config_real_dir, READ_FILES);
	if (!error)
		error = allow_beneath(fd, places->state_dir, WRITE_FILES);
	if (!error && syscall(SYS_landlock_restrict_self, fd, 0))
		error = -errno;
	close(fd);
	return error;
}

/* ---- seccomp -------------------------------------------------------------------------------- */

static const int calls[] = {
	/* requests in */
	SCMP_SYS(recvmsg),
	/* a listener */
	SCMP_SYS(bind),
	SCMP_SYS(listen),
	/* files; where, Landlock says */
	SCMP_SYS(openat),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(fsync),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(unlinkat),
	SCMP_SYS(close),
	/* the C library's memory and abort(), and a sanitizer's */
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(sched_yield),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(tgkill),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

#define LISTENER_TYPE (SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)

static const struct {
	int call;
	unsigned count;
	struct scmp_arg_cmp compare[2];
} guarded[] = {
	/* TCP only */
	{SCMP_SYS(socket), 2, {{0, SCMP_CMP_EQ, AF_INET, 0}, {1, SCMP_CMP_EQ, LISTENER_TYPE, 0}}},
	{SCMP_SYS(socket), 2, {{0, SCMP_CMP_EQ, AF_INET6, 0}, {1, SCMP_CMP_EQ, LISTENER_TYPE, 0}}},
	/* SO_REUSEPORT */
	{SCMP_SYS(setsockopt), 1, {{1, SCMP_CMP_EQ, SOL_SOCKET, 0}}},
	/* replies; MSG_FASTOPEN connects */
	{SCMP_SYS(sendmsg), 1, {{2, SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0}}},
	/* Memory that holds data is never run. */
	{SCMP_SYS(mmap), 1, {{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}}},
};

static int enter_seccomp(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int error;

	if (!filter)
		return -ENOMEM;
	error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	for (size_t i = 0; i < COUNT(calls) && !error; i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	for (size_t i = 0; i < COUNT(guarded) && !error; i++)
		error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, guarded[i].call,
					       guarded[i].count, guarded[i].compare);
	if (!error)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}

int keeper_confine(const struct keeper_places *places)
{
	const struct rlimit none = {0, 0};
	int error;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ||
	    setrlimit(RLIMIT_CORE, &none))
		return -errno;
	error = drop_capabilities();
	if (!error)
		error = enter_landlock(places);
	if (!error)
		error = enter_seccomp();
	return error;
}
