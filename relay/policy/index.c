/* SPDX-License-Identifier: Apache-2.0 */
/* policy_index: a hash table of byte strings, and the patterns on top of it. */
#include "relay/policy/index.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

/* ---- dict ----------------------------------------------------------------------------------- */

#define SLOTS_FIRST 64u

/* FNV-1a: what it is fed byte by byte tells the hash of every beginning on the way. The keys are
 * the operator's, and questions add none, so no agent gains by choosing names that collide. */
#define HASH_SEED 2166136261u

static uint32_t hash_byte(uint32_t hash, uint8_t byte)
{
	return (hash ^ byte) * 16777619u;
}

static uint32_t hash_bytes(const void *key, size_t len)
{
	const uint8_t *at = key;
	uint32_t hash = HASH_SEED;

	while (len-- > 0)
		hash = hash_byte(hash, *at++);
	return hash;
}

/* The slot that holds the key, or the free one where it belongs. */
static uint32_t slot_of(const struct dict *d, const void *key, size_t len, uint32_t hash)
{
	uint32_t at = (hash ^ hash >> 15) & d->mask;

	for (; d->slots[at]; at = (at + 1) & d->mask) {
		const struct dict_key *k = &d->keys[d->slots[at] - 1];

		if (k->hash == hash && k->len == len && memcmp(d->bytes + k->offset, key, len) == 0)
			break;
	}
	return at;
}

static uint32_t find_hashed(const struct dict *d, const void *key, size_t len, uint32_t hash)
{
	return d->slots ? d->slots[slot_of(d, key, len, hash)] - 1 : DICT_NONE;
}

uint32_t dict_find(const struct dict *d, const void *key, size_t len)
{
	return find_hashed(d, key, len, hash_bytes(key, len));
}

/* At most half of the slots are taken, so that a search ends soon. */
static bool grow_slots(struct dict *d)
{
	uint32_t size = d->slots ? (d->mask + 1) * 2 : SLOTS_FIRST;
	uint32_t *slots = size ? memory_array(size, sizeof *slots) : NULL;

	if (!slots)
		return false;
	for (uint32_t id = 0; id < d->count; id++) {
		uint32_t hash = d->keys[id].hash, at = (hash ^ hash >> 15) & (size - 1);

		while (slots[at])
			at = (at + 1) & (size - 1);
		slots[at] = id + 1;
	}
	memory_free(d->slots);
	d->slots = slots;
	d->mask = size - 1;
	return true;
}

/* Room for one more key of len bytes. */
static bool reserve(struct dict *d, size_t len)
{
	if ((!d->slots || d->count >= d->mask / 2) && !grow_slots(d))
		return false;
	if (d->count == d->room) {
		uint32_t room = d->room ? d->room * 2 : SLOTS_FIRST / 2;
		struct dict_key *keys = memory_resize(d->keys, room * sizeof *keys);

		if (!keys)
			return false;
		d->keys = keys;
		d->room = room;
	}
	if (d->size - d->used < len + 8) {
		size_t size = (d->size + len + 8) * 2;
		uint8_t *bytes = size < UINT32_MAX ? memory_resize(d->bytes, size) : NULL;

		if (!bytes)
			return false;
		d->bytes = bytes;
		d->size = size;
	}
	return true;
}

bool dict_add(struct dict *d, const void *key, size_t len, uint32_t *id)
{
	uint32_t hash = hash_bytes(key, len), found = find_hashed(d, key, len, hash);

	if (found == DICT_NONE) {
		if (!reserve(d, len))
			return false;
		d->slots[slot_of(d, key, len, hash)] = d->count + 1;
		d->keys[d->count] = (struct dict_key){(uint32_t)d->used, (uint32_t)len, hash};
		memcpy(d->bytes + d->used, key, len);
		memset(d->bytes + d->used + len, 0, 8 - len % 8);
		d->used += len + 8 - len % 8;
		found = d->count++;
	}
	*id = found;
	return true;
}

const void *dict_key(const struct dict *d, uint32_t id, size_t *len)
{
	*len = d->keys[id].len;
	return d->bytes + d->keys[id].offset;
}

void dict_free(struct dict *d)
{
	memory_free(d->slots);
	memory_free(d->keys);
	memory_free(d->bytes);
	*d = (struct dict){0};
}

/* ---- patterns ------------------------------------------------------------------------------- */

#define KINDS 4u /* a pattern's id is its dict's id times this, plus its kind */

/* False when there is a "*" elsewhere than at one end, or more than PATTERN_FIXED_MAX bytes. */
static bool pattern_parse(const char *text, size_t len, struct pattern *out)
{
	struct pattern p = {PATTERN_EXACT, text, len};

	if (len == 0)
		return false;
	if (text[0] == '*') {
		p = (struct pattern){len == 1 ? PATTERN_ANY : PATTERN_SUFFIX, text + 1, len - 1};
	} else if (text[len - 1] == '*') {
		p.kind = PATTERN_PREFIX;
		p.len--;
	}
	if (p.len > PATTERN_FIXED_MAX || memchr(p.fixed, '*', p.len))
		return false;
	*out = p;
	return true;
}

static bool letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Whether there is a name that the pattern matches, by the rule in core/parse/wire.h. */
static bool pattern_names(const struct pattern *p, bool service)
{
	char before = '\0';

	if (p->kind == PATTERN_ANY)
		return true;
	if (p->kind != PATTERN_SUFFIX && !letter_or_digit(p->fixed[0]))
		return false;
	if (p->kind != PATTERN_PREFIX && !letter_or_digit(p->fixed[p->len - 1]))
		return false;
	for (size_t i = 0; i < p->len; i++) {
		char c = p->fixed[i];
		bool separator = c == '.' || c == '/';

		if (separator ? !service || before == '.' || before == '/'
			      : !letter_or_digit(c) && c != '-' && c != '_')
			return false;
		before = c;
	}
	return true;
}

bool pattern_split_target(const char *text, struct pattern *agent, struct pattern *service)
{
	const char *slash = strchr(text, '/');
	struct pattern a, s;

	if (!slash || !pattern_parse(text, (size_t)(slash - text), &a) ||
	    !pattern_parse(slash + 1, strlen(slash + 1), &s) || !pattern_names(&a, false) ||
	    !pattern_names(&s, true))
		return false;
	*agent = a;
	*service = s;
	return true;
}

static void reverse(const char *text, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++)
		out[i] = text[len - 1 - i];
}

bool patterns_add(struct patterns *p, const struct pattern *pattern, uint32_t *id)
{
	char backwards[PATTERN_FIXED_MAX];
	uint32_t found = 0;

	switch (pattern->kind) {
	case PATTERN_ANY:
		break;
	case PATTERN_EXACT:
		if (!dict_add(&p->exact, pattern->fixed, pattern->len, &found))
			return false;
		break;
	case PATTERN_PREFIX:
		if (!dict_add(&p->prefix, pattern->fixed, pattern->len, &found))
			return false;
		p->prefix_lengths |= UINT64_C(1) << pattern->len;
		break;
	case PATTERN_SUFFIX:
		reverse(pattern->fixed, pattern->len, backwards);
		if (!dict_add(&p->suffix, backwards, pattern->len, &found))
			return false;
		p->suffix_lengths |= UINT64_C(1) << pattern->len;
		break;
	}
	*id = found * KINDS + pattern->kind;
	return true;
}

/* The keys that text begins with; lengths has theirs. How many. */
static size_t match_beginnings(const struct dict *d, uint64_t lengths, const char *text, size_t len,
			       enum pattern_kind kind, uint32_t *out)
{
	uint32_t hash = HASH_SEED;
	size_t n = 0;

	for (size_t i = 1; i <= len && lengths >> i; i++) {
		hash = hash_byte(hash, (uint8_t)text[i - 1]);
		if (!(lengths >> i & 1))
			continue;
		uint32_t id = find_hashed(d, text, i, hash);
		if (id != DICT_NONE)
			out[n++] = id * KINDS + kind;
	}
	return n;
}

size_t patterns_match(const struct patterns *p, const char *name, uint32_t out[PATTERNS_MATCH_MAX])
{
	size_t len = strlen(name), n = 0;
	char backwards[PATTERN_FIXED_MAX];
	uint32_t id;

	out[n++] = PATTERN_ANY_ID;
	if (len > PATTERN_FIXED_MAX)
		return n;
	id = dict_find(&p->exact, name, len);
	if (id != DICT_NONE)
		out[n++] = id * KINDS + PATTERN_EXACT;
	n += match_beginnings(&p->prefix, p->prefix_lengths, name, len, PATTERN_PREFIX, out + n);
	if (p->suffix_lengths == 0)
		return n;
	reverse(name, len, backwards);
	return n + match_beginnings(&p->suffix, p->suffix_lengths, backwards, len, PATTERN_SUFFIX,
				    out + n);
}

void patterns_free(struct patterns *p)
{
	dict_free(&p->exact);
	dict_free(&p->prefix);
	dict_free(&p->suffix);
}
