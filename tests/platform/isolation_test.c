/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isolation_test: what a sealed process cannot do, and what it still can, on both engines.
 *
 * Every case runs in a child; its exit status is 0, or the line of the first check that failed.
 *
 * links: core/isolation.c core/ring.c core/ring_uring.c core/ring_epoll.c
 * links: core/timer.c tests/support/ring_fixture.c
 */
#include "tests/support/ring_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/isolation.h"
#include "gen/agent_calls.h"
#include "gen/relay_calls.h"
#include "core/ring_internal.h"
#include "core/sanitized.h"

/* Prints where a check failed and ends the child. */
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			dprintf(2, "%s:%d: %s (errno %s)\n", __FILE__, __LINE__, #condition,       \
				strerrorname_np(errno));                                           \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

#define REFUSED(call) CHECK((call) == -1 && (errno == EPERM || errno == EACCES))

/* What exists before the process is sealed. */
struct scene {
	int listener, ours, theirs, unconnected, udp, udp_client;
	struct sockaddr_in at;
};

static struct scene scene_make(void)
{
	struct scene s = {.listener = listen_loopback()};
	socklen_t len = sizeof(s.at);
	CHECK(fcntl(s.listener, F_SETFL, O_NONBLOCK) == 0);
	tcp_pair(&s.ours, &s.theirs);
	s.unconnected = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in loopback = {.sin_family = AF_INET};
	loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s.udp = socket(AF_INET, SOCK_DGRAM, 0);
	s.udp_client = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(bind(s.udp, (struct sockaddr *)&loopback, sizeof(loopback)) == 0);
	CHECK(getsockname(s.listener, (struct sockaddr *)&s.at, &len) == 0);
	return s;
}

static void in_child(void (*body)(void *arg), void *arg)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		body(arg);
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static const struct isolation_plan relay = {.calls = &relay_calls};
static const struct isolation_plan agent = {
	.calls = &agent_calls, .resolves = true, .connects_tcp = true, .binds_tcp = true};

static void seal(const struct isolation_plan *plan, struct isolation_report *report)
{
	CHECK(isolation_begin(report) == 0);
	isolation_drop_capabilities(plan, report);
	isolation_landlock(plan, report);
	isolation_seal(plan, RING_EPOLL, report);
	CHECK(report->parts[ISOLATION_NO_NEW_PRIVS].holds);
	CHECK(report->parts[ISOLATION_CAPABILITIES].holds);
	CHECK(report->parts[ISOLATION_SECCOMP].holds);
	CHECK(report->parts[ISOLATION_URING].holds);
	for (int i = 0; i < ISOLATION_PARTS; i++)
		CHECK(report->parts[i].holds == (report->parts[i].why[0] == '\0'));
}

/* ---- the relay ----------------------------------------------------------------------------- */

static void check_no_dialling(const struct scene *s)
{
	const struct sockaddr *at = (const struct sockaddr *)&s->at;
	struct msghdr msg = {.msg_name = (void *)(uintptr_t)at, .msg_namelen = sizeof(s->at)};
	struct mmsghdr many = {.msg_hdr = msg};
	REFUSED(connect(s->unconnected, at, sizeof(s->at)));
	REFUSED(connect(s->udp, at, sizeof(s->at)));
	REFUSED(socket(AF_INET, SOCK_STREAM, 0));
	REFUSED(socket(AF_INET6, SOCK_DGRAM, 0));
	REFUSED(socket(AF_UNIX, SOCK_STREAM, 0));
	REFUSED(socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){0}));
	REFUSED(bind(s->unconnected, at, sizeof(s->at)));
	REFUSED(listen(s->unconnected, 1));
	REFUSED(sendto(s->unconnected, "x", 1, MSG_FASTOPEN, at, sizeof(s->at)));
	REFUSED(sendto(s->unconnected, "x", 1, MSG_FASTOPEN, NULL, 0));
	REFUSED(sendto(s->udp, "x", 1, 0, at, sizeof(s->at)));
	REFUSED(sendmsg(s->unconnected, &msg, MSG_FASTOPEN));
	REFUSED(sendmmsg(s->unconnected, &many, 1, MSG_FASTOPEN));
	/* An address alone does not dial. */
	CHECK(sendmsg(s->unconnected, &msg, MSG_NOSIGNAL) == -1 && errno == EPIPE);
	CHECK(sendmmsg(s->unconnected, &many, 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
	/* Not turned back into a socket that can be connected. */
	REFUSED(shutdown(s->listener, SHUT_RD));
	REFUSED(shutdown(s->listener, SHUT_RDWR));
	REFUSED(setsockopt(s->unconnected, IPPROTO_IP, 1, &(int){0}, sizeof(int)));
}

static void check_no_other_way_out(void)
{
	static char *const argv[] = {"true", NULL};
	REFUSED(execve("/bin/true", argv, argv + 1));
	REFUSED(syscall(SYS_io_uring_setup, 8, (char[120]){0}));
	REFUSED(syscall(SYS_io_uring_register, 0, 0, NULL, 0));
	REFUSED(syscall(SYS_bpf, 0, NULL, 0));
	REFUSED(setuid(0));
	REFUSED(chdir("/"));
	REFUSED(unlink("/nonexistent"));
	REFUSED(mkdir("/nonexistent", 0700));
	REFUSED(mount("a", "/", "tmpfs", 0, NULL));
	if (SANITIZED)
		return;
	REFUSED(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	REFUSED(open("/etc/hostname", O_RDONLY));
	REFUSED(open("/proc/self/mem", O_RDWR));
	REFUSED(open("/tmp", O_RDWR | O_TMPFILE, 0600));
	REFUSED((int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
	REFUSED(kill(getppid(), 0));
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	      MAP_FAILED);
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(page != MAP_FAILED);
	REFUSED(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

/* A thread that fails ends the program by a signal to the one that hears of signals. */
static volatile sig_atomic_t signalled;

static void signal_handler(int number)
{
	signalled = number;
}

static void check_threads_signal_each_other(void)
{
	CHECK(signal(SIGUSR2, signal_handler) != SIG_ERR);
	CHECK(pthread_kill(pthread_self(), SIGUSR2) == 0);
	CHECK(signalled == SIGUSR2);
	if (!SANITIZED)
		REFUSED(kill(getpid(), SIGUSR2));
}

static void check_connections_go_on(const struct scene *s)
{
	char buf[8];
	CHECK(send(s->theirs, "hello", 5, MSG_NOSIGNAL) == 5);
	CHECK(recv(s->ours, buf, sizeof(buf), 0) == 5);
	CHECK(write(s->ours, "hi", 2) == 2);
	CHECK(read(s->theirs, buf, sizeof(buf)) == 2);
	CHECK(accept4(s->listener, NULL, NULL, SOCK_NONBLOCK) == -1 && errno == EAGAIN);
	CHECK(setsockopt(s->ours, IPPROTO_TCP, 1, &(int){1}, sizeof(int)) == 0);
	CHECK(setsockopt(s->ours, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int)) == 0);
	CHECK(shutdown(s->ours, SHUT_WR) == 0);
	CHECK(recv(s->theirs, buf, sizeof(buf), 0) == 0);
	char *memory = malloc(64 << 20);
	CHECK(memory);
	memory[1 << 20] = 1;
	free(memory);
}

/* UDP answers the sender, and is connected to none. */
static void check_datagrams_are_answered(struct scene *s)
{
	struct sockaddr_in ours, from;
	socklen_t len = sizeof(ours);
	char buf[8];
	struct iovec part = {buf, sizeof(buf)};
	struct mmsghdr many = {.msg_hdr = {.msg_name = &from,
					   .msg_namelen = sizeof(from),
					   .msg_iov = &part,
					   .msg_iovlen = 1}};
	CHECK(getsockname(s->udp, (struct sockaddr *)&ours, &len) == 0);
	CHECK(sendmsg(s->udp_client,
		      &(struct msghdr){.msg_name = &ours,
				       .msg_namelen = sizeof(ours),
				       .msg_iov = &(struct iovec){"ask", 3},
				       .msg_iovlen = 1},
		      0) == 3);
	CHECK(recvmmsg(s->udp, &many, 1, 0, NULL) == 1 && many.msg_len == 3);
	part.iov_len = 2;
	CHECK(sendmmsg(s->udp, &many, 1, MSG_DONTWAIT) == 1);
	CHECK(recv(s->udp_client, buf, sizeof(buf), 0) == 2);
	REFUSED(connect(s->udp, (struct sockaddr *)&from, sizeof(from)));
	REFUSED(setsockopt(s->udp, IPPROTO_IP, IP_PKTINFO, &(int){1}, sizeof(int)));
	REFUSED(setsockopt(s->udp, IPPROTO_UDP, 100, &(int){1}, sizeof(int)));
}

static void relay_body(void *arg)
{
	struct isolation_report report;
	struct rlimit core;
	struct scene s = scene_make();
	seal(&relay, &report);
	check_no_dialling(&s);
	check_no_other_way_out();
	check_threads_signal_each_other();
	check_connections_go_on(&s);
	check_datagrams_are_answered(&s);
	CHECK(prlimit(0, RLIMIT_CORE, NULL, &core) == -1 || core.rlim_max == 0);
}

static void a_sealed_relay_cannot_dial_or_open(void **state)
{
	in_child(relay_body, NULL);
}

/* Landlock alone, with seccomp out of the way. */
static void landlock_body(void *arg)
{
	struct isolation_report report;
	struct scene s = scene_make();
	CHECK(isolation_begin(&report) == 0);
	isolation_landlock(&relay, &report);
	if (report.parts[ISOLATION_LANDLOCK_FS].holds) {
		REFUSED(open("/etc/hostname", O_RDONLY));
		REFUSED(open("/proc/self/status", O_RDONLY));
	} else {
		CHECK(report.parts[ISOLATION_LANDLOCK_FS].why[0]);
	}
	if (report.parts[ISOLATION_LANDLOCK_TCP].holds) {
		REFUSED(connect(s.unconnected, (struct sockaddr *)&s.at, sizeof(s.at)));
		s.at.sin_port = 0;
		REFUSED(bind(s.unconnected, (struct sockaddr *)&s.at, sizeof(s.at)));
	} else {
		CHECK(report.parts[ISOLATION_LANDLOCK_TCP].why[0]);
	}
	check_connections_go_on(&s);
}

static void landlock_alone_refuses_files_and_tcp(void **state)
{
	in_child(landlock_body, NULL);
}

/* Threads that exist already are under the filter as well. */
static pthread_barrier_t barrier;

static void *thread_main(void *arg)
{
	const struct scene *s = arg;
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	check_no_dialling(s);
	return NULL;
}

static void threads_body(void *arg)
{
	struct isolation_report report;
	struct scene s = scene_make();
	pthread_t thread;
	CHECK(isolation_begin(&report) == 0);
	isolation_drop_capabilities(&relay, &report);
	isolation_landlock(&relay, &report);
	pthread_barrier_init(&barrier, NULL, 2);
	CHECK(pthread_create(&thread, NULL, thread_main, &s) == 0);
	pthread_barrier_wait(&barrier);
	isolation_seal(&relay, RING_EPOLL, &report);
	CHECK(report.parts[ISOLATION_SECCOMP].holds);
	pthread_barrier_wait(&barrier);
	CHECK(pthread_join(thread, NULL) == 0);
	/* No more of them. */
	if (!SANITIZED)
		CHECK(pthread_create(&thread, NULL, thread_main, &s) != 0);
}

static void threads_are_sealed_too(void **state)
{
	in_child(threads_body, NULL);
}

/* ---- rings in a sealed process ------------------------------------------------------------- */

struct echo {
	struct ring_op accept, in, out;
	struct ring *r;
	struct timer limit;
	int fd;
	bool ended;
};

static struct echo echo;

static void echo_sent(struct ring_op *op, int res)
{
	CHECK(res > 0);
	ring_buffer_put(echo.r, echo.in.buf);
	ring_recv_pooled(echo.r, &echo.in, echo.fd);
}

static void echo_received(struct ring_op *op, int res)
{
	CHECK(res >= 0);
	if (res > 0) {
		ring_send(echo.r, &echo.out, echo.fd, op->buf, (size_t)res);
		return;
	}
	ring_reset_fd(echo.r, echo.fd);
	ring_cancel(echo.r, &echo.accept);
}

static void echo_accepted(struct ring_op *op, int res)
{
	if (res < 0) {
		CHECK(res == -ECANCELED);
		echo.ended = true;
		ring_stop(echo.r);
		return;
	}
	echo.fd = res;
	ring_recv_pooled(echo.r, &echo.in, res);
}

static void echo_late(struct timer *t, uint64_t now_ms)
{
	bool echo_in_time = false;
	CHECK(echo_in_time);
}

static void ring_body(void *arg)
{
	struct isolation_report report;
	struct ring_options opt = {.engine = *(enum ring_engine *)arg};
	char why[512], buf[5];
	int listener = listen_loopback();
	int theirs = dial_loopback(listener);
	if (ring_open(&echo.r, &opt, why, sizeof(why))) {
		dprintf(2, "%s\n", why);
		return;
	}
	seal(&relay, &report);
	echo.accept.done = echo_accepted;
	echo.in.done = echo_received;
	echo.out.done = echo_sent;
	echo.limit.fire = echo_late;
	ring_timer_set(echo.r, &echo.limit, 10000);
	ring_accept(echo.r, &echo.accept, listener);
	CHECK(send(theirs, "hello", 5, 0) == 5);
	CHECK(shutdown(theirs, SHUT_WR) == 0);
	CHECK(ring_run(echo.r) == 0);
	CHECK(echo.ended);
	CHECK(recv(theirs, buf, sizeof(buf), MSG_WAITALL) == 5 || errno == ECONNRESET);
	ring_close(echo.r);
}

static void a_sealed_ring_still_serves(void **state)
{
	for (enum ring_engine e = RING_IO_URING; e <= RING_EPOLL; e++)
		in_child(ring_body, &e);
}

/* IORING_OP_SEND is allowed and knows MSG_FASTOPEN, which dials from an unconnected socket. A relay
 * has none, as long as a listener cannot be made one. */
static void fastopen_body(void *arg)
{
	struct isolation_report report;
	struct ring_options opt = {.engine = RING_IO_URING};
	struct io_uring_cqe *cqe;
	char why[512];
	struct scene s = scene_make();
	int spare = listen_loopback();
	if (ring_open(&echo.r, &opt, why, sizeof(why)))
		return;
	seal(&relay, &report);
	REFUSED(shutdown(spare, SHUT_RD));
	struct io_uring *u = ring_uring_raw(echo.r);
	io_uring_submit(u);
	struct io_uring_sqe *sqe = io_uring_get_sqe(u);
	io_uring_prep_send(sqe, spare, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL);
	sqe->addr2 = (uintptr_t)&s.at;
	sqe->addr_len = sizeof(s.at);
	CHECK(io_uring_submit_and_wait(u, 1) == 1);
	CHECK(io_uring_peek_cqe(u, &cqe) == 0);
	CHECK(cqe->res < 0 && cqe->res != -EINPROGRESS);
	/* Nothing was dialled: besides the scene's own connection, none is waiting. */
	CHECK(accept4(s.listener, NULL, NULL, SOCK_NONBLOCK) == -1 && errno == EAGAIN);
}

static void a_sealed_ring_cannot_dial_by_fastopen(void **state)
{
	in_child(fastopen_body, NULL);
}

/* ---- the agent ----------------------------------------------------------------------------- */

static void agent_body(void *arg)
{
	static char *const argv[] = {"true", NULL};
	struct isolation_report report;
	struct scene s = scene_make();
	seal(&agent, &report);
	if (arg)
		CHECK(open(arg, O_RDONLY) >= 0);
	check_connections_go_on(&s);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK(fd >= 0);
	CHECK(connect(fd, (struct sockaddr *)&s.at, sizeof(s.at)) == 0 || errno == EINPROGRESS);
	/* Datagrams, of STUN and for names, go where their socket is connected to, and nowhere
	 * else. */
	int asking = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	CHECK(asking >= 0);
	CHECK(connect(asking, (struct sockaddr *)&s.at, sizeof(s.at)) == 0);
	CHECK(sendto(asking, "x", 1, MSG_DONTWAIT, NULL, 0) == 1);
	REFUSED(sendto(asking, "x", 1, 0, (struct sockaddr *)&s.at, sizeof(s.at)));
	REFUSED(sendto(s.udp, "x", 1, 0, (struct sockaddr *)&s.at, sizeof(s.at)));
	CHECK(connect(s.udp, (struct sockaddr *)&s.at, sizeof(s.at)) == 0);
	CHECK(send(s.udp, "x", 1, MSG_NOSIGNAL) == 1);
	CHECK(open("/etc/hosts", O_RDONLY) >= 0);
	int pair[2], entrance = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in loopback = {.sin_family = AF_INET};
	loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(bind(entrance, (struct sockaddr *)&loopback, sizeof(loopback)) == 0);
	CHECK(listen(entrance, 1) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	REFUSED(socketpair(AF_TIPC, SOCK_STREAM, 0, pair));
	REFUSED(socket(AF_PACKET, SOCK_RAW, 0));
	REFUSED(socket(AF_NETLINK, SOCK_RAW, 0));
	REFUSED(execve("/bin/true", argv, argv + 1));
	REFUSED(syscall(SYS_io_uring_setup, 8, (char[120]){0}));
	if (report.parts[ISOLATION_LANDLOCK_FS].holds) {
		REFUSED(open("/proc/self/environ", O_RDONLY));
		REFUSED(open("/usr/bin/env", O_RDONLY));
		REFUSED(open("/etc", O_RDONLY | O_DIRECTORY)); /* nothing is listed */
		REFUSED(open("/run", O_RDONLY | O_DIRECTORY));
	}
	if (SANITIZED)
		return;
	REFUSED(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	REFUSED(open("/etc/postern-test", O_WRONLY | O_CREAT, 0600));
}

static void a_sealed_agent_dials_and_reads_resolv_conf_only(void **state)
{
	/* Where a link of resolv.conf may come to lead; only root can make one. */
	char later[] = "/run/postern-test-XXXXXX";
	int fd = mkstemp(later);
	in_child(agent_body, fd >= 0 ? later : NULL);
	if (fd >= 0) {
		close(fd);
		unlink(later);
	}
}

/* ---- users --------------------------------------------------------------------------------- */

static void user_body(void *arg)
{
	struct isolation_report report;
	CHECK(isolation_begin(&report) == 0);
	CHECK(isolation_switch_user("no-such-user-here") == -ENOENT);
	CHECK(isolation_switch_user(NULL) == 0 && geteuid() == 0);
	CHECK(isolation_switch_user("nobody") == 0);
	CHECK(getuid() != 0 && geteuid() != 0 && getgid() != 0);
	CHECK(setuid(0) == -1);
	/* Who is not root stays what it is. */
	CHECK(isolation_switch_user("daemon") == 0);
	CHECK(isolation_switch_user("no-such-user-here") == 0);
	isolation_drop_capabilities(&relay, &report);
	CHECK(report.parts[ISOLATION_CAPABILITIES].holds);
	CHECK(socket(AF_INET, SOCK_RAW, IPPROTO_TCP) == -1 && errno == EPERM);
}

static void root_becomes_another_user_for_good(void **state)
{
	if (geteuid() != 0)
		skip();
	in_child(user_body, NULL);
}

static void every_part_has_a_name(void **state)
{
	for (int i = 0; i < ISOLATION_PARTS; i++)
		assert_non_null(isolation_part_name((enum isolation_part)i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sealed_relay_cannot_dial_or_open),
		cmocka_unit_test(landlock_alone_refuses_files_and_tcp),
		cmocka_unit_test(threads_are_sealed_too),
		cmocka_unit_test(a_sealed_ring_still_serves),
		cmocka_unit_test(a_sealed_ring_cannot_dial_by_fastopen),
		cmocka_unit_test(a_sealed_agent_dials_and_reads_resolv_conf_only),
		cmocka_unit_test(root_becomes_another_user_for_good),
		cmocka_unit_test(every_part_has_a_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
