/* SPDX-License-Identifier: Apache-2.0 */
/* log_kinds: a small table of what was logged in the last minute. */
#include "core/log_kinds.h"

#include <stdio.h>
#include <string.h>

/* FNV-1a. */
static uint64_t mix(uint64_t hash, const char *text)
{
	for (const char *c = text;; c++) {
		hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
		if (!*c)
			return hash;
	}
}

uint64_t log_kind_key(int level, const char *area, const char *format, const char *text)
{
	uint64_t hash = mix(UINT64_C(0xcbf29ce484222325) ^ (uint64_t)level, area);

	hash = mix(hash, strcmp(format, "%s") == 0 ? text : format);
	return hash ? hash : 1;
}

static bool is_over(const struct log_kind *kind, uint64_t now_ms)
{
	return now_ms - kind->since_ms >= LOG_KIND_MS;
}

/* Its place; one that is free, or forgotten because it hid nothing in its time; or the shared one.
 */
static struct log_kind *place_of(struct log_kinds *k, uint64_t key, uint64_t now_ms)
{
	struct log_kind *free = NULL;

	for (size_t i = 0; i < k->used; i++) {
		struct log_kind *kind = &k->kinds[i];

		if (kind->key == key)
			return kind;
		if (!free && !kind->hidden && is_over(kind, now_ms))
			free = kind;
	}
	if (!free && k->used < LOG_KINDS)
		free = &k->kinds[k->used++];
	if (!free)
		return &k->kinds[LOG_KINDS];
	*free = (struct log_kind){.key = key, .since_ms = now_ms};
	return free;
}

static void keep_text(char *out, size_t room, const char *text)
{
	size_t len = strlen(text);

	if (len >= room) {
		len = room - 1;
		while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(out, text, len);
	out[len] = '\0';
}

bool log_kinds_admit(struct log_kinds *k, uint64_t key, int level, const char *area,
		     const char *text, uint64_t now_ms)
{
	struct log_kind *kind = place_of(k, key, now_ms);

	/* One that hid lines is told first, by who asks log_kinds_over() before. */
	if (!kind->hidden && is_over(kind, now_ms)) {
		kind->since_ms = now_ms;
		kind->shown = 0;
	}
	if (kind->shown < LOG_KIND_LINES) {
		kind->shown++;
		return true;
	}
	if (kind->hidden++ == 0 && (!k->due_ms || kind->since_ms + LOG_KIND_MS < k->due_ms))
		k->due_ms = kind->since_ms + LOG_KIND_MS;
	kind->level = level;
	keep_text(kind->area, sizeof(kind->area), area);
	keep_text(kind->last, sizeof(kind->last), text);
	return false;
}

bool log_kinds_over(struct log_kinds *k, bool at_once, uint64_t now_ms, struct log_kind *out)
{
	uint64_t next_ms = 0;

	if (!k->due_ms || (!at_once && now_ms < k->due_ms))
		return false;
	for (size_t i = 0; i <= LOG_KINDS; i++) {
		struct log_kind *kind = &k->kinds[i];

		if (!kind->hidden)
			continue;
		if (at_once || is_over(kind, now_ms)) {
			*out = *kind;
			*kind = (struct log_kind){.key = kind->key, .since_ms = now_ms};
			return true;
		}
		if (!next_ms || kind->since_ms + LOG_KIND_MS < next_ms)
			next_ms = kind->since_ms + LOG_KIND_MS;
	}
	k->due_ms = next_ms;
	return false;
}
