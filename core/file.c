/* SPDX-License-Identifier: Apache-2.0 */
/* file: writes all of something, replaces a file whole or not at all, closes what a child inherits.
 * Apart, since the keeper, the signer, the follower and the launcher run it, whose lists of system
 * calls are short. */
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* #syscalls:keeper,signer,agent,natd write */
int file_write(int fd, const void *bytes, size_t size)
{
	const char *next = bytes;

	while (size > 0) {
		ssize_t n = write(fd, next, size);

		if (n < 0 && errno != EINTR)
			return -errno;
		next += n > 0 ? n : 0;
		size -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* #syscalls:keeper,signer,natd openat fsync renameat|renameat2 unlinkat */
int file_replace(int dir, const char *name, const void *bytes, size_t size)
{
	char temporary[FILE_NAME_BYTES + 8];
	int fd, error;

	if (strlen(name) >= FILE_NAME_BYTES)
		return -ENAMETOOLONG;
	snprintf(temporary, sizeof(temporary), ".%s.new", name);
	(void)unlinkat(dir, temporary, 0); /* of an attempt that was cut short */
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	error = file_write(fd, bytes, size);
	if (!error && fsync(fd))
		error = -errno;
	if (close(fd) && !error)
		error = -errno;
	if (!error && renameat(dir, temporary, dir, name))
		error = -errno;
	if (error)
		(void)unlinkat(dir, temporary, 0);
	else if (fsync(dir))
		error = -errno;
	return error;
}

void file_close_others(const int *keep, size_t count)
{
	unsigned next = STDERR_FILENO + 1;

	for (;;) {
		unsigned kept = UINT_MAX;

		for (size_t i = 0; i < count; i++)
			if (keep[i] >= (int)next && (unsigned)keep[i] < kept)
				kept = (unsigned)keep[i];
		if (kept > next) /* Linux 5.9; EINVAL for an empty range */
			(void)close_range(next, kept - 1, 0);
		if (kept == UINT_MAX)
			return;
		next = kept + 1;
	}
}
