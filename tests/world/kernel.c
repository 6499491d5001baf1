/* SPDX-License-Identifier: Apache-2.0 */
/* kernel: time and events, hosts and cables, programs and their descriptors. */
#include "tests/world/kernel_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "tests/world/real.h"

/* Where a world begins: 2026-03-02 12:00:00 UTC, at an uptime of a day. */
#define BOOTED_US   (UINT64_C(86400) * K_SECOND)
#define REALTIME_US (INT64_C(1772452800) * (int64_t)K_SECOND)

uint64_t k_now_us;
int64_t k_realtime_offset_us = REALTIME_US;
uint64_t k_asleep_us;
uint64_t k_read_us;
struct dice k_dice;
struct k_faults k_faults;
struct k_program *k_current;
bool (*k_blocked)(struct k_program *p);
void (*k_log_line)(struct k_program *p, const char *line, size_t len);
bool k_trace_on;

void *world_alloc(size_t n)
{
	void *p = __real_calloc(1, n ? n : 1);

	if (!p)
		abort();
	return p;
}

void *world_realloc(void *p, size_t n)
{
	p = __real_realloc(p, n);
	if (!p)
		abort();
	return p;
}

void k_trace(const char *format, ...)
{
	va_list args;

	if (!k_trace_on)
		return;
	fprintf(stderr, "%10.6f %-8s ", (double)(k_now_us - BOOTED_US) / K_SECOND,
		k_current ? k_current->name : "-");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

/* ---- events: a heap by time, then by order of arrival ---- */

struct event {
	uint64_t at, number;
	k_event_fn *run;
	void *context;
	uint64_t argument;
};

static struct event *events;
static size_t event_count, event_room;
static uint64_t event_number;

static bool before(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->number < b->number;
}

static void swap(size_t a, size_t b)
{
	struct event e = events[a];

	events[a] = events[b];
	events[b] = e;
}

void k_at(uint64_t at_us, k_event_fn *run, void *context, uint64_t argument)
{
	size_t i = event_count++;

	if (event_count > event_room) {
		event_room = event_room ? 2 * event_room : 256;
		events = world_realloc(events, event_room * sizeof(*events));
	}
	events[i] = (struct event){at_us < k_now_us ? k_now_us : at_us, event_number++, run,
				   context, argument};
	for (; i > 0 && before(&events[i], &events[(i - 1) / 2]); i = (i - 1) / 2)
		swap(i, (i - 1) / 2);
}

static struct event take_event(void)
{
	struct event first = events[0];
	size_t i = 0;

	events[0] = events[--event_count];
	for (;;) {
		size_t least = i;

		for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < event_count; child++)
			if (before(&events[child], &events[least]))
				least = child;
		if (least == i)
			return first;
		swap(i, least);
		i = least;
	}
}

uint64_t k_next_event(void)
{
	return event_count ? events[0].at : UINT64_MAX;
}

void k_advance(uint64_t to_us)
{
	struct k_program *was = k_enter(NULL);

	while (event_count > 0 && events[0].at <= to_us) {
		struct event e = take_event();

		if (e.at > k_now_us)
			k_now_us = e.at;
		e.run(e.context, e.argument);
	}
	if (to_us > k_now_us)
		k_now_us = to_us;
	k_enter(was);
}

/* ---- hosts ---- */

static struct k_host hosts[K_HOSTS_MAX];
static size_t host_count;
static struct {
	uint32_t latency_us, jitter_us;
	bool pulled;
} cables[K_HOSTS_MAX][K_HOSTS_MAX];

struct k_host *k_host_new(const char *name)
{
	struct k_host *h = &hosts[host_count];

	if (host_count == K_HOSTS_MAX)
		abort();
	*h = (struct k_host){.index = (unsigned)host_count++, .next_port = 32768};
	snprintf(h->name, sizeof(h->name), "%s", name);
	snprintf(h->addresses[0], sizeof(h->addresses[0]), "10.0.0.%u", h->index + 1);
	h->address_count = 1;
	snprintf(h->address6, sizeof(h->address6), "2001:db8::%x", h->index + 1);
	for (unsigned i = 0; i < host_count; i++)
		k_cable_set(h, &hosts[i], i == h->index ? 20 : 10000, i == h->index ? 10 : 1000);
	return h;
}

void k_host_add_address(struct k_host *h, const char *literal)
{
	if (h->address_count == sizeof(h->addresses) / sizeof(h->addresses[0]))
		abort();
	snprintf(h->addresses[h->address_count++], sizeof(h->addresses[0]), "%s", literal);
}

const char *k_host_address(const struct k_host *h)
{
	return h->addresses[0];
}

const char *k_host_address6(const struct k_host *h)
{
	return h->address6;
}

const char *k_host_some_address(const struct k_host *h, struct dice *dice)
{
	return h->addresses[dice_below(dice, h->address_count)];
}

struct addr k_address(const char *literal, uint16_t port)
{
	struct addr a;

	if (!addr_from_literal(literal, port, &a))
		abort();
	return a;
}

static void literal_of(const struct sockaddr *a, char out[48])
{
	out[0] = '\0';
	if (a->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)a)->sin_addr, out, 48);
	else if (a->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)a)->sin6_addr, out, 48);
	if (strncmp(out, "::ffff:", 7) == 0)
		memmove(out, out + 7, strlen(out + 7) + 1);
}

bool k_host_has(const struct k_host *h, const struct sockaddr *a)
{
	char text[48];

	literal_of(a, text);
	if (strncmp(text, "127.", 4) == 0 || strcmp(text, "::1") == 0 ||
	    strcmp(h->address6, text) == 0)
		return true;
	for (size_t i = 0; i < h->address_count; i++)
		if (strcmp(h->addresses[i], text) == 0)
			return true;
	return false;
}

struct k_host *k_host_of(const struct sockaddr *a)
{
	char text[48];

	literal_of(a, text);
	if (strncmp(text, "127.", 4) == 0 || strcmp(text, "::1") == 0)
		return k_current ? k_current->host : NULL;
	for (size_t i = 0; i < host_count; i++)
		if (k_host_has(&hosts[i], a))
			return &hosts[i];
	return NULL;
}

uint16_t k_host_port(struct k_host *h)
{
	if (h->next_port >= 60999)
		h->next_port = 32768;
	return h->next_port++;
}

void k_cable_set(struct k_host *a, struct k_host *b, uint32_t latency_us, uint32_t jitter_us)
{
	cables[a->index][b->index].latency_us = cables[b->index][a->index].latency_us = latency_us;
	cables[a->index][b->index].jitter_us = cables[b->index][a->index].jitter_us = jitter_us;
}

void k_cable_pull(struct k_host *a, struct k_host *b, bool pulled)
{
	k_trace("cable %s to %s: %s", a->name, b->name, pulled ? "pulled" : "put back");
	cables[a->index][b->index].pulled = cables[b->index][a->index].pulled = pulled;
}

bool k_cable_pulled(const struct k_host *a, const struct k_host *b)
{
	return cables[a->index][b->index].pulled;
}

uint64_t k_cable_time(const struct k_host *a, const struct k_host *b)
{
	uint32_t jitter = cables[a->index][b->index].jitter_us;

	return cables[a->index][b->index].latency_us + dice_below(&k_dice, jitter + 1u);
}

/* ---- programs ---- */

static struct k_program *programs[K_PROGRAMS_MAX];
static size_t program_count;

struct k_program *k_program_new(const char *name, struct k_host *host)
{
	struct k_program *p = world_alloc(sizeof(*p));

	if (program_count == K_PROGRAMS_MAX)
		abort();
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->host = host;
	p->limit = 1024;
	p->index = (unsigned)program_count;
	programs[program_count++] = p;
	return p;
}

struct k_program *k_enter(struct k_program *p)
{
	struct k_program *was = k_current;
	struct memory *account = memory_adopt(p ? p->memory : NULL);

	if (was)
		was->memory = account;
	k_current = p;
	return was;
}

void k_program_end(struct k_program *p)
{
	struct k_program *was = k_enter(p);

	for (size_t fd = 0; fd < p->room; fd++)
		if (p->files[fd])
			k_close((int)fd);
	k_enter(was);
}

void k_program_list(const struct k_program *p, char *out, size_t room)
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t fd = 0; fd < p->room && n < room; fd++)
		if (p->files[fd])
			n += (size_t)snprintf(out + n, room - n, " %zu:%s", fd,
					      p->files[fd]->kind->name);
}

/* ---- descriptors ---- */

struct k_file *k_file_get(int fd)
{
	struct k_program *p = k_current;

	return p && fd >= 0 && (size_t)fd < p->room ? p->files[fd] : NULL;
}

void *k_file_new(const struct k_kind *kind, size_t size, bool nonblock)
{
	struct k_file *f = world_alloc(size);

	f->kind = kind;
	f->refs = 1;
	f->nonblock = nonblock;
	f->holder = k_current;
	return f;
}

void k_file_unref(struct k_file *f)
{
	if (--f->refs == 0)
		f->kind->release(f);
}

int k_install(struct k_file *f)
{
	struct k_program *p = k_current;
	size_t fd = 3;

	while (fd < p->room && p->files[fd])
		fd++;
	if (fd >= p->limit)
		return -EMFILE;
	if (fd >= p->room) {
		size_t room = p->room ? 2 * p->room : 64;

		p->files = world_realloc(p->files, room * sizeof(struct k_file *));
		memset(p->files + p->room, 0, (room - p->room) * sizeof(struct k_file *));
		p->room = room;
	}
	p->files[fd] = f;
	p->open_count++;
	f->holder = p;
	k_touch(f);
	return (int)fd;
}

int k_close(int fd)
{
	struct k_file *f = k_file_get(fd);

	if (!f)
		return -EBADF;
	k_current->files[fd] = NULL;
	k_current->open_count--;
	k_file_unref(f);
	return 0;
}

void k_touch(struct k_file *f)
{
	if (f->holder)
		f->holder->changes++;
}

unsigned k_ready(struct k_file *f)
{
	return f->kind->ready ? f->kind->ready(f) : POLLIN | POLLOUT;
}

ssize_t k_recv(int fd, void *buf, size_t len, int flags)
{
	struct k_file *f = k_file_get(fd);

	if (!f)
		return -EBADF;
	return f->kind->recv ? f->kind->recv(f, buf, len, flags) : -EINVAL;
}

ssize_t k_send(int fd, const void *buf, size_t len, int flags)
{
	struct k_file *f = k_file_get(fd);

	if (!f)
		return -EBADF;
	return f->kind->send ? f->kind->send(f, buf, len, flags) : -EINVAL;
}

/* ---- the whole ---- */

void k_begin(uint64_t seed)
{
	k_now_us = BOOTED_US;
	k_realtime_offset_us = REALTIME_US;
	k_asleep_us = 0;
	k_read_us = 0;
	k_dice = dice_of(seed, 1);
	k_faults = (struct k_faults){0};
	k_current = NULL;
	event_count = 0;
	event_number = 0;
	host_count = program_count = 0;
	memset(cables, 0, sizeof(cables));
}

void k_end(void)
{
	for (size_t i = 0; i < program_count; i++) {
		k_program_end(programs[i]);
		world_free(programs[i]->files);
	}
	/* What closing has set off: resets on their way, connections without a holder. */
	k_advance(k_now_us + 1200 * UINT64_C(1000000));
	for (size_t i = 0; i < program_count; i++)
		world_free(programs[i]);
	program_count = 0;
	event_count = 0;
	k_stream_forget_all();
	k_store_forget_all();
}
