/* SPDX-License-Identifier: Apache-2.0 */
/* splicer: pages from socket to socket through a pipe that is empty between moves. Apart from
 * flow.c, which has the ring, since a test shows on a real kernel what it does. */
#include "relay/session/splicer.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void splicer_open(struct splicer *s)
{
	int ends[2];

	s->in = s->out = -1;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return;
	s->out = ends[0];
	s->in = ends[1];
	/* EPERM beyond fs.pipe-max-size, or where the user's pipes hold fs.pipe-user-pages-soft
	 * already. A smaller pipe works too: it only moves less at a time. */
	fcntl(s->in, F_SETPIPE_SZ, SPLICER_BYTES);
}

void splicer_close(struct splicer *s)
{
	if (s->in >= 0) {
		close(s->in);
		close(s->out);
	}
	s->in = s->out = -1;
}

/* SPLICE_F_NONBLOCK is about the pipe alone: whether splice(2) waits for the socket goes by the
 * socket's own O_NONBLOCK. With nothing there it returns EAGAIN, at end-of-file 0. A pipe counts
 * pages and not bytes, and a short segment takes one of its own: it may be full long before it has
 * SPLICER_BYTES. SPLICE_F_MOVE is a hint that Linux has not looked at since 2.6.21.
 *
 * #syscalls splice
 */
ssize_t splicer_fill(struct splicer *s, int from)
{
	ssize_t n =
		splice(from, NULL, s->in, NULL, SPLICER_BYTES, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	return n < 0 ? -errno : n;
}

/* splice(2) has no MSG_NOSIGNAL: to a connection that is gone it raises SIGPIPE, which the program
 * ignores. */
size_t splicer_drain(struct splicer *s, int to, size_t held, int *error)
{
	while (held > 0) {
		ssize_t n = splice(s->out, NULL, to, NULL, held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			*error = n < 0 ? -errno : -EPIPE;
			break;
		}
		held -= (size_t)n;
	}
	return held;
}

bool splicer_take_back(struct splicer *s, uint8_t *data, size_t left)
{
	uint8_t away[4096];

	while (left > 0) {
		size_t room = data || left < sizeof away ? left : sizeof away;
		ssize_t n = read(s->out, data ? data : away, room);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			splicer_close(s);
			return false;
		}
		left -= (size_t)n;
		data = data ? data + n : NULL;
	}
	return true;
}
