/* SPDX-License-Identifier: Apache-2.0 */
/* store: the files of a world, which live as long as it does. */
#ifndef POSTERN_TESTS_WORLD_STORE_H
#define POSTERN_TESTS_WORLD_STORE_H

#include <stddef.h>

void store_make_directory(const char *path);
void store_write(const char *path, const char *text, size_t len);
/* Borrowed; NULL: no such file. */
const char *store_read(const char *path, size_t *len);

#endif
