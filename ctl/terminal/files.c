/* SPDX-License-Identifier: Apache-2.0 */
/* files: whole files, read with a bound and written atomically. */
#include "ctl/terminal/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/mem.h>

#include "core/file.h"
#include "core/key_file.h"
#include "ctl/terminal/arguments.h"

static char *read_file(const char *path, size_t max, bool key)
{
	FILE *f = fopen(path, "re");
	char why[KEY_FILE_WHY_BYTES], *text = NULL;
	size_t len;

	if (!f) {
		complain("cannot open %s: %s", path, strerror(errno));
		return NULL;
	}
	if (key && !key_file_kept(fileno(f), path, why, sizeof(why))) {
		complain("%s: %s", path, why);
		goto out;
	}
	setvbuf(f, NULL, _IONBF, 0); /* it may be a key: no second copy in a buffer */
	text = malloc(max + 1);
	if (!text) {
		complain("out of memory");
		goto out;
	}
	len = fread(text, 1, max + 1, f);
	if (ferror(f) || len > max || memchr(text, '\0', len)) {
		complain("cannot read %s: %s", path,
			 ferror(f)   ? strerror(errno)
			 : len > max ? "it is too large to be one of ours"
				     : "it is not a text");
		OPENSSL_cleanse(text, len);
		free(text);
		text = NULL;
		goto out;
	}
	text[len] = '\0';
out:
	fclose(f);
	return text;
}

char *files_read(const char *path, size_t max)
{
	return read_file(path, max, false);
}

char *files_read_key(const char *path, size_t max)
{
	return read_file(path, max, true);
}

/* rename(2) that keeps what is there, unless forced. */
static int move(const char *from, const char *to, bool force)
{
	struct stat st;

	if (force)
		return rename(from, to);
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	/* A file system without RENAME_NOREPLACE (NFS): then as well as it can be done. */
	if (lstat(to, &st) == 0) {
		errno = EEXIST;
		return -1;
	}
	return rename(from, to);
}

static void complain_exists(const char *path)
{
	complain("%s exists; name another file, or use --force to replace it", path);
}

bool files_absent(const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return true;
	complain_exists(path);
	return false;
}

bool files_write(const char *path, const char *text, mode_t mode, bool force)
{
	char *temporary = NULL;
	int fd = -1;
	bool ok = false;

	if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
		complain("out of memory");
		return false;
	}
	fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
	if (fd < 0) {
		complain("cannot write %s: %s", path, strerror(errno));
		free(temporary);
		return false;
	}
	ok = file_write(fd, text, strlen(text)) == 0 && fchmod(fd, mode) == 0 && fsync(fd) == 0 &&
	     move(temporary, path, force) == 0;
	if (!ok && errno == EEXIST)
		complain_exists(path);
	else if (!ok)
		complain("cannot write %s: %s", path, strerror(errno));
	if (!ok)
		unlink(temporary);
	close(fd);
	free(temporary);
	return ok;
}

bool files_write_out(const char *path, const char *text, mode_t mode, bool force)
{
	if (strcmp(path, "-") != 0)
		return files_write(path, text, mode, force);
	if (fputs(text, stdout) >= 0 && fflush(stdout) == 0)
		return true;
	complain("cannot write to standard output");
	return false;
}

char *files_join(const char *directory, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", directory, name) >= 0)
		return path;
	complain("out of memory");
	return NULL;
}
