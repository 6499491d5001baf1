/* SPDX-License-Identifier: Apache-2.0 */
/* state: files that were opened before the agent is sealed. */
#include "agent/config/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "core/key_file.h"
#include "core/memory.h"

#define FILES 2
/* No agent saves so often: a file that says so is damaged. */
#define STATE_NUMBER_MAX (INT64_C(1) << 62)

/* Two files, the older of which is written next. */
struct pair {
	int fds[FILES];
	uint64_t number; /* of the newest */
	unsigned newest; /* its place */
};

struct agent_state {
	struct pair applied, revocations;
	int keys;	 /* tag keys that relays have told */
	size_t keys_len; /* of what was written last */
};

#define ALL_FILES (2 * FILES + 1)

/* The nth of them, and its name. */
static int *state_file(struct agent_state *s, unsigned n, const char **name)
{
	static const char *const names[ALL_FILES] = {"applied-a.json", "applied-b.json",
						     "revocations-a.json", "revocations-b.json",
						     "tag-keys.json"};

	*name = names[n];
	if (n < FILES)
		return &s->applied.fds[n];
	return n < 2 * FILES ? &s->revocations.fds[n - FILES] : &s->keys;
}

/* -EKEYREJECTED: others may read it, and *why tells. */
static int state_open_one(const char *dir, const char *name, char why[KEY_FILE_WHY_BYTES])
{
	char path[4096];
	int fd, error;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	/* The lock belongs to the open file: it ends with the process, however that ends. */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		error = -errno;
	else if (!key_file_kept(fd, path, why, KEY_FILE_WHY_BYTES))
		error = -EKEYREJECTED;
	else
		return fd;
	close(fd);
	return error;
}

struct agent_state *state_open(const char *dir, char *why, size_t why_size)
{
	struct agent_state *s = calloc(1, sizeof(*s));
	char open_to[KEY_FILE_WHY_BYTES];
	const char *name;

	if (!s) {
		snprintf(why, why_size, "out of memory");
		return NULL;
	}
	for (unsigned i = 0; i < ALL_FILES; i++)
		*state_file(s, i, &name) = -1;
	for (unsigned i = 0; i < ALL_FILES; i++) {
		int *fd = state_file(s, i, &name);

		*fd = state_open_one(dir, name, open_to);
		if (*fd >= 0)
			continue;
		if (*fd == -EKEYREJECTED)
			snprintf(why, why_size, "state_dir: %s/%s: %s", dir, name, open_to);
		else
			snprintf(why, why_size, "state_dir: %s/%s: %s; %s", dir, name,
				 strerror(-*fd),
				 *fd == -EWOULDBLOCK
					 ? "another agent uses it: give each a directory of its own"
					 : "make it a directory that only the agent's user may "
					   "enter");
		*fd = -1;
		state_close(s);
		return NULL;
	}
	return s;
}

void state_close(struct agent_state *s)
{
	const char *name;

	if (!s)
		return;
	for (unsigned i = 0; i < ALL_FILES; i++) {
		int fd = *state_file(s, i, &name);

		if (fd >= 0)
			close(fd);
	}
	free(s);
}

/* What is written to a file that was removed is on no disk any more.
 *
 * #syscalls fstat|newfstatat
 */
static int still_there(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return st.st_nlink > 0 ? 0 : -ENOENT;
}

/* #syscalls lseek ftruncate fdatasync */
static int pair_save(struct pair *p, const json_t *kept)
{
	unsigned place = 1 - p->newest;
	json_t *numbered =
		json_pack("{s:I, s:O}", "number", (json_int_t)p->number + 1, "kept", kept);
	char *text = numbered ? json_dumps(numbered, JSON_INDENT(2)) : NULL;
	int fd = p->fds[place], error = still_there(fd);

	json_decref(numbered);
	if (!text)
		return -ENOMEM;
	if (!error && (lseek(fd, 0, SEEK_SET) < 0 || ftruncate(fd, 0) < 0))
		error = -errno;
	if (!error)
		error = file_write(fd, text, strlen(text));
	if (!error && fdatasync(fd) < 0)
		error = -errno;
	memory_free(text);
	if (error)
		return error;
	p->newest = place;
	p->number++;
	return 0;
}

/* What one file keeps, with its number; owned by the caller. NULL: nothing that is whole. */
static json_t *state_read_one(int fd, json_int_t *number)
{
	json_t *numbered, *kept = NULL;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return NULL;
	numbered = json_loadfd(fd, JSON_REJECT_DUPLICATES, NULL);
	if (numbered && json_unpack(numbered, "{s:I, s:O}", "number", number, "kept", &kept) == 0 &&
	    (*number <= 0 || *number >= STATE_NUMBER_MAX)) {
		json_decref(kept);
		kept = NULL;
	}
	json_decref(numbered);
	return kept;
}

static bool state_is_empty(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size == 0;
}

static json_t *pair_load(struct pair *p)
{
	json_t *newest = NULL;
	bool damaged = false;

	for (unsigned i = 0; i < FILES; i++) {
		json_int_t number;
		json_t *kept = state_read_one(p->fds[i], &number);

		damaged |= !kept && !state_is_empty(p->fds[i]);
		if (!kept || (uint64_t)number <= p->number) {
			json_decref(kept);
			continue;
		}
		json_decref(newest);
		newest = kept;
		p->number = (uint64_t)number;
		p->newest = i;
	}
	return newest || !damaged ? newest : json_null();
}

int state_save(struct agent_state *s, const json_t *kept)
{
	return pair_save(&s->applied, kept);
}

json_t *state_load(struct agent_state *s)
{
	return pair_load(&s->applied);
}

int state_save_revocations(struct agent_state *s, const json_t *kept)
{
	return pair_save(&s->revocations, kept);
}

json_t *state_load_revocations(struct agent_state *s)
{
	return pair_load(&s->revocations);
}

/* ---- tag keys ---- */

/* In place, and filled up with blanks to the length before: what is cut short is at worst no JSON,
 * and the keys of the configuration are left. */
int state_save_tag_keys(struct agent_state *s, const json_t *keys)
{
	char *text = json_dumps(keys, JSON_COMPACT), *all;
	size_t len = text ? strlen(text) : 0, room = len > s->keys_len ? len : s->keys_len;
	int error = still_there(s->keys);

	all = text ? memory_get(room + 1) : NULL;
	if (!error && !all)
		error = -ENOMEM;
	if (!error && lseek(s->keys, 0, SEEK_SET) < 0)
		error = -errno;
	if (!error) {
		memset(all, ' ', room);
		memcpy(all, text, len);
		error = file_write(s->keys, all, room);
	}
	if (!error && fdatasync(s->keys) < 0)
		error = -errno;
	if (!error)
		s->keys_len = room;
	memory_free(all);
	memory_free(text);
	return error;
}

json_t *state_load_tag_keys(struct agent_state *s)
{
	struct stat st;
	json_t *keys;

	if (fstat(s->keys, &st) < 0 || lseek(s->keys, 0, SEEK_SET) < 0)
		return NULL;
	s->keys_len = (size_t)st.st_size;
	keys = json_loadfd(s->keys, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(keys))
		return keys;
	json_decref(keys);
	return NULL;
}
