/* SPDX-License-Identifier: Apache-2.0 */
/* store: the files of a world, which live as long as it does. */
#ifndef POSTERN_TESTS_WORLD_STORE_H
#define POSTERN_TESTS_WORLD_STORE_H

#include <stddef.h>

void store_make_directory(const char *path);
void store_write(const char *path, const char *text, size_t len);
/* The power goes: after so many more changes the disk takes none, as if the machine were off by
 * then, until it returns. What was written before is there. */
void store_power_goes(unsigned after);
void store_power_returns(void);
/* How many changes programs have asked the disk for. */
unsigned store_changes(void);
/* Borrowed; NULL: no such file. */
const char *store_read(const char *path, size_t *len);

#endif
