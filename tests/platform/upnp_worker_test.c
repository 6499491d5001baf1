/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker: what the process that speaks UPnP cannot do, and that it ends rather than grow or wait.
 *
 * What a confined process does, a child does; its exit status is 0, or 1 after the first check that
 * failed.
 *
 * links: upnp/driver/worker.c upnp/driver/worker_duties.c upnp/driver/worker_inspect.c
 * links: upnp/driver/igd.c upnp/driver/exchange.c upnp/driver/search.c upnp/ssdp.c upnp/reply.c
 * links: upnp/location.c upnp/messages.c core/addr.c core/isolation.c core/program/launcher_main.c
 * links: core/parse/text.c core/passing.c core/memory.c
 * links: core/file.c portmap/gateway/driver.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/sanitized.h"
#include "upnp/driver/worker.h"

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			dprintf(2, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition,       \
				errno);                                                            \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

#define REFUSED(call) CHECK((call) == -1 && (errno == EPERM || errno == EACCES))

static int in_child(void (*body)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		body();
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void cannot_touch_the_host(void)
{
	char *const arguments[] = {"/bin/true", NULL};
	int pair[2];

	CHECK(upnp_worker_confine() == 0);
	REFUSED(open("/etc/passwd", O_RDONLY));
	REFUSED(open("/tmp/postern-upnp", O_WRONLY | O_CREAT, 0600));
	REFUSED(execv("/bin/true", arguments));
#ifdef SYS_fork /* arm64 has clone() alone */
	REFUSED((int)syscall(SYS_fork));
#endif
	REFUSED((int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
	REFUSED(kill(getppid(), 0));
	REFUSED((int)syscall(SYS_ptrace, 0, 0, 0, 0));
	REFUSED(socket(AF_UNIX, SOCK_STREAM, 0));
	REFUSED(socket(AF_NETLINK, SOCK_RAW, 0));
	REFUSED(socket(AF_PACKET, SOCK_RAW, 0));
	REFUSED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	REFUSED((int)syscall(SYS_listen, 0, 1));
	REFUSED((int)syscall(SYS_memfd_create, "x", 0));
	REFUSED((int)syscall(SYS_io_uring_setup, 1, NULL));
}

static void test_it_cannot_touch_the_host(void **state)
{
	assert_int_equal(in_child(cannot_touch_the_host), 0);
}

static void can_talk(void)
{
	int fd;

	CHECK(upnp_worker_confine() == 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0);
	CHECK(close(fd) == 0);
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0 || errno == EAFNOSUPPORT);
}

static void test_it_can_talk(void **state)
{
	assert_int_equal(in_child(can_talk), 0);
}

/* clang leaves out memory that nothing could read: here its address can be seen. */
static char *volatile taken;

static void cannot_grow(void)
{
	size_t had = 0;

	CHECK(upnp_worker_confine() == 0);
	for (; had <= WORKER_MEMORY_BYTES; had += 1u << 20) {
		char *more = malloc(1u << 20);
		if (!more)
			_exit(0);
		memset(more, 1, 1u << 20);
		taken = more;
	}
	_exit(1);
}

static void test_it_cannot_grow(void **state)
{
	if (SANITIZED) /* its run time has taken terabytes already */
		return;
	assert_int_equal(in_child(cannot_grow), 0);
}

static void cannot_spin(void)
{
	CHECK(upnp_worker_confine() == 0);
	for (volatile uint64_t i = 0;; i++)
		;
}

/* The limit on processor time ends it. Once it is seen to be there it is made smaller, so that the
 * test need not spin for so long. */
static void test_it_cannot_spin(void **state)
{
	struct rlimit limit = {.rlim_cur = RLIM_INFINITY};
	pid_t child = fork();
	int status;

	if (child == 0)
		cannot_spin();
	assert_true(child > 0);
	for (int i = 0; i < 5000 && limit.rlim_cur == RLIM_INFINITY; i++) {
		usleep(1000);
		assert_int_equal(prlimit(child, RLIMIT_CPU, NULL, &limit), 0);
	}
	assert_int_equal(limit.rlim_cur, WORKER_CPU_S);
	limit.rlim_cur = 1;
	assert_int_equal(prlimit(child, RLIMIT_CPU, &limit, NULL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_true(WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL);
}

/* ---- serving --------------------------------------------------------------------------------- */

static pid_t serve(int *fd)
{
	int pair[2];
	pid_t child;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	child = fork();
	if (child == 0) {
		close(pair[0]);
		upnp_worker_main(pair[1]);
		_exit(0);
	}
	assert_true(child > 0);
	close(pair[1]);
	*fd = pair[0];
	return child;
}

static struct upnp_request request(uint32_t wait_ms, uint16_t port)
{
	struct upnp_request r = {.duty = UPNP_INSPECT, .number = 1, .wait_ms = wait_ms};

	assert_true(addr_from_literal("127.0.0.1", 0, &r.source));
	assert_true(addr_from_literal("127.0.0.1", port, &r.location.host));
	strcpy(r.location.path, "/");
	return r;
}

static void send_request(int fd, const struct upnp_request *r)
{
	size_t len;
	char *line = upnp_request_line(r, &len);

	assert_non_null(line);
	assert_int_equal(send(fd, line, len, MSG_NOSIGNAL), len);
	free(line);
}

/* Reads one line; "" when the worker has ended. */
static void read_line(int fd, char *line, size_t room)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t have = 0;

	while (have < room - 1) {
		assert_int_equal(poll(&p, 1, 20000), 1);
		if (recv(fd, line + have, 1, 0) != 1 || line[have] == '\n')
			break;
		have++;
	}
	line[have] = '\0';
}

static int listener(uint16_t *port)
{
	struct addr a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(addr_from_literal("127.0.0.1", 0, &a));
	assert_int_equal(bind(fd, &a.sa, a.len), 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(getsockname(fd, &a.sa, &a.len), 0);
	*port = addr_port(&a);
	return fd;
}

static void expect_failure(int fd, enum portmap_failure failure)
{
	static char line[UPNP_LINE_MAX];
	struct upnp_answer a;

	read_line(fd, line, sizeof(line));
	assert_true(upnp_answer_read(UPNP_INSPECT, line, strlen(line), &a));
	assert_false(a.ok);
	assert_int_equal(a.failure, failure);
}

/* A device that never answers, and one that sends without end. */
static void test_it_gives_up(void **state)
{
	static char much[1u << 20];
	struct upnp_request r;
	uint16_t port;
	int fd, server = listener(&port), theirs;
	pid_t worker = serve(&fd);

	r = request(300, port);
	send_request(fd, &r);
	expect_failure(fd, PORTMAP_SILENT);
	close(accept(server, NULL, NULL));

	r = request(5000, port);
	send_request(fd, &r);
	theirs = accept(server, NULL, NULL);
	assert_int_not_equal(send(theirs, "HTTP/1.1 200 OK\r\n\r\n", 19, MSG_NOSIGNAL), -1);
	memset(much, 'x', sizeof(much));
	while (send(theirs, much, sizeof(much), MSG_NOSIGNAL) > 0)
		; /* until it hangs up */
	close(theirs);
	expect_failure(fd, PORTMAP_MALFORMED);

	close(fd);
	assert_int_equal(waitpid(worker, NULL, 0), worker);
	close(server);
}

static void test_redirects_are_not_followed(void **state)
{
	struct upnp_request r;
	uint16_t port, other_port;
	int fd, server = listener(&port), other = listener(&other_port), theirs;
	struct pollfd p = {.fd = other, .events = POLLIN};
	pid_t worker = serve(&fd);
	char text[256];

	r = request(5000, port);
	send_request(fd, &r);
	theirs = accept(server, NULL, NULL);
	snprintf(
		text, sizeof(text),
		"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%u/\r\nContent-Length: 0\r\n\r\n",
		other_port);
	assert_int_equal(send(theirs, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	expect_failure(fd, PORTMAP_MALFORMED);
	assert_int_equal(poll(&p, 1, 0), 0);
	close(theirs);
	close(fd);
	assert_int_equal(waitpid(worker, NULL, 0), worker);
	close(server);
	close(other);
}

static void test_it_ends_upon_nonsense(void **state)
{
	char line[8];
	int fd;
	pid_t worker = serve(&fd);

	assert_int_equal(send(fd, "{\"do\":\"format\"}\n", 16, MSG_NOSIGNAL), 16);
	read_line(fd, line, sizeof(line));
	assert_string_equal(line, "");
	assert_int_equal(waitpid(worker, NULL, 0), worker);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_cannot_touch_the_host),
		cmocka_unit_test(test_it_can_talk),
		cmocka_unit_test(test_it_cannot_grow),
		cmocka_unit_test(test_it_cannot_spin),
		cmocka_unit_test(test_it_gives_up),
		cmocka_unit_test(test_redirects_are_not_followed),
		cmocka_unit_test(test_it_ends_upon_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
