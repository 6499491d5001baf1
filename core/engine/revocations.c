/* SPDX-License-Identifier: Apache-2.0 */
/* revocations: a sorted array, looked up by each of a certificate's three values. */
#include "core/engine/revocations.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "core/memory.h"

#define FIRST_ROOM 16u

static_assert(WIRE_REVOCATION_MAX == 2 * IDENTITY_KEY_BYTES, "a key is the longest value");

void revocations_free(struct revocations *r)
{
	memory_free(r->list);
	*r = (struct revocations){0};
}

bool revocations_add(struct revocations *r, const struct revocation *fresh)
{
	struct revocation *list = r->list;
	size_t room = r->room;

	if (r->count == room) {
		room = room ? 2 * room : FIRST_ROOM;
		if (room > REVOCATIONS_LIST_MAX)
			room = REVOCATIONS_LIST_MAX;
		list = room > r->room ? memory_resize(r->list, room * sizeof(*list)) : NULL;
		if (!list) {
			r->dropped++;
			return false;
		}
		r->list = list;
		r->room = room;
	}
	list[r->count++] = *fresh;
	return true;
}

static int compare(const void *a, const void *b)
{
	const struct revocation *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return strcmp(x->value, y->value);
}

static bool revokes_more(const struct revocation *a, const struct revocation *b)
{
	return b->before != REVOCATIONS_ALWAYS &&
	       (a->before == REVOCATIONS_ALWAYS || a->before > b->before);
}

void revocations_finish(struct revocations *r)
{
	size_t kept = 0;

	if (r->count == 0)
		return;
	qsort(r->list, r->count, sizeof(*r->list), compare);
	for (size_t i = 1; i < r->count; i++) {
		if (compare(&r->list[kept], &r->list[i]) != 0)
			r->list[++kept] = r->list[i];
		else if (revokes_more(&r->list[i], &r->list[kept]))
			r->list[kept] = r->list[i];
	}
	r->count = kept + 1;
}

/* ---- asked ---- */

static const struct revocation *find(const struct revocations *r, enum wire_revocation_kind kind,
				     const char *value)
{
	struct revocation wanted = {.kind = kind};

	if (r->count == 0 || strlen(value) > WIRE_REVOCATION_MAX)
		return NULL;
	memcpy(wanted.value, value, strlen(value) + 1);
	return bsearch(&wanted, r->list, r->count, sizeof(wanted), compare);
}

static bool covers(const struct revocation *found, const struct identity_peer *peer)
{
	return found && (found->before == REVOCATIONS_ALWAYS || peer->not_before < found->before);
}

static bool list_covers(const struct revocations *r, const struct identity_peer *peer)
{
	char key[WIRE_REVOCATION_MAX + 1];

	if (r->count == 0)
		return false;
	revocation_key_text(peer->key, key);
	return covers(find(r, WIRE_REVOKED_NAME, peer->name), peer) ||
	       covers(find(r, WIRE_REVOKED_SERIAL, peer->serial), peer) ||
	       covers(find(r, WIRE_REVOKED_KEY, key), peer);
}

bool revocations_cover(const struct revocations *r, const struct identity_peer *peer)
{
	for (; r; r = r->beside)
		if (list_covers(r, peer))
			return true;
	return false;
}

bool revocations_cover_name(const struct revocations *r, const char *name)
{
	for (; r; r = r->beside) {
		const struct revocation *found = find(r, WIRE_REVOKED_NAME, name);

		if (found && found->before == REVOCATIONS_ALWAYS)
			return true;
	}
	return false;
}

uint64_t revocations_mark(const struct revocations *r)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	uint64_t mark;
	SHA256_CTX sha;

	SHA256_Init(&sha);
	for (size_t i = 0; r && i < r->count; i++) {
		const struct revocation *v = &r->list[i];

		SHA256_Update(&sha, &v->kind, sizeof(v->kind));
		SHA256_Update(&sha, v->value, strlen(v->value) + 1);
		SHA256_Update(&sha, &v->before, sizeof(v->before));
	}
	SHA256_Final(digest, &sha);
	memcpy(&mark, digest, sizeof(mark));
	return mark | 1;
}

/* ---- values ---- */

const char *revocation_word(enum wire_revocation_kind kind)
{
	static const char *const words[] = {
		[WIRE_REVOKED_NAME] = "agent",
		[WIRE_REVOKED_SERIAL] = "serial",
		[WIRE_REVOKED_KEY] = "key",
	};

	return words[kind];
}

bool revocation_is_serial(const char *text)
{
	return wire_revocation_ok(WIRE_REVOKED_SERIAL, wire_text(text));
}

bool revocation_is_key(const char *text)
{
	return wire_revocation_ok(WIRE_REVOKED_KEY, wire_text(text));
}

void revocation_key_text(const uint8_t key[IDENTITY_KEY_BYTES], char out[WIRE_REVOCATION_MAX + 1])
{
	for (size_t i = 0; i < IDENTITY_KEY_BYTES; i++)
		snprintf(out + 2 * i, 3, "%02x", key[i]);
}
