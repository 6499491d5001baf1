/* SPDX-License-Identifier: Apache-2.0 */
/* confine: capabilities, Landlock and seccomp of a small helper process. */
#include "core/confine.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- capabilities --------------------------------------------------------------------------- */

static int drop_capabilities(uint32_t kept)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

	if (syscall(SYS_capget, &head, data))
		return -errno;
	data[0].permitted &= kept;
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

/* Every right to files that the ABI knows. */
static uint64_t all_file_rights(long abi)
{
	int bits = abi >= 5 ? 16 : abi >= 3 ? 15 : abi == 2 ? 14 : 13;

	return (UINT64_C(1) << bits) - 1;
}

static int allow_beneath(int ruleset, const struct confine_place *place)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = place->rights,
						  .parent_fd = place->dir};

	if (place->dir < 0)
		return 0;
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0)
		       ? -errno
		       : 0;
}

static int enter_landlock(const struct confine *plan)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset attr = {
		.access_fs = all_file_rights(abi),
		.access_net = abi >= ABI_TCP && !plan->dials_tcp ? ACCESS_NET_CONNECT_TCP : 0,
		.scoped = abi >= ABI_SCOPE ? SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL : 0,
	};
	size_t size = abi >= ABI_SCOPE ? 24 : abi >= ABI_TCP ? 16 : 8;
	int fd, error = 0;

	if (abi < 1)
		return 0;
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < plan->place_count && !error; i++)
		error = allow_beneath(fd, &plan->places[i]);
	if (!error && syscall(SYS_landlock_restrict_self, fd, 0))
		error = -errno;
	close(fd);
	return error;
}

/* ---- seccomp -------------------------------------------------------------------------------- */

static const int calls_of_all[] = {
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
	SCMP_SYS(close),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

static const struct confine_call guarded_of_all[] = {
	/* Memory that holds data is never run. */
	{SCMP_SYS(mmap), 1, {{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}}},
};

int confine_allow(scmp_filter_ctx filter, const int *calls, size_t count)
{
	int error = 0;

	for (size_t i = 0; i < count && !error; i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	return error;
}

int confine_allow_guarded(scmp_filter_ctx filter, const struct confine_call *calls, size_t count)
{
	int error = 0;

	for (size_t i = 0; i < count && !error; i++)
		error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, calls[i].call,
					       calls[i].count, calls[i].compare);
	return error;
}

static int enter_seccomp(const struct confine *plan)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int error;

	if (!filter)
		return -ENOMEM;
	/* Calls of another architecture's numbering mean an attacker. */
	error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (!error)
		error = confine_allow(filter, calls_of_all, COUNT(calls_of_all));
	if (!error)
		error = confine_allow_guarded(filter, guarded_of_all, COUNT(guarded_of_all));
	if (!error)
		error = confine_allow(filter, plan->calls, plan->call_count);
	if (!error)
		error = confine_allow_guarded(filter, plan->guarded, plan->guarded_count);
	if (!error)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int set_limits(const struct confine_limit *limits, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct rlimit both = {limits[i].most, limits[i].most};

		if (setrlimit((__rlimit_resource_t)limits[i].what, &both))
			return -errno;
	}
	return 0;
}

int confine(const struct confine *plan)
{
	static const struct confine_limit no_core = {RLIMIT_CORE, 0};
	int error;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return -errno;
	error = set_limits(&no_core, 1);
	if (!error)
		error = set_limits(plan->limits, plan->limit_count);
	if (!error)
		error = drop_capabilities(plan->capabilities);
	if (!error)
		error = enter_landlock(plan);
	if (!error)
		error = enter_seccomp(plan);
	return error;
}
