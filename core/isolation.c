/* SPDX-License-Identifier: Apache-2.0 */
/* isolation: the stages of isolation.h. */

#include "core/isolation.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/sanitized.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- the report ---------------------------------------------------------------------------- */

static const char *const part_names[] = {
	[ISOLATION_NO_NEW_PRIVS] = "no_new_privs", [ISOLATION_CAPABILITIES] = "capabilities",
	[ISOLATION_SECCOMP] = "seccomp",	   [ISOLATION_LANDLOCK_FS] = "landlock_fs",
	[ISOLATION_LANDLOCK_TCP] = "landlock_tcp", [ISOLATION_URING] = "io_uring",
};
static_assert(COUNT(part_names) == ISOLATION_PARTS, "one name per part");

#define NOT_YET "not tried"

const char *isolation_part_name(enum isolation_part part)
{
	return part_names[part];
}

static void holds(struct isolation_report *out, enum isolation_part part)
{
	out->parts[part].holds = true;
	out->parts[part].why[0] = '\0';
}

__attribute__((format(printf, 3, 4))) static void
fails(struct isolation_report *out, enum isolation_part part, const char *format, ...)
{
	va_list args;
	out->parts[part].holds = false;
	va_start(args, format);
	vsnprintf(out->parts[part].why, sizeof(out->parts[part].why), format, args);
	va_end(args);
}

/* ---- stages 1 and 2: privileges ------------------------------------------------------------ */

int isolation_begin(struct isolation_report *out)
{
	for (int i = 0; i < ISOLATION_PARTS; i++)
		fails(out, (enum isolation_part)i, NOT_YET);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	holds(out, ISOLATION_NO_NEW_PRIVS);
	/* Keys are in memory: neither a core file nor another process of this user may have it. */
	struct rlimit none = {0, 0};
	if (setrlimit(RLIMIT_CORE, &none) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return -errno;
	umask(077);
	return 0;
}

int isolation_switch_user(const char *user)
{
	if (!user || geteuid() != 0)
		return 0;
	errno = 0;
	struct passwd *pw = getpwnam(user);
	if (!pw)
		return errno ? -errno : -ENOENT;
	uid_t uid = pw->pw_uid;
	gid_t gid = pw->pw_gid;
	if (initgroups(user, gid) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		return -errno;
	/* The kernel makes a process undumpable when its user changes, but it may be configured to
	 * do otherwise (fs.suid_dumpable). */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return -errno;
	if (uid != 0 && setresuid(0, 0, 0) == 0)
		return -EPERM;
	return 0;
}

/* What of this process's capabilities is in kept. 0 or -errno. */
static int limit_capabilities(uint32_t kept)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

	if (kept && syscall(SYS_capget, &head, data))
		return -errno;
	data[0].permitted &= kept;
	data[0].effective = data[0].permitted;
	data[0].inheritable = 0;
	data[1] = (struct __user_cap_data_struct){0};
	return syscall(SYS_capset, &head, data) ? -errno : 0;
}

void isolation_drop_capabilities(const struct isolation_plan *plan, struct isolation_report *out)
{
	int error;

	/* Without CAP_SETPCAP the bounding set stays; under no_new_privs nothing can come of it. */
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);

	error = limit_capabilities(plan->capabilities);
	if (error)
		fails(out, ISOLATION_CAPABILITIES, "capset failed: %s", strerror(-error));
	else
		holds(out, ISOLATION_CAPABILITIES);
}

/* ---- stage 3: Landlock --------------------------------------------------------------------- */

/* Newer than the oldest headers that we build with; see landlock(7). */
struct ruleset {
	uint64_t access_fs, access_net, scoped;
};
#define ACCESS_NET_BIND_TCP	   (UINT64_C(1) << 0)
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

/* The version that the kernel speaks; below 1: none, with errno. */
static long landlock_abi(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

/* What is handled and has no rule is denied. files: whether files are handled at all. */
static struct ruleset ruleset_of(const struct isolation_plan *plan, long abi, bool files)
{
	struct ruleset r = {.access_fs = files ? all_file_rights(abi) : 0};

	if (abi >= ABI_TCP && !plan->binds_tcp)
		r.access_net |= ACCESS_NET_BIND_TCP;
	if (abi >= ABI_TCP && !plan->connects_tcp)
		r.access_net |= ACCESS_NET_CONNECT_TCP;
	if (abi >= ABI_SCOPE)
		r.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
	return r;
}

/* Where resolv.conf leads now. False: nowhere that exists. */
static bool resolver_directory(char out[PATH_MAX])
{
	if (!realpath("/etc/resolv.conf", out))
		return false;
	*(strrchr(out, '/') > out ? strrchr(out, '/') : out + 1) = '\0';
	return true;
}

/* 0 or -errno. */
static int allow_place(int ruleset, const struct isolation_place *place)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = place->rights,
						  .parent_fd = place->fd};
	struct stat what;
	int error = 0;

	if (place->path)
		rule.parent_fd = open(place->path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return 0; /* not every system has every one */
	/* The kernel takes no rule that gives rights of a directory to a file. */
	if (fstat(rule.parent_fd, &what) == 0 && !S_ISDIR(what.st_mode))
		rule.allowed_access &= ~(uint64_t)LANDLOCK_ACCESS_FS_READ_DIR;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
		error = -errno;
	if (place->path)
		close(rule.parent_fd);
	return error;
}

/* plan.resolves: the resolver's configuration and hosts. Directories, since a rule is of a file and
 * not of its name, and both are replaced again and again: by whatever keeps resolv.conf, and by
 * each editor that an operator changes hosts with. What is there and not for everybody is guarded
 * by its modes: hence "user".
 *
 * /etc/resolv.conf is a link to beneath /run on most systems: to systemd/resolve, resolvconf,
 * NetworkManager, netconfig, connman, whatever comes next. It may become one, or its directory be
 * made, long after the start, and of a directory that is not there there can be no rule. So it is
 * all of /run: to read files, not to list directories. */
static int allow_places(int ruleset, const struct isolation_plan *plan)
{
	char leads[PATH_MAX];
	const char *const paths[] = {"/etc", "/run", leads};
	size_t count = !plan->resolves ? 0 : resolver_directory(leads) ? 3 : 2;
	int error = 0;

	for (size_t i = 0; i < count && !error; i++)
		error = allow_place(
			ruleset, &(struct isolation_place){.path = paths[i],
							   .rights = LANDLOCK_ACCESS_FS_READ_FILE});
	for (size_t i = 0; i < plan->place_count && !error; i++)
		error = allow_place(ruleset, &plan->places[i]);
	return error;
}

/* Returns 0 or -errno. */
static int landlock_enter(const struct isolation_plan *plan, const struct ruleset *r, long abi)
{
	size_t size = abi >= ABI_SCOPE ? 24 : abi >= ABI_TCP ? 16 : 8;
	int fd, error = 0;

	if (!r->access_fs && !r->access_net && !r->scoped)
		return 0;
	fd = (int)syscall(SYS_landlock_create_ruleset, r, size, 0);
	if (fd < 0)
		return -errno;
	if (r->access_fs)
		error = allow_places(fd, plan);
	if (!error && syscall(SYS_landlock_restrict_self, fd, 0))
		error = -errno;
	close(fd);
	return error;
}

static void landlock_report(const struct isolation_plan *plan, long abi,
			    struct isolation_report *out)
{
	if (SANITIZED)
		fails(out, ISOLATION_LANDLOCK_FS, "left out of a build with a sanitizer");
	else
		holds(out, ISOLATION_LANDLOCK_FS);
	if (plan->connects_tcp)
		fails(out, ISOLATION_LANDLOCK_TCP, "this program has to dial");
	else if (abi < ABI_TCP)
		fails(out, ISOLATION_LANDLOCK_TCP,
		      "the kernel's Landlock is version %ld; TCP needs 4 (Linux 6.7)", abi);
	else
		holds(out, ISOLATION_LANDLOCK_TCP);
}

static void landlock_failed(struct isolation_report *out, const char *why)
{
	fails(out, ISOLATION_LANDLOCK_FS, "%s", why);
	fails(out, ISOLATION_LANDLOCK_TCP, "%s", why);
}

void isolation_landlock(const struct isolation_plan *plan, struct isolation_report *out)
{
	long abi = landlock_abi();
	struct ruleset r;
	int error;

	if (abi < 1) {
		landlock_failed(out, errno == EOPNOTSUPP
					     ? "Landlock is disabled at boot; add it to "
					       "the kernel's lsm= parameter"
					     : "the kernel has no Landlock, or a "
					       "seccomp profile hides it");
		return;
	}
	r = ruleset_of(plan, abi, !SANITIZED);
	error = landlock_enter(plan, &r, abi);
	if (error)
		landlock_failed(out, strerror(-error));
	else
		landlock_report(plan, abi, out);
}

/* ---- stage 4: seccomp ---------------------------------------------------------------------- */

/*
 * What every process needs is the C library's. Calls that are allowed with any arguments
 * cost nothing: the kernel remembers them by number, and does not run the filter.
 *
 * Memory; what holds data is never run:
 * #syscalls-rare brk munmap mremap madvise; as malloc() happens to need
 * #syscalls-rare mmap(2 without PROT_EXEC) mprotect(2 without PROT_EXEC); likewise
 *
 * Locks, and the end, of a thread, of the process, and by abort():
 * #syscalls-rare futex sched_yield; where threads meet
 * #syscalls-rare exit rt_sigprocmask; where a thread ends
 * #syscalls-rare exit_group; where it is not killed
 * #syscalls-rare getpid gettid tgkill rt_sigaction sigaltstack; abort() and sanitizers
 *
 * Signals that come while a call waits:
 * #syscalls-rare rt_sigreturn restart_syscall; where one has a handler, or stops the process
 *
 * Clocks:
 * #syscalls-rare clock_gettime clock_getres gettimeofday; where the vDSO cannot tell the time
 */

/* A daemon's filter is for all threads. Returns 0 or -errno. */
static int seccomp_enter(const struct isolation_calls *calls, bool threads)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int error;

	if (!filter)
		return -ENOMEM;
	error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, threads);
	/* Calls of another architecture's numbering mean an attacker. */
	if (!error)
		error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (!error)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* binary search */
	for (size_t i = 0; i < calls->count && !error; i++)
		error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, calls->list[i].call,
					       calls->list[i].count, calls->list[i].compare);
	if (!error)
		error = seccomp_load(filter);
	seccomp_release(filter);
	return error;
}

void isolation_seal(const struct isolation_plan *plan, enum ring_engine engine,
		    struct isolation_report *out)
{
	int error;

	if (!strcmp(out->parts[ISOLATION_LANDLOCK_FS].why, NOT_YET))
		isolation_landlock(plan, out);
	error = seccomp_enter(plan->calls, true);
	if (error) {
		fails(out, ISOLATION_SECCOMP, "%s", strerror(-error));
		fails(out, ISOLATION_URING, "without seccomp, unrestricted rings could be set up%s",
		      engine == RING_IO_URING ? " beside the restricted ones" : "");
		return;
	}
	holds(out, ISOLATION_SECCOMP);
	/* No further ring can be, and one that is was restricted when ring_open() made it. */
	holds(out, ISOLATION_URING);
}

/* ---- a helper: all stages at once ------------------------------------------------------------ */

static int set_limits(const struct isolation_limit *limits, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct rlimit both = {limits[i].most, limits[i].most};

		if (setrlimit((__rlimit_resource_t)limits[i].what, &both))
			return -errno;
	}
	return 0;
}

/* The launcher's children do this under its filter.
 *
 * #syscalls:launcher,launcher_test prctl capset seccomp prlimit64|setrlimit landlock_create_ruleset
 * #syscalls:launcher,launcher_test landlock_restrict_self
 */
int isolation_confine(const struct isolation_plan *plan)
{
	static const struct isolation_limit no_core = {RLIMIT_CORE, 0};
	long abi = landlock_abi();
	struct ruleset r = ruleset_of(plan, abi, true);
	int error;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return -errno;
	error = set_limits(&no_core, 1);
	if (!error)
		error = set_limits(plan->limits, plan->limit_count);
	if (!error)
		error = limit_capabilities(plan->capabilities);
	if (!error && abi >= 1)
		error = landlock_enter(plan, &r, abi);
	if (!error)
		error = seccomp_enter(plan->calls, false);
	return error;
}
