/* SPDX-License-Identifier: Apache-2.0 */
/* resolve: the queries of resolve.h. */
#include "core/program/resolve_internal.h"

#include <arpa/nameser.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/container.h"

struct resolve_query {
	struct resolver *resolver;
	struct resolve_channel *channel; /* good while a question of it is pending */
	struct timer patience, deadline;
	struct timer deliver;
	resolve_done_fn *done; /* both NULL: cancelled, or told */
	resolve_services_fn *services_done;
	void *owner;
	uint64_t began_ms;
	uint16_t port;
	unsigned pending; /* questions to c-ares */
	int status;	  /* why the question for both families has no answer */
	bool asked_first; /* for A alone */
	bool decided;	  /* what is told is known */
	bool failed_here; /* this host lacks something */
	size_t count;
	struct addr addresses[RESOLVE_ADDRESSES_MAX];
	struct endpoint *hosts; /* for services_done */
	char error[RESOLVE_ERROR_BYTES];
	char host[ADDR_HOST_BYTES];
};

/* ---- queries ---- */

/* When it is told or cancelled and c-ares has no question of it. */
static void query_maybe_free(struct resolve_query *q)
{
	struct ring *ring = q->resolver->ring;

	if (q->pending > 0 || q->done || q->services_done)
		return;
	ring_timer_cancel(ring, &q->deliver);
	ring_timer_cancel(ring, &q->patience);
	ring_timer_cancel(ring, &q->deadline);
	q->resolver->queries--;
	free(q->hosts);
	free(q);
}

static bool address_of(const struct ares_addrinfo_node *node, uint16_t port, struct addr *out)
{
	struct addr a = {.len = node->ai_addrlen};

	if (node->ai_family == AF_INET && node->ai_addrlen == sizeof(a.v4)) {
		memcpy(&a.v4, node->ai_addr, sizeof(a.v4));
		a.v4.sin_port = htons(port);
	} else if (node->ai_family == AF_INET6 && node->ai_addrlen == sizeof(a.v6)) {
		memcpy(&a.v6, node->ai_addr, sizeof(a.v6));
		a.v6.sin6_port = htons(port);
	} else {
		return false;
	}
	*out = a;
	return true;
}

static bool already_has(const struct resolve_query *q, const struct addr *a)
{
	for (size_t i = 0; i < q->count; i++)
		if (q->addresses[i].len == a->len &&
		    memcmp(&q->addresses[i].sa, &a->sa, a->len) == 0)
			return true;
	return false;
}

/* Takes the next address of the family, or of any other family; false when there is none. */
static bool take_next(struct resolve_query *q, const struct ares_addrinfo_node *nodes, int family,
		      bool other)
{
	for (const struct ares_addrinfo_node *n = nodes; n; n = n->ai_next) {
		struct addr a;

		if ((n->ai_family == family) == other || !address_of(n, q->port, &a) ||
		    already_has(q, &a))
			continue;
		q->addresses[q->count++] = a;
		return true;
	}
	return false;
}

/* RFC 8305 section 4: the order of RFC 6724 (c-ares sorts so), families alternating. */
static void take_addresses(struct resolve_query *q, const struct ares_addrinfo_node *nodes)
{
	int first = nodes ? nodes->ai_family : AF_UNSPEC;
	bool more = true;

	while (more && q->count < RESOLVE_ADDRESSES_MAX) {
		more = take_next(q, nodes, first, false);
		if (q->count < RESOLVE_ADDRESSES_MAX)
			more = take_next(q, nodes, first, true) || more;
	}
}

/* What came, or why nothing did, is told from the loop. */
static void query_decide(struct resolve_query *q)
{
	struct ring *ring = q->resolver->ring;

	ring_timer_cancel(ring, &q->patience);
	ring_timer_cancel(ring, &q->deadline);
	if (q->decided)
		return;
	q->decided = true;
	if (q->done || q->services_done)
		ring_timer_set(ring, &q->deliver, 0);
}

static void query_fail(struct resolve_query *q, int status)
{
	if (q->decided)
		return;
	q->failed_here = resolve_channel_why(q->channel, status, q->began_ms, q->error);
	query_decide(q);
}

static void resolve_deliver_fired(struct timer *t, uint64_t now_ms)
{
	struct resolve_query *q = container(t, struct resolve_query, deliver);
	resolve_done_fn *done = q->done;
	resolve_services_fn *services_done = q->services_done;

	if (done)
		done(q->owner, q->addresses, q->count, q->count ? NULL : q->error);
	if (services_done)
		services_done(q->owner, q->hosts, q->count, q->count ? NULL : q->error);
	q->done = NULL;
	q->services_done = NULL;
	query_maybe_free(q);
}

/* c-ares goes on: what it still hears is kept for the next query. */
static void resolve_deadline_fired(struct timer *t, uint64_t now_ms)
{
	struct resolve_query *q = container(t, struct resolve_query, deadline);

	query_fail(q, ARES_ETIMEOUT);
}

/* ---- addresses ---- */

/* How long all of it may be kept; what is in hosts has no time to live. */
static uint32_t time_to_live(const struct ares_addrinfo *info)
{
	int least = INT_MAX;

	for (const struct ares_addrinfo_node *n = info->nodes; n; n = n->ai_next)
		least = n->ai_ttl < least ? n->ai_ttl : least;
	for (const struct ares_addrinfo_cname *n = info->cnames; n; n = n->next)
		least = n->ttl < least ? n->ttl : least;
	return least > 0 && info->nodes ? (uint32_t)least : 0;
}

static void query_has_addresses(struct resolve_query *q, const struct ares_addrinfo *info)
{
	if (q->decided)
		return;
	take_addresses(q, info->nodes);
	if (q->count == 0)
		snprintf(q->error, sizeof(q->error), "the name has no address");
	query_decide(q);
}

static void query_ask(struct resolve_query *q, int family, ares_addrinfo_callback answered)
{
	const struct ares_addrinfo_hints hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};

	q->pending++;
	resolve_channel_asks(q->channel);
	ares_getaddrinfo(q->channel->ares, q->host, NULL, &hints, answered, q);
}

/* The answer to the question for A alone. Why there is none is for the other question to say. */
static void resolve_first_answered(void *data, int status, int timeouts, struct ares_addrinfo *info)
{
	struct resolve_query *q = data;
	struct resolver *r = q->resolver;

	q->pending--;
	if (status == ARES_SUCCESS && info->nodes && !q->decided) {
		resolve_cache_note(&r->cache, q->host, true, ring_now_ms(r->ring));
		query_has_addresses(q, info);
	} else if (q->pending == 0) {
		query_fail(q, q->status);
	}
	resolve_channel_answered(q->channel);
	ares_freeaddrinfo(info);
	query_maybe_free(q);
}

static void query_ask_first(struct resolve_query *q)
{
	q->asked_first = true;
	query_ask(q, AF_INET, resolve_first_answered);
}

/* What c-ares says when a server fails for AAAA in the middle of the search list: A alone may lead
 * further. */
static bool servers_failed(int status)
{
	return status == ARES_ESERVFAIL || status == ARES_EREFUSED || status == ARES_ENOTIMP ||
	       status == ARES_EFORMERR || status == ARES_EBADRESP || status == ARES_ECONNREFUSED;
}

/* The answer to the question for both families. Where the other question has been answered already,
 * it comes too late for this query, not for the next ones. */
static void resolve_both_answered(void *data, int status, int timeouts, struct ares_addrinfo *info)
{
	struct resolve_query *q = data;
	struct resolver *r = q->resolver;
	struct resolve_query late = {.port = 0};

	q->pending--;
	if (status == ARES_SUCCESS) {
		take_addresses(&late, info->nodes);
		if (!q->channel->outdated)
			resolve_cache_keep(&r->cache, q->host, late.addresses, late.count,
					   time_to_live(info), ring_now_ms(r->ring));
		if (timeouts == 0)
			resolve_cache_note(&r->cache, q->host, false, ring_now_ms(r->ring));
		query_has_addresses(q, info);
	} else {
		q->status = status;
		if (servers_failed(status) && !q->decided && !q->asked_first)
			query_ask_first(q);
		if (q->pending == 0)
			query_fail(q, status);
	}
	resolve_channel_answered(q->channel);
	ares_freeaddrinfo(info);
	query_maybe_free(q);
}

static void resolve_patience_fired(struct timer *t, uint64_t now_ms)
{
	struct resolve_query *q = container(t, struct resolve_query, patience);
	struct resolve_channel *c = q->channel;

	query_ask_first(q);
	resolve_channel_asked(c);
}

static struct resolve_query *query_new(struct resolver *r, void *owner)
{
	struct resolve_query *q = NULL;
	struct resolve_channel *c = NULL;

	if (r->queries < RESOLVE_QUERIES_MAX)
		c = resolve_channel_for_query(r);
	if (c)
		q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	q->resolver = r;
	q->channel = c;
	q->deliver.fire = resolve_deliver_fired;
	q->patience.fire = resolve_patience_fired;
	q->deadline.fire = resolve_deadline_fired;
	q->owner = owner;
	q->began_ms = ring_now_ms(r->ring);
	r->queries++;
	return q;
}

/* False: nothing is kept. */
static bool query_take_kept(struct resolve_query *q)
{
	struct resolver *r = q->resolver;
	const struct resolve_kept *k = resolve_cache_find(&r->cache, q->host, ring_now_ms(r->ring));

	if (!k)
		return false;
	for (; q->count < k->count && q->count < RESOLVE_ADDRESSES_MAX; q->count++) {
		q->addresses[q->count] = k->addresses[q->count];
		addr_set_port(&q->addresses[q->count], q->port);
	}
	query_decide(q);
	return true;
}

struct resolve_query *resolve_start(struct resolver *r, const char *host, uint16_t port,
				    resolve_done_fn *done, void *owner)
{
	struct resolve_query *q;
	struct resolve_channel *c;
	bool slow;

	if (strlen(host) >= ADDR_HOST_BYTES)
		return NULL;
	q = query_new(r, owner);
	if (!q)
		return NULL;
	q->done = done;
	q->port = port;
	snprintf(q->host, sizeof(q->host), "%s", host);
	if (query_take_kept(q))
		return q;
	c = q->channel;
	slow = resolve_cache_is_slow(&r->cache, host, ring_now_ms(r->ring));
	ring_timer_set(r->ring, &q->deadline, RESOLVE_MS);
	ring_timer_set(r->ring, &q->patience, slow ? 0 : RESOLVE_PATIENCE_MS);
	query_ask(q, AF_UNSPEC, resolve_both_answered);
	resolve_channel_asked(c);
	return q;
}

/* ---- services (RFC 2782) ---- */

/* Takes the next host out of those of the lowest priority that are left, by weight. */
static struct ares_srv_reply *resolve_take_service(struct ares_srv_reply **list)
{
	struct ares_srv_reply **chosen = list, *taken;
	unsigned lowest = UINT_MAX, sum = 0, left;

	for (struct ares_srv_reply *s = *list; s; s = s->next)
		lowest = s->priority < lowest ? s->priority : lowest;
	for (struct ares_srv_reply *s = *list; s; s = s->next)
		sum += s->priority == lowest ? s->weight + 1u : 0;
	left = arc4random_uniform(sum);
	for (struct ares_srv_reply **at = list; *at; at = &(*at)->next) {
		if ((*at)->priority != lowest)
			continue;
		chosen = at;
		if ((*at)->weight >= left)
			break;
		left -= (*at)->weight + 1u;
	}
	taken = *chosen;
	*chosen = taken->next;
	taken->next = NULL;
	return taken;
}

/* "." says that there is no such service. */
static void take_services(struct resolve_query *q, struct ares_srv_reply *list)
{
	while (list && q->count < RESOLVE_SERVICES_MAX) {
		struct ares_srv_reply *s = resolve_take_service(&list);
		struct endpoint *e = &q->hosts[q->count];

		if (s->port > 0 && addr_host_name_ok(s->host)) {
			snprintf(e->host, sizeof(e->host), "%s", s->host);
			e->port = s->port;
			q->count++;
		}
		ares_free_data(s);
	}
	ares_free_data(list);
}

static void resolve_services_answered(void *data, int status, int timeouts, unsigned char *answer,
				      int len)
{
	struct resolve_query *q = data;
	struct ares_srv_reply *list = NULL;

	if (status == ARES_SUCCESS)
		status = ares_parse_srv_reply(answer, len, &list);
	if (status == ARES_SUCCESS && !q->decided)
		take_services(q, list);
	else
		ares_free_data(list);
	q->pending--;
	if (status != ARES_SUCCESS)
		query_fail(q, status);
	else if (q->count == 0)
		snprintf(q->error, sizeof(q->error), "the name offers no such service");
	query_decide(q);
	resolve_channel_answered(q->channel);
	query_maybe_free(q);
}

struct resolve_query *resolve_services_start(struct resolver *r, const char *name,
					     resolve_services_fn *done, void *owner)
{
	struct endpoint *hosts = calloc(RESOLVE_SERVICES_MAX, sizeof(*hosts));
	struct resolve_query *q = hosts ? query_new(r, owner) : NULL;
	struct resolve_channel *c;

	if (!q) {
		free(hosts);
		return NULL;
	}
	q->hosts = hosts;
	q->services_done = done;
	q->pending++;
	c = q->channel;
	ring_timer_set(r->ring, &q->deadline, RESOLVE_MS);
	resolve_channel_asks(c);
	ares_query(c->ares, name, ns_c_in, ns_t_srv, resolve_services_answered, q);
	resolve_channel_asked(c);
	return q;
}

bool resolve_failed_here(const struct resolve_query *q)
{
	return q->failed_here;
}

void resolve_cancel(struct resolve_query *q)
{
	ring_timer_cancel(q->resolver->ring, &q->patience);
	q->done = NULL;
	q->services_done = NULL;
	query_maybe_free(q);
}
