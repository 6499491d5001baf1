/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_out: the way of a line out of the process: standard error, or the journal's socket.
 *
 * A tool writes to standard error as anybody does. A daemon must not wait for who reads its log: a
 * pipe that nobody reads, a stopped terminal (^S) or a log driver that hangs would stop its loop,
 * and everything with it. After log_out_never_wait() a line that cannot go at once is refused, and
 * the caller counts it. Standard error itself stays as it is, since other processes share it: a
 * pipe or a terminal is opened once more, for us alone, so that only ours does not block.
 *
 * One thread at a time, but for log_out_entry().
 */
#ifndef POSTERN_CORE_LOG_OUT_H
#define POSTERN_CORE_LOG_OUT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/must_check.h"

#define LOG_OUT_LINE_BYTES 2048u /* of a line, at most: a pipe takes it whole or not at all */

/* Before threads, and before isolation. Again: for what standard error is by then. */
void log_out_never_wait(void);
/* As before log_out_never_wait(); the journal is closed, too. */
void log_out_reset(void);

/* Whether the line has gone, or will: what a terminal took only half of goes before the next. */
bool log_out_line(const char *line, size_t len) MUST_CHECK;

/* Entries of the journal's native protocol go to the socket at path from now on. 0 or -errno. */
int log_out_journal(const char *path) MUST_CHECK;
/* 0: it has gone. -EAGAIN: the journal is behind. Another -errno: the journal is not there. */
int log_out_entry(const char *entry, size_t len) MUST_CHECK;

/* A socket that is connected to the journal's at path: the caller's, or -errno. */
int log_out_connect(const char *path) MUST_CHECK;

#endif
