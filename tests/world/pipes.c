/* SPDX-License-Identifier: Apache-2.0 */
/* pipes: pipes and splice(2), eventfd(2), signalfd(2). */
#include "tests/world/pipes.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>

#include "tests/world/kernel_internal.h"
#include "tests/world/real.h"

#define PIPE_BYTES 65536u
#define SIGNALS	   16u

/* ---- pipes ---- */

struct pipe {
	uint8_t *data;
	size_t len, room;
	bool in_open, out_open;
	struct k_file *in, *out;
};

struct pipe_end {
	struct k_file file; /* first */
	struct pipe *pipe;
};

static struct pipe *pipe_of(struct k_file *f)
{
	return ((struct pipe_end *)f)->pipe;
}

static unsigned pipe_out_ready(struct k_file *f)
{
	const struct pipe *p = pipe_of(f);

	return (p->len > 0 ? POLLIN : 0u) | (p->in_open ? 0u : POLLHUP);
}

static unsigned pipe_in_ready(struct k_file *f)
{
	const struct pipe *p = pipe_of(f);

	return (p->len < p->room ? POLLOUT : 0u) | (p->out_open ? 0u : POLLERR);
}

static ssize_t pipe_recv(struct k_file *f, void *buf, size_t len, int flags)
{
	struct pipe *p = pipe_of(f);
	size_t n = p->len < len ? p->len : len;

	if (p->len == 0)
		return p->in_open ? -EAGAIN : 0;
	memcpy(buf, p->data, n);
	p->len -= n;
	memmove(p->data, p->data + n, p->len);
	if (p->in_open)
		k_touch(p->in);
	return (ssize_t)n;
}

static ssize_t pipe_send(struct k_file *f, const void *buf, size_t len, int flags)
{
	struct pipe *p = pipe_of(f);
	size_t n = p->room - p->len < len ? p->room - p->len : len;

	if (!p->out_open)
		return -EPIPE;
	if (n == 0)
		return -EAGAIN;
	memcpy(p->data + p->len, buf, n);
	p->len += n;
	k_touch(p->out);
	return (ssize_t)n;
}

static void pipe_release(struct k_file *f)
{
	struct pipe *p = pipe_of(f);

	if (f->kind == &k_pipe_in_kind)
		p->in_open = false;
	else
		p->out_open = false;
	if (!p->in_open && !p->out_open) {
		world_free(p->data);
		world_free(p);
	}
	world_free(f);
}

const struct k_kind k_pipe_in_kind = {
	.name = "pipe-in", .ready = pipe_in_ready, .send = pipe_send, .release = pipe_release};
const struct k_kind k_pipe_out_kind = {
	.name = "pipe-out", .ready = pipe_out_ready, .recv = pipe_recv, .release = pipe_release};

int k_pipe(int out[2], bool nonblock)
{
	struct pipe *p = world_alloc(sizeof(*p));
	struct pipe_end *ends[2];

	p->room = PIPE_BYTES;
	p->data = world_alloc(p->room);
	p->in_open = p->out_open = true;
	ends[0] = k_file_new(&k_pipe_out_kind, sizeof(*ends[0]), nonblock);
	ends[1] = k_file_new(&k_pipe_in_kind, sizeof(*ends[1]), nonblock);
	ends[0]->pipe = ends[1]->pipe = p;
	p->out = &ends[0]->file;
	p->in = &ends[1]->file;
	out[0] = k_install(p->out);
	out[1] = out[0] < 0 ? out[0] : k_install(p->in);
	if (out[1] >= 0)
		return 0;
	if (out[0] >= 0)
		k_close(out[0]);
	else
		k_file_unref(&ends[0]->file);
	k_file_unref(&ends[1]->file);
	return -EMFILE;
}

int k_pipe_room(int fd, size_t bytes)
{
	struct k_file *f = k_file_get(fd);

	if (!f || (f->kind != &k_pipe_in_kind && f->kind != &k_pipe_out_kind))
		return -EBADF;
	struct pipe *p = pipe_of(f);
	if (bytes < p->len)
		return -EBUSY;
	p->data = world_realloc(p->data, bytes);
	p->room = bytes;
	return (int)bytes;
}

uint64_t k_spliced;

/* Between a pipe and a socket. */
ssize_t k_splice(int from, int to, size_t len)
{
	struct k_file *a = k_file_get(from), *b = k_file_get(to);
	ssize_t n;

	if (!a || !b)
		return -EBADF;
	if (b->kind == &k_pipe_in_kind) {
		struct pipe *p = pipe_of(b);
		size_t room = p->room - p->len < len ? p->room - p->len : len;

		if (room == 0)
			return -EAGAIN;
		n = a->kind->recv(a, p->data + p->len, room, 0);
		if (n > 0) {
			p->len += (size_t)n;
			k_touch(p->out);
		}
		return n;
	}
	if (a->kind != &k_pipe_out_kind)
		return -EINVAL;
	struct pipe *p = pipe_of(a);
	size_t have = p->len < len ? p->len : len;
	if (have == 0)
		return p->in_open ? -EAGAIN : 0;
	n = b->kind->send(b, p->data, have, 0);
	if (n > 0) {
		k_spliced += (uint64_t)n;
		p->len -= (size_t)n;
		memmove(p->data, p->data + n, p->len);
	}
	return n;
}

/* ---- eventfd ---- */

struct k_event {
	struct k_file file; /* first */
	uint64_t count;
};

static unsigned event_ready(struct k_file *f)
{
	return (((struct k_event *)f)->count > 0 ? POLLIN : 0u) | POLLOUT;
}

static ssize_t event_recv(struct k_file *f, void *buf, size_t len, int flags)
{
	struct k_event *e = (struct k_event *)f;

	if (len < sizeof(e->count))
		return -EINVAL;
	if (e->count == 0)
		return -EAGAIN;
	memcpy(buf, &e->count, sizeof(e->count));
	e->count = 0;
	return sizeof(e->count);
}

static ssize_t event_send(struct k_file *f, const void *buf, size_t len, int flags)
{
	uint64_t n;

	if (len < sizeof(n))
		return -EINVAL;
	memcpy(&n, buf, sizeof(n));
	((struct k_event *)f)->count += n;
	k_touch(f);
	return sizeof(n);
}

static void plain_release(struct k_file *f)
{
	world_free(f);
}

const struct k_kind k_event_kind = {.name = "event",
				    .ready = event_ready,
				    .recv = event_recv,
				    .send = event_send,
				    .release = plain_release};

static int install_new(struct k_file *f)
{
	int fd = k_install(f);

	if (fd < 0)
		k_file_unref(f);
	return fd;
}

int k_eventfd(uint64_t count, bool nonblock)
{
	struct k_event *e = k_file_new(&k_event_kind, sizeof(*e), nonblock);

	e->count = count;
	return install_new(&e->file);
}

/* ---- signalfd ---- */

struct k_signals {
	struct k_file file; /* first */
	int numbers[SIGNALS];
	size_t count;
};

static unsigned signals_ready(struct k_file *f)
{
	return ((struct k_signals *)f)->count > 0 ? POLLIN : 0u;
}

static ssize_t signals_recv(struct k_file *f, void *buf, size_t len, int flags)
{
	struct k_signals *s = (struct k_signals *)f;
	struct signalfd_siginfo info = {.ssi_signo = 0};

	if (s->count == 0)
		return -EAGAIN;
	info.ssi_signo = (uint32_t)s->numbers[0];
	memmove(s->numbers, s->numbers + 1, --s->count * sizeof(s->numbers[0]));
	memcpy(buf, &info, sizeof(info));
	return sizeof(info);
}

const struct k_kind k_signal_kind = {
	.name = "signals", .ready = signals_ready, .recv = signals_recv, .release = plain_release};

int k_signalfd(void)
{
	struct k_signals *s = k_file_new(&k_signal_kind, sizeof(*s), true);

	return install_new(&s->file);
}

void k_signal(struct k_program *p, int number)
{
	for (size_t fd = 0; fd < p->room; fd++) {
		struct k_signals *s = (struct k_signals *)p->files[fd];

		if (!s || s->file.kind != &k_signal_kind || s->count == SIGNALS)
			continue;
		s->numbers[s->count++] = number;
		k_touch(&s->file);
	}
}
