/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper: what a sealed relay can still have done by it, and what the keeper itself cannot do.
 *
 * What a sealed process does, a child does; its exit status is 0, or 1 after the first check that
 * failed.
 *
 * links: core/helper.c relay/keeper/keeper.c relay/keeper/serve.c core/addr.c core/listening.c
 * links: core/datagrams.c core/file.c core/isolation.c core/passing.c
 * links: tests/support/child.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/isolation.h"
#include "core/sanitized.h"
#include "gen/keeper_test_calls.h"
#include "relay/keeper/internal.h"
#include "tests/support/child.h"

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			dprintf(2, "%s:%d: %s (errno %s)\n", __FILE__, __LINE__, #condition,       \
				strerrorname_np(errno));                                           \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

#define REFUSED(call) CHECK((call) == -1 && (errno == EPERM || errno == EACCES))

/* A directory with a configuration, a neighbour that must not be read, and a state directory.
 */
static char dir[64], config[96], neighbour[96], state[96];

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int setup(void **context)
{
	snprintf(dir, sizeof(dir), "/tmp/postern-keeper-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(config, sizeof(config), "%s/relay.yaml", dir);
	snprintf(neighbour, sizeof(neighbour), "%s/outside", dir);
	snprintf(state, sizeof(state), "%s/state", dir);
	assert_int_equal(mkdir(state, 0700), 0);
	write_file(config, "name: front\n");
	write_file(neighbour, "not for you\n");
	return 0;
}

static int teardown(void **context)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

/* As a relay, and to see that descriptors come as they should.
 *
 * #syscalls fcntl(1 is F_GETFD) fcntl(1 is F_GETFL)
 */
static const struct isolation_plan relay = {.calls = &keeper_test_calls};

static void seal(void)
{
	struct isolation_report report;

	CHECK(isolation_begin(&report) == 0);
	isolation_drop_capabilities(&relay, &report);
	isolation_landlock(&relay, &report);
	isolation_seal(&relay, RING_EPOLL, &report);
	CHECK(report.parts[ISOLATION_SECCOMP].holds);
}

static struct addr loopback(void)
{
	struct addr a;

	CHECK(addr_from_literal("127.0.0.1", 0, &a));
	return a;
}

/* ---- for a sealed relay ---------------------------------------------------------------------- */

static void listen_body(void)
{
	struct keeper k;
	struct addr a = loopback();
	socklen_t len = sizeof(a.v4);
	int outside = socket(AF_INET, SOCK_STREAM, 0), fd = -1, other = -1, go[2], in;
	char byte;

	CHECK(pipe(go) == 0);
	CHECK(keeper_start(&k, NULL) == 0);
	/* A process that is not sealed, and dials when told where. */
	if (fork() == 0) {
		CHECK(read(go[0], &a.v4, sizeof(a.v4)) == sizeof(a.v4));
		CHECK(connect(outside, &a.sa, sizeof(a.v4)) == 0);
		CHECK(write(outside, "x", 1) == 1);
		_exit(0);
	}
	seal();
	REFUSED(socket(AF_INET, SOCK_STREAM, 0));
	CHECK(keeper_listen(&k, &a, &fd) == 0);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	CHECK(getsockname(fd, &a.sa, &len) == 0 && addr_port(&a) > 0);
	/* As many on one address as there are workers. The next answer tells that the keeper has
	 * closed its own copy. */
	CHECK(keeper_listen(&k, &a, &other) == 0);
	CHECK(close(other) == 0);
	CHECK(keeper_save(&k, "none", "", 0) == -ENOTDIR);
	CHECK(write(go[1], &a.v4, sizeof(a.v4)) == sizeof(a.v4));
	CHECK(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 5000) == 1);
	in = accept4(fd, NULL, NULL, 0);
	CHECK(in >= 0 && read(in, &byte, 1) == 1);
	/* What bind() says arrives. */
	CHECK(addr_from_literal("192.0.2.1", 443, &a));
	CHECK(keeper_listen(&k, &a, &fd) == -EADDRNOTAVAIL);
	a.len = 3;
	CHECK(keeper_listen(&k, &a, &fd) == -EINVAL);
	keeper_stop(&k);
	CHECK(keeper_listen(&k, &a, &fd) == -EPIPE);
}

static void test_a_sealed_relay_listens(void **context)
{
	child_runs(listen_body);
}

static void udp_body(void)
{
	struct keeper k;
	struct addr a;
	socklen_t len = sizeof(a.v6);
	int fd = -1, other = -1, on = 0;

	CHECK(keeper_start(&k, NULL) == 0);
	seal();
	REFUSED(socket(AF_INET, SOCK_DGRAM, 0));
	CHECK(addr_from_literal("0.0.0.0", 0, &a));
	CHECK(keeper_bind_udp(&k, &a, &fd) == 0);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && (fcntl(fd, F_GETFL) & O_NONBLOCK));
	CHECK(getsockname(fd, &a.sa, &len) == 0 && addr_port(&a) > 0);
	/* A wildcard tells where datagrams came to. */
	len = sizeof(on);
	CHECK(getsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, &len) == 0 && on == 1);
	CHECK(keeper_bind_udp(&k, &a, &other) == 0);
	CHECK(addr_from_literal("::", 0, &a));
	CHECK(keeper_bind_udp(&k, &a, &other) == 0);
	CHECK(getsockopt(other, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, &len) == 0 && on == 1);
	CHECK(addr_from_literal("192.0.2.1", 443, &a));
	CHECK(keeper_bind_udp(&k, &a, &fd) == -EADDRNOTAVAIL);
	a.len = 3;
	CHECK(keeper_bind_udp(&k, &a, &fd) == -EINVAL);
	keeper_stop(&k);
}

static void test_a_sealed_relay_binds_udp(void **context)
{
	child_runs(udp_body);
}

static char much(size_t at)
{
	return (char)(at * 7 % 251);
}

/* What state_dir's file of this name holds; -1: there is none. */
static ssize_t kept(const char *name, char *out, size_t room)
{
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", state, name);
	fd = open(path, O_RDONLY | O_NOFOLLOW);
	if (fd < 0)
		return -1;
	n = read(fd, out, room);
	close(fd);
	return n;
}

static void save_body(void)
{
	struct keeper k;
	char *big = malloc(KEEPER_DATA_MAX + 1);

	CHECK(big);
	for (size_t i = 0; i <= KEEPER_DATA_MAX; i++)
		big[i] = much(i);
	CHECK(keeper_start(&k, state) == 0);
	seal();
	CHECK(keeper_save(&k, "applied.json", "{}", 2) == 0);
	CHECK(keeper_save(&k, "applied.json", big, KEEPER_DATA_MAX) == 0);
	CHECK(keeper_save(&k, "applied.json", big, KEEPER_DATA_MAX + 1) == -EFBIG);
	CHECK(keeper_save(&k, "empty", "", 0) == 0);
	free(big);
}

static void test_state_is_kept(void **context)
{
	static char got[KEEPER_DATA_MAX + 1];
	char path[128];
	struct stat st;
	size_t same = 0;

	child_runs(save_body);
	assert_int_equal(kept("applied.json", got, sizeof(got)), KEEPER_DATA_MAX);
	while (same < KEEPER_DATA_MAX && got[same] == much(same))
		same++;
	assert_int_equal(same, KEEPER_DATA_MAX);
	assert_int_equal(kept("empty", got, sizeof(got)), 0);
	snprintf(path, sizeof(path), "%s/applied.json", state);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, KEEPER_DATA_MAX);
	/* Nothing is left over. */
	snprintf(path, sizeof(path), "%s/.applied.json.new", state);
	assert_int_equal(stat(path, &st), -1);
}

static void test_a_crash_leaves_no_trap(void **context)
{
	struct keeper k;
	char path[128], got[16];

	/* What an attempt left that was cut short, and a link that an attacker laid. */
	snprintf(path, sizeof(path), "%s/.trap.new", state);
	assert_int_equal(symlink(neighbour, path), 0);
	assert_int_equal(keeper_start(&k, state), 0);
	assert_int_equal(keeper_save(&k, "trap", "new", 3), 0);
	assert_int_equal(kept("trap", got, sizeof(got)), 3);
	assert_memory_equal(got, "new", 3);
	snprintf(path, sizeof(path), "%s/snare", state);
	assert_int_equal(symlink(neighbour, path), 0);
	assert_int_equal(keeper_save(&k, "snare", "newer", 5), 0);
	assert_int_equal(kept("snare", got, sizeof(got)), 5);
	keeper_stop(&k);
}

static void test_only_state_dir_is_written(void **context)
{
	static const char *const names[] = {
		"",    ".",   "..",   ".hidden",	   "../outside", "/etc/hostname",
		"a/b", "Big", "a\nb", "key-identity-1.pem"};
	struct keeper k;
	char longest[80];

	assert_int_equal(keeper_start(&k, state), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(keeper_save(&k, names[i], "x", 1), -EINVAL);
	memset(longest, 'a', sizeof(longest));
	longest[64] = '\0';
	assert_int_equal(keeper_save(&k, longest, "x", 1), -EINVAL);
	longest[63] = '\0';
	assert_int_equal(keeper_save(&k, longest, "x", 1), 0);
	keeper_stop(&k);

	assert_int_equal(keeper_start(&k, NULL), 0);
	assert_int_equal(keeper_save(&k, "a", "x", 1), -ENOTDIR);
	keeper_stop(&k);
}

static void test_start_tells_what_is_missing(void **context)
{
	struct keeper k;

	assert_int_equal(keeper_start(&k, "/nonexistent"), -ENOENT);
	assert_int_equal(keeper_start(&k, config), -ENOTDIR);
}

/* ---- what a relay that was taken over might send ----------------------------------------------
 */

static int ask(struct keeper *k, const void *bytes, size_t size)
{
	static struct keeper_packet answer;

	assert_int_equal(send(k->helper.fd, bytes, size, 0), size);
	assert_int_equal(poll(&(struct pollfd){.fd = k->helper.fd, .events = POLLIN}, 1, 5000), 1);
	assert_true(recv(k->helper.fd, &answer, sizeof(answer), 0) >= (ssize_t)sizeof(answer.head));
	return answer.head.status;
}

static void test_forged_requests(void **context)
{
	static struct keeper_packet p;
	struct keeper k;
	char got[16];

	assert_int_equal(keeper_start(&k, state), 0);
	/* Too short, and of no number: dropped. */
	assert_int_equal(send(k.helper.fd, &p, 7, 0), 7);
	assert_int_equal(send(k.helper.fd, &p, sizeof(p.head), 0), sizeof(p.head));
	p.head = (struct keeper_head){.number = 90, .duty = 77};
	assert_int_equal(ask(&k, &p, sizeof(p.head)), -EINVAL);
	p.head = (struct keeper_head){.number = 92, .duty = KEEPER_SAVE};
	strcpy(p.head.name, "../outside");
	assert_int_equal(ask(&k, &p, sizeof(p.head)), -EINVAL);
	memset(p.head.name, 'a', sizeof(p.head.name));
	p.head.number++;
	assert_int_equal(ask(&k, &p, sizeof(p.head)), -EINVAL);
	/* More than was said, and more than there may be. */
	p.head = (struct keeper_head){.number = 94, .duty = KEEPER_SAVE, .length = 3, .name = "a"};
	assert_int_equal(ask(&k, &p, sizeof(p.head) + 4), -EINVAL);
	p.head.number++;
	p.head.length = UINT32_MAX;
	assert_int_equal(ask(&k, &p, sizeof(p)), -EINVAL);
	/* One that was never finished is forgotten. */
	p.head.number++;
	p.head.length = 100;
	assert_int_equal(send(k.helper.fd, &p, sizeof(p.head) + 50, 0), sizeof(p.head) + 50);
	assert_int_equal(keeper_save(&k, "b", "x", 1), 0);
	assert_int_equal(kept("a", got, sizeof(got)), -1);
	keeper_stop(&k);
}

/* ---- the keeper itself ------------------------------------------------------------------------
 */

static void confined_body(void)
{
	static char *const argv[] = {"true", NULL};
	struct addr a = loopback();
	socklen_t len = sizeof(a.v4);
	int listener = socket(AF_INET, SOCK_STREAM, 0), idle = socket(AF_INET, SOCK_STREAM, 0);
	int udp = socket(AF_INET, SOCK_DGRAM, 0), fd;
	int outside = open(dir, O_RDONLY | O_DIRECTORY);
	struct keeper_places p = {.state_dir = open(state, O_RDONLY | O_DIRECTORY)};

	CHECK(bind(listener, &a.sa, a.len) == 0 && listen(listener, 5) == 0);
	CHECK(getsockname(listener, &a.sa, &len) == 0);
	CHECK(outside >= 0 && p.state_dir >= 0);
	CHECK(keeper_confine(&p) == 0);

	struct msghdr m = {.msg_name = &a.sa, .msg_namelen = a.len};
	REFUSED(connect(idle, &a.sa, a.len));
	REFUSED(connect(udp, &a.sa, a.len));
	REFUSED(sendto(idle, "x", 1, MSG_FASTOPEN, &a.sa, a.len));
	REFUSED(sendmsg(idle, &m, MSG_FASTOPEN));
	REFUSED(accept4(listener, NULL, NULL, 0));
	REFUSED(shutdown(listener, SHUT_RDWR));
	REFUSED(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
	REFUSED(socket(AF_NETLINK, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
	REFUSED(socket(AF_INET, SOCK_RAW, 0));
	REFUSED(setsockopt(udp, IPPROTO_IP, IP_TTL, &(int){1}, sizeof(int)));
	REFUSED(setsockopt(udp, IPPROTO_IPV6, IPV6_ADDRFORM, &(int){AF_INET}, sizeof(int)));
	REFUSED(execve("/bin/true", argv, argv + 1));
	REFUSED((int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
	REFUSED(kill(getppid(), 0));
	REFUSED((int)syscall(SYS_setuid, 0));
	REFUSED(chdir("/"));
	REFUSED(mkdirat(p.state_dir, "x", 0700));
	REFUSED(symlinkat("/etc", p.state_dir, "x"));
	REFUSED(linkat(outside, "outside", p.state_dir, "x", 0));
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0 && bind(fd, &(struct sockaddr){.sa_family = AF_INET}, sizeof(a.v4)) == 0);
	CHECK(openat(p.state_dir, "mine", O_WRONLY | O_CREAT, 0600) >= 0);
}

static void test_a_keeper_cannot_dial_accept_or_run(void **context)
{
	child_runs(confined_body);
}

static void landlock_body(void)
{
	struct isolation_report report;
	int outside = open(dir, O_RDONLY | O_DIRECTORY);
	struct keeper_places p = {.state_dir = open(state, O_RDONLY | O_DIRECTORY)};
	pid_t child = fork();

	/* Does this kernel have it? */
	if (child == 0) {
		CHECK(isolation_begin(&report) == 0);
		isolation_landlock(&relay, &report);
		_exit(report.parts[ISOLATION_LANDLOCK_FS].holds ? 0 : 77);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child);
	if (WEXITSTATUS(status) == 77)
		return;
	CHECK(keeper_confine(&p) == 0);
	REFUSED(open("/etc/hostname", O_RDONLY));
	REFUSED(open("/proc/self/mem", O_RDWR));
	REFUSED(openat(outside, "relay.yaml", O_RDONLY)); /* it holds the private key */
	REFUSED(openat(outside, "relay.yaml", O_RDWR));
	REFUSED(openat(outside, "new", O_WRONLY | O_CREAT, 0600));
	REFUSED(unlinkat(outside, "relay.yaml", 0));
	REFUSED(renameat(p.state_dir, "mine", outside, "relay.yaml"));
}

static void test_landlock_names_the_places(void **context)
{
	child_runs(landlock_body);
}

static void test_proc_says_so(void **context)
{
	struct keeper k;

	assert_int_equal(keeper_start(&k, NULL), 0);
	child_is_sealed(k.helper.pid, 1ull << CAP_NET_BIND_SERVICE);
	keeper_stop(&k);
	child_lives(k.helper.pid, false);
}

/* ---- ends -------------------------------------------------------------------------------------
 */

/* Starts a keeper in a sealed child, which then waits to be killed. */
static pid_t sealed_parent(pid_t *keeper)
{
	int out[2];

	assert_int_equal(pipe(out), 0);
	pid_t child = fork();
	if (child == 0) {
		struct keeper k;
		CHECK(keeper_start(&k, NULL) == 0);
		seal();
		CHECK(write(out[1], &k.helper.pid, sizeof(k.helper.pid)) == sizeof(k.helper.pid));
		for (;;)
			poll(NULL, 0, -1);
	}
	close(out[1]);
	assert_int_equal(read(out[0], keeper, sizeof(*keeper)), sizeof(*keeper));
	close(out[0]);
	return child;
}

static void test_it_ends_with_the_relay(void **context)
{
	pid_t keeper, parent = sealed_parent(&keeper);

	child_lives(keeper, true);
	/* Not by what a terminal or a service manager sends to the whole group. */
	kill(keeper, SIGINT);
	kill(keeper, SIGTERM);
	kill(keeper, SIGHUP);
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	child_lives(keeper, true);
	kill(parent, SIGKILL);
	assert_int_equal(waitpid(parent, NULL, 0), parent);
	child_lives(keeper, false);
}

static void test_a_relay_outlives_its_keeper(void **context)
{
	struct addr a = loopback();
	struct keeper k;
	int fd;

	assert_int_equal(keeper_start(&k, NULL), 0);
	kill(k.helper.pid, SIGKILL);
	child_lives(k.helper.pid, false);
	assert_int_equal(keeper_listen(&k, &a, &fd), -EPIPE);
	keeper_stop(&k);
}

static void test_a_stuck_keeper_is_not_waited_for(void **context)
{
	struct addr a = loopback();
	struct keeper k;
	char *big = calloc(1, KEEPER_DATA_MAX);
	int fd = -1;

	assert_non_null(big);
	assert_int_equal(keeper_start(&k, state), 0);
	k.helper.wait_ms = 100;
	kill(k.helper.pid, SIGSTOP);
	assert_int_equal(keeper_listen(&k, &a, &fd), -ETIMEDOUT);
	assert_int_equal(keeper_save(&k, "late", big, KEEPER_DATA_MAX), -ETIMEDOUT);
	kill(k.helper.pid, SIGCONT);
	/* Late answers are dropped: the next one is the right one. */
	k.helper.wait_ms = HELPER_WAIT_MS;
	assert_int_equal(keeper_save(&k, "next", "x", 1), 0);
	assert_int_equal(kept("late", big, 1), -1);
	assert_int_equal(keeper_listen(&k, &a, &fd), 0);
	close(fd);
	free(big);
	keeper_stop(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_sealed_relay_listens),
		cmocka_unit_test(test_a_sealed_relay_binds_udp),
		cmocka_unit_test(test_state_is_kept),
		cmocka_unit_test(test_a_crash_leaves_no_trap),
		cmocka_unit_test(test_only_state_dir_is_written),
		cmocka_unit_test(test_start_tells_what_is_missing),
		cmocka_unit_test(test_forged_requests),
		cmocka_unit_test(test_a_keeper_cannot_dial_accept_or_run),
		cmocka_unit_test(test_landlock_names_the_places),
		cmocka_unit_test(test_proc_says_so),
		cmocka_unit_test(test_it_ends_with_the_relay),
		cmocka_unit_test(test_a_relay_outlives_its_keeper),
		cmocka_unit_test(test_a_stuck_keeper_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
