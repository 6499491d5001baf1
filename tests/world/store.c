/* SPDX-License-Identifier: Apache-2.0 */
/* store: files and directories by their paths. */
#include "tests/world/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/world/kernel_internal.h"
#include "tests/world/real.h"

struct stored {
	struct stored *next;
	char path[512];
	bool directory, socket, unlinked;
	unsigned opened;
	char *text; /* with a zero byte behind it */
	size_t len;
};

/* One open file. */
struct k_stored {
	struct k_file file; /* first */
	struct stored *stored;
	size_t at;
};

static struct stored *all;

static bool power_goes;
static unsigned power_left; /* changes that are still made */
static unsigned changes;    /* that were asked for */

static struct stored *find(const char *path)
{
	struct stored *s = all;

	while (s && (s->unlinked || strcmp(s->path, path) != 0))
		s = s->next;
	return s;
}

static struct stored *make(const char *path, bool directory)
{
	struct stored *s = world_alloc(sizeof(*s));

	snprintf(s->path, sizeof(s->path), "%s", path);
	s->directory = directory;
	s->text = world_alloc(1);
	s->next = all;
	all = s;
	return s;
}

void store_make_directory(const char *path)
{
	if (!find(path))
		(void)make(path, true);
}

void store_write(const char *path, const char *text, size_t len)
{
	struct stored *s = find(path);

	if (!s)
		s = make(path, false);
	s->text = world_realloc(s->text, len + 1);
	memcpy(s->text, text, len);
	s->text[len] = '\0';
	s->len = len;
}

const char *store_read(const char *path, size_t *len)
{
	const struct stored *s = find(path);

	if (!s || s->directory)
		return NULL;
	*len = s->len;
	return s->text;
}

static void forget(struct stored *s)
{
	struct stored **at = &all;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	world_free(s->text);
	world_free(s);
}

void store_power_goes(unsigned after)
{
	power_goes = true;
	power_left = after;
}

void store_power_returns(void)
{
	power_goes = false;
}

unsigned store_changes(void)
{
	return changes;
}

/* Whether a change is made any more; it is one of those that are counted. */
static bool powered(void)
{
	changes++;
	if (power_goes && power_left == 0)
		return false;
	power_left -= power_goes;
	return true;
}

void k_store_forget_all(void)
{
	power_goes = false;
	while (all)
		forget(all);
}

/* ---- calls ---- */

int k_store_path(int dirfd, const char *name, char out[512])
{
	struct k_file *f;

	if (name[0] == '/' || dirfd == AT_FDCWD) {
		snprintf(out, 512, "%s", name);
		return 0;
	}
	f = k_file_get(dirfd);
	if (!f)
		return -EBADF;
	if (!k_stored_is_directory(f))
		return -ENOTDIR;
	if (strcmp(name, ".") == 0)
		snprintf(out, 512, "%.511s", ((struct k_stored *)f)->stored->path);
	else
		snprintf(out, 512, "%.255s/%.255s", ((struct k_stored *)f)->stored->path, name);
	return 0;
}

int k_store_open(const char *path, int flags)
{
	struct stored *s = find(path);
	struct k_stored *o;

	if (s && (flags & O_CREAT) && (flags & O_EXCL))
		return -EEXIST;
	if (!s && !(flags & O_CREAT))
		return -ENOENT;
	if (s && !s->directory && (flags & O_DIRECTORY))
		return -ENOTDIR;
	if ((!s || (flags & O_TRUNC)) && !powered())
		return -EIO;
	o = k_file_new(&k_stored_kind, sizeof(*o), false);
	int fd = k_install(&o->file);
	if (fd < 0) {
		world_free(o);
		return fd;
	}
	if (!s)
		s = make(path, false);
	if (flags & O_TRUNC)
		s->len = 0;
	s->opened++;
	o->stored = s;
	return fd;
}

int k_store_unlink(const char *path)
{
	struct stored *s = find(path);

	if (!s)
		return -ENOENT;
	if (!powered())
		return -EIO;
	s->unlinked = true;
	if (s->opened == 0)
		forget(s);
	return 0;
}

int k_store_rename(const char *from, const char *to)
{
	struct stored *s = find(from), *was = find(to);

	if (!s)
		return -ENOENT;
	if (!powered())
		return -EIO;
	if (was) { /* at once, or not at all */
		was->unlinked = true;
		if (was->opened == 0)
			forget(was);
	}
	snprintf(s->path, sizeof(s->path), "%s", to);
	return 0;
}

bool k_store_exists(const char *path)
{
	return find(path) != NULL;
}

void k_store_is_socket(const char *path)
{
	find(path)->socket = true;
}

mode_t k_store_mode(const char *path)
{
	const struct stored *s = find(path);

	if (s && s->directory)
		return S_IFDIR | 0700;
	return s && s->socket ? S_IFSOCK | 0666 : S_IFREG | 0600;
}

static struct stored *stored_of(struct k_file *f)
{
	return f->kind == &k_stored_kind ? ((struct k_stored *)f)->stored : NULL;
}

bool k_stored_is_directory(struct k_file *f)
{
	return stored_of(f) && stored_of(f)->directory;
}

int64_t k_stored_size(struct k_file *f)
{
	return stored_of(f) ? (int64_t)stored_of(f)->len : -1;
}

unsigned k_stored_links(struct k_file *f)
{
	return stored_of(f) && stored_of(f)->unlinked ? 0 : 1;
}

int k_stored_seek(struct k_file *f, int64_t at, int whence)
{
	if (!stored_of(f) || whence != SEEK_SET || at < 0)
		return -EINVAL;
	((struct k_stored *)f)->at = (size_t)at;
	return 0;
}

int k_stored_truncate(struct k_file *f, int64_t size)
{
	struct stored *s = stored_of(f);

	if (!s || size < 0 || (size_t)size > s->len)
		return -EINVAL;
	if (!powered())
		return -EIO;
	s->len = (size_t)size;
	s->text[s->len] = '\0';
	return 0;
}

static ssize_t stored_recv(struct k_file *f, void *buf, size_t len, int flags)
{
	struct k_stored *o = (struct k_stored *)f;
	size_t left = o->stored->len > o->at ? o->stored->len - o->at : 0;
	size_t n = left < len ? left : len;

	memcpy(buf, o->stored->text + o->at, n);
	o->at += n;
	return (ssize_t)n;
}

static ssize_t stored_send(struct k_file *f, const void *buf, size_t len, int flags)
{
	struct k_stored *o = (struct k_stored *)f;
	struct stored *s = o->stored;
	size_t end = o->at + len > s->len ? o->at + len : s->len;

	if (!powered())
		return -EIO;
	s->text = world_realloc(s->text, end + 1);
	memcpy(s->text + o->at, buf, len);
	s->text[end] = '\0';
	s->len = end;
	o->at += len;
	return (ssize_t)len;
}

static void stored_release(struct k_file *f)
{
	struct stored *s = stored_of(f);

	if (s && --s->opened == 0 && s->unlinked)
		forget(s);
	world_free(f);
}

const struct k_kind k_stored_kind = {
	.name = "file",
	.recv = stored_recv,
	.send = stored_send,
	.release = stored_release,
};
