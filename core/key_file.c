/* SPDX-License-Identifier: Apache-2.0 */
/* key_file: the rule, and what is asked of an open file. */
#include "core/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#define ST_RDONLY_FLAG 0x0001 /* ST_RDONLY of statvfs(3), in f_flags of statfs(2) */

enum key_file_verdict key_file_judge(const struct key_file_facts *f, uid_t self)
{
	mode_t shared = S_IRWXG | S_IRWXO;

	if (!S_ISREG(f->mode))
		return KEY_FILE_KEPT;
	if (f->owner != 0 && f->owner != self)
		return KEY_FILE_STRANGER;
	if (f->owner == 0)
		shared &= ~(mode_t)S_IRGRP;
	if (f->owner == 0 && f->handed_out)
		shared = S_IWGRP | S_IWOTH;
	return f->mode & shared ? KEY_FILE_OPEN : KEY_FILE_KEPT;
}

/* On a mount that this process cannot write to, in memory or of this one file.
 *
 * #syscalls-rare:agent,signer statx fstatfs; of a file that others may read
 */
static bool was_handed_out(int fd)
{
	struct statfs fs;
	struct statx what;

	if (fstatfs(fd, &fs) || !(fs.f_flags & ST_RDONLY_FLAG))
		return false;
	if (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC)
		return true;
	return statx(fd, "", AT_EMPTY_PATH, 0, &what) == 0 &&
	       (what.stx_attributes & STATX_ATTR_MOUNT_ROOT); /* Linux 5.8 */
}

/* #syscalls:agent,signer fstat|newfstatat geteuid */
bool key_file_kept(int fd, const char *path, char *why, size_t why_size)
{
	uid_t self = geteuid();
	struct key_file_facts f;
	struct stat st;

	if (fstat(fd, &st)) {
		snprintf(why, why_size, "cannot be looked at: %s", strerror(errno));
		return false;
	}
	f = (struct key_file_facts){st.st_uid, st.st_mode, false};
	if (key_file_judge(&f, self) == KEY_FILE_OPEN)
		f.handed_out = was_handed_out(fd);
	switch (key_file_judge(&f, self)) {
	case KEY_FILE_KEPT:
		return true;
	case KEY_FILE_STRANGER:
		snprintf(why, why_size,
			 "holds a key and belongs to user %u, who is neither root nor the one that "
			 "this program runs as; type: chown %u %s && chmod 600 %s",
			 (unsigned)f.owner, (unsigned)self, path, path);
		return false;
	case KEY_FILE_OPEN:
		break;
	}
	if (f.owner == self)
		snprintf(why, why_size,
			 "holds a key and is open to more than its owner (mode %04o); type: chmod "
			 "600 %s",
			 (unsigned)f.mode & 07777u, path);
	else
		snprintf(why, why_size,
			 "holds a key and is open to more than root and a group that may read it "
			 "(mode %04o); type: chown %u %s && chmod 600 %s",
			 (unsigned)f.mode & 07777u, (unsigned)self, path, path);
	return false;
}
