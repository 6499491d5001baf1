/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log: one line per event on standard error, as "level: area: sentence key=value ...".
 *
 * Under journald (JOURNAL_STREAM names our stderr) lines carry a "<N>" priority instead of a time;
 * a daemon's go to the journal's socket. A daemon never waits for who reads its log: lines that
 * find no room are lost, and counted. Of errors and warnings of one kind LOG_KIND_LINES are shown
 * in LOG_KIND_MS, and the others counted (core/log_kinds.h).
 *
 * Levels: error (the operator must act), warning, notice (state of the service), info, debug
 * (hostile or malformed input lands here: counted, never an error).
 */
#ifndef POSTERN_CORE_LOG_H
#define POSTERN_CORE_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "core/must_check.h"

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

void log_open(const char *program, enum log_level level);
/* A daemon's, after log_open(), before isolation and threads: from now on no line waits. journal:
 * the path of its socket. 0, or -errno: lines go to the journal by standard error. */
int log_never_wait(const char *journal) MUST_CHECK;
/* Instead of log_open(), for a tool that a person may look at: warnings, on a terminal as sentences
 * without a time, an area, and KEY=VALUE at their end. */
void log_open_tool(const char *program);
/* From time to time: what has not been shown is told, where it is due. Any thread. */
void log_tick(void);
/* At the end: what has not been shown is told now. */
void log_close(void);
void log_set_level(enum log_level level);
/* Parses "error", "warning", "notice", "info", "debug"; false on any other word. */
bool log_level_parse(const char *word, enum log_level *out) MUST_CHECK;
bool log_enabled(enum log_level level);
/* Whether lines go to the journal, as log_open() found. */
bool log_is_journal(void);
/* The level in syslog(3). */
int log_priority(enum log_level level);

void log_at(enum log_level level, const char *area, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same for an event that is a record or an event of a console's, too: silent where the journal
 * gets these. */
void log_recorded(enum log_level level, const char *area, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Whether it does: journal_open() tells. */
void log_set_records(bool on);
bool log_has_records(void);

/* Each of these lines (borrowed; NULL: none) as one of the log. */
void log_lines(enum log_level level, const char *area, const char *lines);

#define log_error(area, ...)   log_at(LOG_LEVEL_ERROR, area, __VA_ARGS__)
#define log_warning(area, ...) log_at(LOG_LEVEL_WARNING, area, __VA_ARGS__)
#define log_notice(area, ...)  log_at(LOG_LEVEL_NOTICE, area, __VA_ARGS__)
#define log_info(area, ...)    log_at(LOG_LEVEL_INFO, area, __VA_ARGS__)
#define log_debug(area, ...)                                                                       \
	do {                                                                                       \
		if (log_enabled(LOG_LEVEL_DEBUG))                                                  \
			log_at(LOG_LEVEL_DEBUG, area, __VA_ARGS__);                                \
	} while (0)

/*
 * Copies text to out with control characters, and bytes that are not UTF-8, as \xNN; cut to room
 * where it must be, always terminated. Returns the length. log_at() does this to its message.
 */
size_t log_escape(const char *text, char *out, size_t room);
/* Size of the well-formed multi-byte sequence at s (RFC 3629 section 4), or 0. left is at least 1;
 * a zero byte also ends it. C1 controls are not well-formed here: terminals obey them. Nor is what
 * log_turns_text() finds. */
size_t log_utf8_length(const unsigned char *s, size_t left);
/* Whether a control of the direction of text begins at s (U+061C, U+200E, U+200F, U+202A to U+202E,
 * U+2066 to U+2069): with these a line shows otherwise than it reads. left as above. */
bool log_turns_text(const unsigned char *s, size_t left);

/* Prints a sentence and exits with status 1. Only before isolation is complete. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
