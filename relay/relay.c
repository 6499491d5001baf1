/* SPDX-License-Identifier: Apache-2.0 */
/* relay: the rooms put together. */
#include "relay/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/log.h"
#include "core/memory.h"
#include "relay/control/control.h"
#include "relay/front/front.h"
#include "relay/front/signing.h"
#include "relay/session/frames.h"
#include "relay/session/leg.h"
#include "relay/session/limits.h"
#include "relay/session/pace.h"
#include "relay/session/session.h"
#include "relay/session/trace.h"

#define PREDECESSOR_MS 3000u /* for one that was killed to let go of its addresses */
#define OPEN_LOOKED_AT 4096u /* the lowest are given first: what is open at the start is below */

/* What a connection may be, in the order in which they are asked (relay/front/front.h). */
static const struct front_protocol *const protocols[] = {
	&protocol_stun,	  /* in clear */
	&protocol_public, /* a ClientHello for a public name */
	&protocol_frames, /* inside our TLS: agents and consoles */
	&protocol_site,	  /* a request inside our TLS, where a web site is behind an agent */
	&protocol_web,	  /* inside our TLS: all the rest */
	NULL,
};

/* What the rooms below tell those above. */
static const struct relay_upward upward = {
	.adopted = sessions_adopt,
	.console = console_begin,
	.reported = control_reported,
	.traced = control_traced,
};

/* How many descriptors may be open. A sealed relay can no longer ask. */
static uint64_t descriptors_limit(void)
{
	struct rlimit files;
	uint64_t allowed = 1024;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &files) == 0)
			allowed = files.rlim_max;
	}
	return allowed < 1u << 20 ? allowed : 1u << 20;
}

static uint64_t descriptors_open(uint64_t limit)
{
	uint64_t count = 0;

	for (int fd = 0; fd < (int)OPEN_LOOKED_AT && (uint64_t)fd < limit; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* 0, or -1 with a sentence. */
static int workers_open(struct relay *r, struct snapshot *snap, char *why, size_t why_size)
{
	why[0] = '\0';
	for (unsigned i = 0; i < r->worker_count; i++) {
		int error = worker_open(&r->workers[i], r, i, snap, why, why_size);

		if (error == 0)
			error = sessions_open(&r->workers[i]);
		if (error == 0)
			continue;
		if (!why[0])
			snprintf(why, why_size, "cannot set up: %s", strerror(-error));
		return -1;
	}
	return 0;
}

void relay_begin(struct relay *r)
{
	r->memory.most = INT64_MAX; /* until the configuration is read */
	(void)memory_adopt(&r->memory);
}

int relay_open(struct relay *r, struct snapshot *snap, unsigned workers, char *why, size_t why_size)
{
	const struct rendezvous_limits none = {0};

	r->memory.most = snap->config.limits.memory_bytes;
	pthread_mutex_init(&r->lock, NULL);
	pthread_mutex_init(&r->ledger_lock, NULL);
	stun_gate_init(&r->stun_gate);
	r->protocols = protocols;
	r->upward = &upward;
	r->descriptors = descriptors_limit();
	r->rendezvous = rendezvous_new(&none);
	r->ledger = ledger_new((uint32_t)r->descriptors);
	r->buckets = buckets_new((uint32_t)r->descriptors);
	r->pacer = pacer_new();
	r->trace = trace_new();
	r->workers = memory_array(workers, sizeof *r->workers);
	r->missing = memory_array(snap->binds.count, sizeof *r->missing);
	if (!r->rendezvous || !r->ledger || !r->buckets || !r->pacer || !r->trace || !r->workers ||
	    !r->missing) {
		snprintf(why, why_size, "out of memory");
		return -1;
	}
	r->worker_count = workers;
	if (bind_list_probe(&snap->binds, PREDECESSOR_MS, why, why_size) < 0)
		return -1;
	return workers_open(r, snap, why, why_size);
}

int relay_join_signer(struct relay *r, struct signer *signer)
{
	int fd, error = 0;

	for (unsigned i = 0; i < r->worker_count && error == 0; i++) {
		error = signer_channel(signer, &fd);
		if (error == 0 && !signing_open(&r->workers[i], fd))
			error = -ENOMEM;
	}
	return error;
}

int relay_worker_open_ring(struct worker *w, char *why, size_t why_size)
{
	const struct ring_options options = {.engine = (enum ring_engine)w->snap->config.engine};

	return ring_open(&w->ring, &options, why, why_size);
}

int relay_ready(struct relay *r, const struct snapshot *snap, char *why, size_t why_size)
{
	uint64_t open = descriptors_open(r->descriptors), listening = limits_listening(r, snap);

	for (size_t i = 0; i < snap->binds.count; i++)
		listening -= r->missing[i] ? r->worker_count : 0;
	/* The listeners' are counted anew with each configuration. */
	r->descriptors_own = open - listening + control_descriptors();
	log_notice("relay", "descriptors: limit=%llu open=%llu kept for control=%u",
		   (unsigned long long)r->descriptors, (unsigned long long)open,
		   control_descriptors());
	if (limits_adopt(r, snap))
		return 0;
	snprintf(why, why_size, "out of memory: lower stun.prefixes");
	return -1;
}

void relay_worker_start(struct worker *w)
{
	(void)memory_adopt(&w->relay->memory);
	worker_start(w);
	sessions_start(w);
}

void relay_close(struct relay *r)
{
	for (unsigned i = 0; i < r->worker_count; i++) {
		struct worker *w = &r->workers[i];

		if (w->ring)
			ring_close(w->ring); /* nothing is in flight after this */
		worker_close(w);
		sessions_close(w);
	}
	memory_free(r->workers);
	memory_free(r->missing);
	rendezvous_free(r->rendezvous);
	ledger_free(r->ledger);
	buckets_free(r->buckets);
	pacer_free(r->pacer);
	trace_free(r->trace);
	stun_gate_free(&r->stun_gate);
	pthread_mutex_destroy(&r->lock);
	pthread_mutex_destroy(&r->ledger_lock);
	(void)memory_adopt(NULL);
}

/* ---- the log ---- */

/* Adds " name=count" to a text of which n bytes are used. Returns how many are then. */
static size_t status_add(char *out, size_t room, size_t n, const char *name, uint64_t count)
{
	if (count == 0 || n >= room)
		return n;
	return n + (size_t)snprintf(out + n, room - n, " %s=%llu", name, (unsigned long long)count);
}

void relay_log_status(struct relay *r)
{
	struct relay_totals t = relay_totals(r);
	char more[1536] = "", name[64];
	size_t n = 0;

	for (unsigned way = 0; way < STUN_WAYS; way++) {
		for (unsigned i = 0; i < STUN_COUNTS; i++) {
			snprintf(name, sizeof name, "stun_%s_%s", stun_way_name((enum stun_way)way),
				 stun_count_name(i));
			n = status_add(more, sizeof more, n, name, t.stun[way][i]);
		}
	}
	for (unsigned code = 0; code < REASON_MAX; code++) {
		snprintf(name, sizeof name, "refused_%s", reason_name(code));
		n = status_add(more, sizeof more, n, name, t.refused[code]);
	}
	log_notice("status",
		   "links=%zu legs=%zu sessions=%llu sessions_total=%llu connections=%llu "
		   "accepted_total=%llu handshakes_total=%llu bytes_total=%llu%s",
		   t.tables.links, t.tables.legs, (unsigned long long)t.sessions,
		   (unsigned long long)t.sessions_total, (unsigned long long)t.connections,
		   (unsigned long long)t.accepted, (unsigned long long)t.handshakes,
		   (unsigned long long)t.bytes, more);
}

void relay_log_endpoints(const struct relay *r, const struct snapshot *snap)
{
	for (size_t i = 0; i < snap->binds.count; i++) {
		const struct bind_address *d = &snap->binds.items[i];
		char text[ADDR_TEXT_BYTES];

		if (r->missing[i])
			continue;
		addr_format(&d->address, text);
		log_notice("relay", "listening address=%s%s%s", text,
			   d->kind == BIND_UDP	  ? d->anyone ? " udp=stun" : " udp=links"
			   : d->kind == BIND_STUN ? " tcp=stun"
						  : "",
			   d->proxy_protocol ? " proxy_protocol=on" : "");
	}
}
