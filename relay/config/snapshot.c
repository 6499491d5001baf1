/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot: what is made from a configuration before it is in force, so that nothing can fail then.
 */
#include "relay/config/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/memory.h"

static int compare_publics(const void *a, const void *b)
{
	const struct relay_public *const *one = a, *const *other = b;

	return strcmp((*one)->name, (*other)->name);
}

static bool index_publics(struct snapshot *s)
{
	const struct relay_public *list = s->config.publics.items;
	size_t count = s->config.publics.count;

	if (count == 0)
		return true;
	s->publics = memory_array(count, sizeof(*s->publics));
	if (!s->publics)
		return false;
	for (size_t i = 0; i < count; i++)
		s->publics[i] = &list[i];
	s->public_count = count;
	qsort(s->publics, count, sizeof(*s->publics), compare_publics);
	return true;
}

#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)

/* FNV-1a, going on from h: what goes in is the operator's own. */
static uint64_t hash_text(uint64_t h, const char *text)
{
	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 0x100000001b3u;
	return h;
}

struct snapshot_mark {
	uint64_t mark;
	const struct relay_public *leads;
};

static int compare_marks(const void *a, const void *b)
{
	const struct snapshot_mark *one = a, *other = b;

	return (one->mark > other->mark) - (one->mark < other->mark);
}

static void add_mark(struct snapshot *s, const char *name, const struct relay_public *leads)
{
	if (leads->to)
		s->marks[s->mark_count++] = (struct snapshot_mark){
			.mark = snapshot_public_mark(name),
			.leads = leads,
		};
}

/* For each session that came by a public name it is asked whether that still leads there, at each
 * new configuration. */
static bool index_marks(struct snapshot *s)
{
	const struct relay_public *list = s->config.publics.items;
	size_t count = s->config.publics.count;

	s->marks = memory_array(count + 2, sizeof(*s->marks));
	if (!s->marks)
		return false;
	for (size_t i = 0; i < count; i++)
		add_mark(s, list[i].name, &list[i]);
	add_mark(s, SNAPSHOT_ACME, &s->config.tls.acme);
	add_mark(s, SNAPSHOT_SITE, &s->config.site.to);
	qsort(s->marks, s->mark_count, sizeof(*s->marks), compare_marks);
	return true;
}

/* False without memory. */
static bool snapshot_take_signed(struct snapshot *s, const struct snapshot_beside *beside)
{
	signed_told_open(&s->signed_told);
	if (beside->signed_revocations &&
	    !signed_revocations_copy(beside->signed_revocations, &s->signed_revocations))
		return false;
	if (beside->judged_by && strcmp(beside->judged_by, s->config.identity.ca) != 0)
		signed_revocations_review(&s->signed_revocations, s->identity,
					  &s->signed_told.listener);
	s->config.policy_conf.signed_revoked = &s->signed_revocations.list;
	return true;
}

/* False: why has a sentence. */
static bool snapshot_make(struct snapshot *s, const struct snapshot_beside *beside, char *why,
			  size_t why_size)
{
	const char *front_pem = beside->front_pem;
	char clause[256] = "";

	if (!conf_tag_keys_parse(s->config.identity.tag_keys, &s->tag_keys)) {
		snprintf(why, why_size, "identity.tag_keys: are no tag keys");
		return false;
	}
	s->identity = identity_new(s->config.identity.ca, s->config.identity.certificate, NULL,
				   time(NULL), why, why_size);
	if (!s->identity)
		return false;
	s->seed = hash_text(hash_text(HASH_BEGIN, s->config.identity.ca), s->config.name);
	if (s->config.tls.certificate)
		front_pem = s->config.tls.certificate;
	if (front_pem) {
		s->front_certificate = front_certificate_new(front_pem, clause, sizeof(clause));
		if (!s->front_certificate) {
			snprintf(why, why_size, "tls.certificate: %s", clause);
			return false;
		}
	}
	s->front = front_pem ? front_certificate_context(s->front_certificate)
			     : identity_front_context(s->identity);
	if (snapshot_take_signed(s, beside))
		s->policy = policy_new(&s->config.policy_conf);
	if (s->front && s->policy && index_publics(s) && index_marks(s) &&
	    bind_list_make(&s->config, &s->binds))
		return true;
	snprintf(why, why_size, "out of memory");
	return false;
}

static void snapshot_free(struct snapshot *s)
{
	bind_list_free(&s->binds);
	policy_free(s->policy);
	signed_revocations_free(&s->signed_revocations);
	signed_told_free(&s->signed_told);
	memory_free(s->marks);
	memory_free(s->publics);
	SSL_CTX_free(s->front);
	front_certificate_free(s->front_certificate);
	identity_free(s->identity);
	relay_config_free(&s->config);
	memory_free(s);
}

struct snapshot *snapshot_new(struct relay_config *config, const struct snapshot_beside *beside,
			      uint64_t revision, char *why, size_t why_size)
{
	struct snapshot *s = memory_zeroed(sizeof(*s));

	if (!s) {
		snprintf(why, why_size, "out of memory");
		relay_config_free(config);
		return NULL;
	}
	s->config = *config;
	*config = (struct relay_config){0};
	s->revision = revision;
	s->refs = 1;
	if (!snapshot_make(s, beside, why, why_size)) {
		snapshot_free(s);
		return NULL;
	}
	return s;
}

struct snapshot *snapshot_hold(struct snapshot *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void snapshot_release(struct snapshot *s)
{
	/* What the others did with it happens before it is freed. */
	if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
		snapshot_free(s);
}

static int compare_name(const void *key, const void *item)
{
	const struct relay_public *const *entry = item;

	return strcmp(key, (*entry)->name);
}

const struct relay_public *snapshot_public(const struct snapshot *s, const char *server_name)
{
	const struct relay_public **found;

	if (s->public_count == 0)
		return NULL;
	found = bsearch(server_name, s->publics, s->public_count, sizeof(*s->publics),
			compare_name);
	return found ? *found : NULL;
}

uint64_t snapshot_public_mark(const char *name)
{
	uint64_t mark = hash_text(HASH_BEGIN, name);

	return mark ? mark : 1;
}

bool snapshot_public_leads(const struct snapshot *s, uint64_t mark, const char *agent,
			   const char *service)
{
	const struct snapshot_mark key = {.mark = mark}, *found;

	found = bsearch(&key, s->marks, s->mark_count, sizeof(*s->marks), compare_marks);
	return found && strcmp(found->leads->agent, agent) == 0 &&
	       strcmp(found->leads->service, service) == 0;
}
