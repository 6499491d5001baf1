/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal: records as entries of systemd's journal, with a field for each of their keys.
 *
 * The native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): one datagram for each entry, on a
 * socket that is made and connected before isolation, which forbids both later. So that nothing
 * depends on when the library would make its own, there is no library here.
 *
 *   MESSAGE            the record in a line: its kind, and KEY=VALUE for the rest
 *   PRIORITY           as of a log line (syslog(3))
 *   SYSLOG_IDENTIFIER  the program
 *   POSTERN_KEY        for each key of the record: texts and numbers as they are, the rest as JSON;
 *                      bytes and times have longer names: POSTERN_BYTES_UP, POSTERN_BYTES_DOWN,
 *                      POSTERN_DURATION_MS
 *
 * Where standard error is not the journal, everything here does nothing. One thread at a time.
 */
#ifndef POSTERN_CORE_JOURNAL_H
#define POSTERN_CORE_JOURNAL_H

#include <jansson.h>
#include <stddef.h>

#include "core/log.h"
#include "core/must_check.h"

#define JOURNAL_SOCKET	    "/run/systemd/journal/socket"
#define JOURNAL_ENTRY_BYTES 8192u

/* program: a constant. 0 (also where standard error is not the journal) or -errno. */
int journal_open(const char *path, const char *program) MUST_CHECK;
void journal_close(void);

/* record: an object (borrowed) with a text "kind". Entries that the journal does not take in time
 * are lost, and counted; the next one that it takes is followed by their number. */
void journal_record(enum log_level level, const json_t *record);

/* The entry's bytes; fields that do not fit are left out whole. Returns their number. */
size_t journal_encode(enum log_level level, const char *program, const json_t *record,
		      char out[JOURNAL_ENTRY_BYTES]);

#endif
