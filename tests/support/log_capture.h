/* SPDX-License-Identifier: Apache-2.0 */
/* log_capture: what is logged meanwhile, in place of standard error. */
#ifndef POSTERN_TESTS_LOG_CAPTURE_H
#define POSTERN_TESTS_LOG_CAPTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

void log_capture_begin(void);
/* The lines since then, at level notice and above; to be freed. */
char *log_capture_end(void);
/* How often these words are in them. */
unsigned log_capture_count(const char *lines, const char *words);
/* The lines are freed. */
void log_capture_assert(char *lines, const char *words, unsigned times);

#endif
