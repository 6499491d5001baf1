/* SPDX-License-Identifier: Apache-2.0 */
/* files: whole files, read with a bound and written atomically. Failures are told to the user. */
#ifndef POSTERN_CTL_TERMINAL_FILES_H
#define POSTERN_CTL_TERMINAL_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/must_check.h"

/* The file as text, owned. NULL: it cannot be read, is larger than max, or holds a zero byte. */
char *files_read(const char *path, size_t max) MUST_CHECK;
/* The same of a file that holds a key: refused where others may read it (core/key_file.h). */
char *files_read_key(const char *path, size_t max) MUST_CHECK;
/* Whether nothing is at path; tells otherwise. */
bool files_absent(const char *path) MUST_CHECK;
/* Appears complete or not at all; replaces a file only with force. */
bool files_write(const char *path, const char *text, mode_t mode, bool force) MUST_CHECK;
/* The same; "-" is standard output. */
bool files_write_out(const char *path, const char *text, mode_t mode, bool force) MUST_CHECK;
/* DIRECTORY/NAME, owned; NULL (told) without memory. */
char *files_join(const char *directory, const char *name) MUST_CHECK;

#endif
