/* SPDX-License-Identifier: Apache-2.0 */
/* file: writes all of something, replaces a file whole or not at all, closes what a child inherits.
 */
#ifndef POSTERN_CORE_FILE_H
#define POSTERN_CORE_FILE_H

#include <stddef.h>

#include "core/must_check.h"

#define FILE_NAME_BYTES 64u /* of a file that is replaced, with its end */

/* All size bytes, however many writes that takes. 0 or -errno. */
int file_write(int fd, const void *bytes, size_t size) MUST_CHECK;

/* Makes name in the directory dir, mode 0600, from these bytes. A crash at any moment leaves the
 * old file or the new one. No other process may write that name meanwhile. 0 or -errno. */
int file_replace(int dir, const char *name, const void *bytes, size_t size) MUST_CHECK;

/* In a child that was forked and goes on: closes all descriptors but the standard streams and those
 * of keep (-1: none). */
void file_close_others(const int *keep, size_t count);

#endif
