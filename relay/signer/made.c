/* SPDX-License-Identifier: Apache-2.0 */
/* made: slots, their files, and the keys in them. */
#include "relay/signer/made.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/mem.h>

#include "core/engine/csr.h"
#include "core/file.h"
#include "core/parse/keyblock.h"
#include "relay/signer/internal.h"

static const char *const use_words[SIGNING_USES] = {
	[SIGNING_IDENTITY] = "identity",
	[SIGNING_FRONT] = "front",
};

static void made_name(enum signing_use use, size_t slot, char out[MADE_NAME_BYTES])
{
	snprintf(out, MADE_NAME_BYTES, SIGNING_KEY_FILES "%s-%zu.pem", use_words[use], slot + 1);
}

static bool slot_is(const struct made_slot *slot, const uint8_t id[SIGNING_KEY_BYTES])
{
	return slot->taken && memcmp(slot->id, id, SIGNING_KEY_BYTES) == 0;
}

bool made_here(const struct made *m, enum signing_use use, const uint8_t id[SIGNING_KEY_BYTES])
{
	for (size_t i = 0; i < MADE_SLOTS; i++)
		if (slot_is(&m->slots[use][i], id))
			return true;
	return false;
}

bool made_otherwise(const struct made *m, enum signing_use use, const uint8_t id[SIGNING_KEY_BYTES])
{
	bool otherwise = false;

	for (unsigned other = 0; other < SIGNING_USES; other++)
		otherwise |= other != use && made_here(m, (enum signing_use)other, id);
	return otherwise && !made_here(m, use, id);
}

/* ---- what is there at the start ---- */

/* 0 or -errno, -ENOENT where there is none. */
static int made_read(struct signer_server *s, const char *directory, enum signing_use use,
		     size_t slot, size_t *len)
{
	struct made_slot *at = &s->made.slots[use][slot];
	char name[MADE_NAME_BYTES], path[SIGNING_PATH_MAX + MADE_NAME_BYTES + 2];
	int fd, error;

	made_name(use, slot, name);
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = openat(s->made.dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	error = signer_take_file(s, fd, path, SIGNER_TAKE_KEY | SIGNER_TAKE_REGULAR, len);
	if (error)
		return error;
	s->text[*len] = '\0'; /* there is room */
	at->taken = keyblock_refers(s->text, at->id);
	if (at->taken)
		keyring_last(s->keys, at->id);
	OPENSSL_cleanse(s->text, *len);
	return at->taken ? 0 : -ENOKEY;
}

int made_open(struct signer_server *s, const char *path, size_t *len)
{
	char why[1024];
	size_t why_len = 0;
	int error, worst = 0;

	if (s->sealed || s->made.dir >= 0)
		return -EPERM;
	s->made.dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->made.dir < 0)
		return -errno;
	for (unsigned use = 0; use < SIGNING_USES; use++) {
		for (size_t slot = 0; slot < MADE_SLOTS; slot++) {
			error = made_read(s, path, (enum signing_use)use, slot, len);
			if (error == 0 || error == -ENOENT)
				continue;
			if (error == -EKEYREJECTED && worst != -EKEYREJECTED) {
				why_len = *len < sizeof(why) ? *len : sizeof(why);
				memcpy(why, s->text, why_len);
			}
			if (worst != -EKEYREJECTED)
				worst = error;
		}
	}
	memcpy(s->text, why, why_len);
	*len = why_len;
	return worst;
}

void made_close(struct made *m)
{
	if (m->dir >= 0)
		close(m->dir);
	m->dir = -1;
}

/* ---- a new one ---- */

/* A free one, or else that of the key that waits longest. */
static size_t made_choose(const struct made *m, enum signing_use use,
			  const uint8_t in_force[SIGNING_KEY_BYTES])
{
	const struct made_slot *slots = m->slots[use];
	size_t best = MADE_SLOTS;

	for (size_t i = 0; i < MADE_SLOTS; i++) {
		if (!slots[i].taken)
			return i;
		if (!slot_is(&slots[i], in_force) &&
		    (best == MADE_SLOTS || slots[i].order < slots[best].order))
			best = i;
	}
	return best; /* only one of them is in force */
}

static bool take_hosts(CBS packed, struct csr_hosts *hosts)
{
	CBS one;

	hosts->count = 0;
	while (signing_next_host(&packed, &one))
		if (!csr_add_host(hosts, (const char *)CBS_data(&one), CBS_len(&one)))
			return false;
	return true;
}

/* To the disk, and only then into the slot. 0 or -errno. */
static int made_write(struct signer_server *s, enum signing_use use, size_t slot, EVP_PKEY *key)
{
	struct made_slot *at = &s->made.slots[use][slot];
	char name[MADE_NAME_BYTES], *pem = csr_key_pem(key);
	int error = -ENOMEM;

	if (!pem)
		return error;
	made_name(use, slot, name);
	error = file_replace(s->made.dir, name, pem, strlen(pem));
	OPENSSL_cleanse(pem, strlen(pem));
	free(pem);
	if (error)
		return error;
	if (at->taken)
		keyring_retire(s->keys, at->id);
	at->taken = false;
	EVP_PKEY_up_ref(key);
	if (!keyring_put(s->keys, key, at->id))
		return -ENOMEM;
	keyring_last(s->keys, at->id);
	at->taken = true;
	at->order = ++s->made.count;
	return 0;
}

int made_make(struct signer_server *s, const struct signing_request *r, size_t *len)
{
	static struct csr_hosts hosts;
	uint8_t *der = NULL;
	EVP_PKEY *key;
	int error;

	if (s->made.dir < 0)
		return -ENOTDIR;
	if (!take_hosts(r->input, &hosts))
		return -EINVAL;
	key = csr_new_key();
	if (!key || !csr_make(key, &hosts, &der, len)) {
		EVP_PKEY_free(key);
		return -ENOMEM;
	}
	error = *len > SIGNER_FILE_MAX
			? -EFBIG
			: made_write(s, r->use, made_choose(&s->made, r->use, r->key), key);
	if (!error)
		memcpy(s->text, der, *len);
	OPENSSL_free(der);
	EVP_PKEY_free(key);
	return error;
}

/* ---- the one that counts ---- */

/* #syscalls:signer unlinkat fsync */
int made_keep(struct signer_server *s, enum signing_use use, const uint8_t id[SIGNING_KEY_BYTES])
{
	char name[MADE_NAME_BYTES];
	bool gone = false;

	if (s->made.dir < 0)
		return 0;
	for (size_t i = 0; i < MADE_SLOTS; i++) {
		struct made_slot *at = &s->made.slots[use][i];

		if (!at->taken || slot_is(at, id))
			continue;
		made_name(use, i, name);
		if (unlinkat(s->made.dir, name, 0) && errno != ENOENT)
			return -errno;
		keyring_retire(s->keys, at->id);
		at->taken = false;
		gone = true;
	}
	return gone && fsync(s->made.dir) ? -errno : 0;
}
