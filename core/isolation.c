/* SPDX-License-Identifier: Apache-2.0 */
/* isolation: the stages of isolation.h, and the lists of what remains allowed after the last. */

#include "core/isolation.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <pwd.h>
#include <seccomp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/confine.h"
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

/* What of this process's capabilities is in kept. 0, or -1 with errno. */
static int limit_capabilities(uint32_t kept)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

	if (kept && syscall(SYS_capget, &head, data))
		return -1;
	data[0].permitted &= kept;
	data[0].effective = data[0].permitted;
	data[0].inheritable = 0;
	data[1] = (struct __user_cap_data_struct){0};
	return (int)syscall(SYS_capset, &head, data);
}

void isolation_drop_capabilities(uint32_t kept, struct isolation_report *out)
{
	/* Without CAP_SETPCAP the bounding set stays; under no_new_privs nothing can come of it. */
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);

	if (limit_capabilities(kept))
		fails(out, ISOLATION_CAPABILITIES, "capset failed: %s", strerror(errno));
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

/* The agent's: resolver configuration, hosts, and certificates of the system. */
static const char *const readable_paths[] = {
	"/etc",		"/run/systemd/resolve",	      "/run/resolvconf", "/run/NetworkManager",
	"/usr/lib/ssl", "/usr/share/ca-certificates",
};

/* Also the program's own, see isolation_let_read(). */
static char own_path[PATH_MAX];

void isolation_let_read(const char *path)
{
	snprintf(own_path, sizeof(own_path), "%s", path);
}

static void allow_reading_path(int ruleset, const char *path)
{
	struct landlock_path_beneath_attr rule = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE,
		.parent_fd = open(path, O_PATH | O_CLOEXEC),
	};
	struct stat what;

	if (rule.parent_fd < 0)
		return; /* not every system has every one */
	if (fstat(rule.parent_fd, &what) == 0 && S_ISDIR(what.st_mode))
		rule.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
	(void)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	close(rule.parent_fd);
}

static void allow_reading(int ruleset)
{
	for (size_t i = 0; i < COUNT(readable_paths); i++)
		allow_reading_path(ruleset, readable_paths[i]);
	if (own_path[0])
		allow_reading_path(ruleset, own_path);
}

/* Returns 0 or -errno. */
static int landlock_enter(long abi, const struct ruleset *attr, bool dials)
{
	size_t size = abi >= ABI_SCOPE ? 24 : abi >= ABI_TCP ? 16 : 8;
	int fd = (int)syscall(SYS_landlock_create_ruleset, attr, size, 0);
	if (fd < 0)
		return -errno;
	if (dials)
		allow_reading(fd);
	int err = syscall(SYS_landlock_restrict_self, fd, 0) ? -errno : 0;
	close(fd);
	return err;
}

static void landlock_report(long abi, const struct ruleset *attr, struct isolation_report *out)
{
	if (attr->access_fs)
		holds(out, ISOLATION_LANDLOCK_FS);
	else
		fails(out, ISOLATION_LANDLOCK_FS, "left out of a build with a sanitizer");
	if (attr->access_net)
		holds(out, ISOLATION_LANDLOCK_TCP);
	else if (abi < ABI_TCP)
		fails(out, ISOLATION_LANDLOCK_TCP,
		      "the kernel's Landlock is version %ld; TCP needs 4 (Linux 6.7)", abi);
	else
		fails(out, ISOLATION_LANDLOCK_TCP, "an agent has to dial");
}

static void landlock_failed(struct isolation_report *out, const char *why)
{
	fails(out, ISOLATION_LANDLOCK_FS, "%s", why);
	fails(out, ISOLATION_LANDLOCK_TCP, "%s", why);
}

void isolation_landlock(unsigned flags, struct isolation_report *out)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 1) {
		landlock_failed(out, errno == EOPNOTSUPP
					     ? "Landlock is disabled at boot; add it to "
					       "the kernel's lsm= parameter"
					     : "the kernel has no Landlock, or a "
					       "seccomp profile hides it");
		return;
	}
	/* Handled and without a rule: denied. */
	bool dials = flags & ISOLATE_DIALS;
	struct ruleset attr = {
		.access_fs = SANITIZED ? 0 : all_file_rights(abi),
		.access_net =
			dials || abi < ABI_TCP ? 0 : ACCESS_NET_BIND_TCP | ACCESS_NET_CONNECT_TCP,
		.scoped = abi < ABI_SCOPE ? 0 : SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL,
	};
	int err = 0;
	if (attr.access_fs || attr.access_net || attr.scoped)
		err = landlock_enter(abi, &attr, dials && attr.access_fs);
	if (err)
		landlock_failed(out, strerror(-err));
	else
		landlock_report(abi, &attr, out);
}

/* ---- stage 4: seccomp ---------------------------------------------------------------------- */

/* Allowed whatever their arguments. The kernel remembers these per call number and does not even
 * run the filter for them, so the busy ones belong here wherever it is safe. */
static const int calls_of_all[] = {
	/* the io_uring backend; its rings exist, and refuse what is not for them */
	SCMP_SYS(io_uring_enter),
	/* the epoll backend, and ring_poll() on it */
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	/* connections; reading and writing also serve the wake-up eventfd and the log, recvmsg
	 * brings the sockets that the keeper opens, and recvmmsg datagrams */
	SCMP_SYS(accept4),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(read),
	SCMP_SYS(splice), /* between descriptors that are open */
	SCMP_SYS(readv),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(close),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt),
	SCMP_SYS(fcntl),
	/* the log: how to buffer an open descriptor */
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(lseek),
	/* malloc and buffers; mmap and mprotect are below */
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(sched_getaffinity),
	/* clocks, where the vDSO cannot serve them; back-off in libraries */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(restart_syscall),
	/* BoringSSL */
	SCMP_SYS(getrandom),
	/* threads: locks, names of themselves, their end */
	SCMP_SYS(futex),
	SCMP_SYS(sched_yield),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(membarrier),
	SCMP_SYS(gettid),
	SCMP_SYS(getpid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	/* signals: handlers, waiting for them, and abort() */
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(tgkill),
	/* `relay status`: limits and use of memory and processor */
	SCMP_SYS(getrlimit),
	SCMP_SYS(getrusage),
	SCMP_SYS(sysinfo),
	SCMP_SYS(uname),
};

/* ISOLATE_DIALS: dialling; listening where a changed configuration says, which gives nothing to who
 * may dial; c-ares, which reads its files anew when they change; and writing to files that are
 * open. socket and openat are below. */
static const int calls_to_dial[] = {
	SCMP_SYS(connect),   SCMP_SYS(sendto),	   SCMP_SYS(sendmsg),	 SCMP_SYS(sendmmsg),
	SCMP_SYS(shutdown),  SCMP_SYS(setsockopt), SCMP_SYS(stat),	 SCMP_SYS(lstat),
	SCMP_SYS(statx),     SCMP_SYS(readlink),   SCMP_SYS(readlinkat), SCMP_SYS(access),
	SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(getdents64), SCMP_SYS(bind),
	SCMP_SYS(listen),    SCMP_SYS(ftruncate),  SCMP_SYS(fdatasync),
};

/* ISOLATE_THREADS. clone3 hides its flags from seccomp; namespaces need capabilities anyway. */
static const int calls_for_threads[] = {
	SCMP_SYS(clone),
	SCMP_SYS(clone3),
};

/* Sanitizers: symbolising reads files, LeakSanitizer clones a thread that ptraces the others. */
static const int calls_of_sanitizers[] = {
	SCMP_SYS(openat),  SCMP_SYS(open),    SCMP_SYS(readlink),  SCMP_SYS(readlinkat),
	SCMP_SYS(stat),	   SCMP_SYS(lstat),   SCMP_SYS(statx),	   SCMP_SYS(getdents64),
	SCMP_SYS(access),  SCMP_SYS(mmap),    SCMP_SYS(mprotect),  SCMP_SYS(clone),
	SCMP_SYS(clone3),  SCMP_SYS(wait4),   SCMP_SYS(ptrace),	   SCMP_SYS(prctl),
	SCMP_SYS(pipe2),   SCMP_SYS(pread64), SCMP_SYS(prlimit64), SCMP_SYS(process_vm_readv),
	SCMP_SYS(getppid), SCMP_SYS(kill),    SCMP_SYS(dup2),	   SCMP_SYS(dup3),
};

#define ARG_IS(n, value)                                                                           \
	{                                                                                          \
		(n), SCMP_CMP_EQ, (scmp_datum_t)(value), 0                                         \
	}
#define ARG_WITHOUT(n, bits)                                                                       \
	{                                                                                          \
		(n), SCMP_CMP_MASKED_EQ, (scmp_datum_t)(bits), 0                                   \
	}
#define OPEN_WRITES (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)

static const struct confine_call guarded_of_all[] = {
	/* Memory that holds data is never run. */
	{SCMP_SYS(mmap), 1, {ARG_WITHOUT(2, PROT_EXEC)}},
	{SCMP_SYS(mprotect), 1, {ARG_WITHOUT(2, PROT_EXEC)}},
};

/* Without ISOLATE_DIALS: these calls could dial with the wrong arguments. */
static const struct confine_call guarded_of_relay[] = {
	/* To the connection's peer only; MSG_FASTOPEN connects. */
	{SCMP_SYS(sendto), 2, {ARG_IS(4, 0), ARG_WITHOUT(3, MSG_FASTOPEN)}},
	/* To the keeper; with an address: answers over UDP. A TCP socket that is not connected does
	 * not become so by an address alone. */
	{SCMP_SYS(sendmsg), 1, {ARG_WITHOUT(2, MSG_FASTOPEN)}},
	{SCMP_SYS(sendmmsg), 1, {ARG_WITHOUT(3, MSG_FASTOPEN)}},
	/* Half-close. Shut for reading, a listener becomes an unconnected socket again, and
	 * IORING_OP_SEND knows MSG_FASTOPEN too. */
	{SCMP_SYS(shutdown), 1, {ARG_IS(1, SHUT_WR)}},
	/* Not IP options, whose changes of family or protocol nobody needs here. */
	{SCMP_SYS(setsockopt), 1, {ARG_IS(1, SOL_SOCKET)}},
	{SCMP_SYS(setsockopt), 1, {ARG_IS(1, IPPROTO_TCP)}},
};

static const struct confine_call guarded_of_agent[] = {
	{SCMP_SYS(socket), 1, {ARG_IS(0, AF_INET)}},
	{SCMP_SYS(socket), 1, {ARG_IS(0, AF_INET6)}},
	{SCMP_SYS(socketpair), 1, {ARG_IS(0, AF_UNIX)}},
	{SCMP_SYS(openat), 1, {ARG_WITHOUT(2, OPEN_WRITES)}},
	{SCMP_SYS(open), 1, {ARG_WITHOUT(1, OPEN_WRITES)}},
	{SCMP_SYS(ioctl), 1, {ARG_IS(1, FIONBIO)}},
	{SCMP_SYS(ioctl), 1, {ARG_IS(1, FIONREAD)}},
};

static int add_rules(scmp_filter_ctx filter, unsigned flags)
{
	int err = confine_allow(filter, calls_of_all, COUNT(calls_of_all));
	if (!err && SANITIZED)
		err = confine_allow(filter, calls_of_sanitizers, COUNT(calls_of_sanitizers));
	if (!err && !SANITIZED)
		err = confine_allow_guarded(filter, guarded_of_all, COUNT(guarded_of_all));
	if (!err && (flags & ISOLATE_THREADS))
		err = confine_allow(filter, calls_for_threads, COUNT(calls_for_threads));
	if (!err && !(flags & ISOLATE_DIALS))
		return confine_allow_guarded(filter, guarded_of_relay, COUNT(guarded_of_relay));
	if (!err)
		err = confine_allow(filter, calls_to_dial, COUNT(calls_to_dial));
	if (!err)
		err = confine_allow_guarded(filter, guarded_of_agent, COUNT(guarded_of_agent));
	return err;
}

/* Returns 0 or -errno. */
static int seccomp_enter(unsigned flags)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!filter)
		return -ENOMEM;
	/* For all threads. Calls of another architecture's numbering mean an attacker. */
	int err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!err)
		err = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (!err)
		err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* binary search */
	if (!err)
		err = add_rules(filter, flags);
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return err;
}

void isolation_seal(unsigned flags, enum ring_engine engine, struct isolation_report *out)
{
	if (!strcmp(out->parts[ISOLATION_LANDLOCK_FS].why, NOT_YET))
		isolation_landlock(flags, out);
	int err = seccomp_enter(flags);
	if (err) {
		fails(out, ISOLATION_SECCOMP, "%s", strerror(-err));
		fails(out, ISOLATION_URING, "without seccomp, unrestricted rings could be set up%s",
		      engine == RING_IO_URING ? " beside the restricted ones" : "");
		return;
	}
	holds(out, ISOLATION_SECCOMP);
	/* No further ring can be, and one that is was restricted when ring_open() made it. */
	holds(out, ISOLATION_URING);
}
