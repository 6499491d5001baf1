/* SPDX-License-Identifier: Apache-2.0 */
/* log: one line per event on standard error, in one write(2), safe from any thread. */
#define _GNU_SOURCE /* program_invocation_short_name */
#include "core/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_MAX 2048u

enum log_style { LOG_PLAIN, LOG_COLOUR, LOG_JOURNAL };

static const struct {
	const char *word, *colour;
	int priority; /* syslog(3), RFC 5424 section 6.2.1 */
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error", "\033[31m", 3},
	[LOG_LEVEL_WARNING] = {"warning", "\033[33m", 4},
	[LOG_LEVEL_NOTICE] = {"notice", "\033[32m", 5},
	[LOG_LEVEL_INFO] = {"info", "\033[36m", 6},
	[LOG_LEVEL_DEBUG] = {"debug", "\033[2m", 7},
};
#define LEVEL_COUNT (sizeof(levels) / sizeof(levels[0]))
_Static_assert(LEVEL_COUNT == LOG_LEVEL_DEBUG + 1, "every level has its row");

static atomic_int threshold = LOG_LEVEL_NOTICE;
static enum log_style style = LOG_PLAIN; /* set before there are threads */
static const char *program_name;

/* systemd.exec(5): JOURNAL_STREAM is "device:inode" of the journal's end, and only when standard
 * error is still that end may the "<N>" prefix be used. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;
	char end;

	if (!stream || sscanf(stream, "%llu:%llu%c", &device, &inode, &end) != 2)
		return false;
	return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

static bool stderr_takes_colour(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if (no_color && no_color[0])
		return false;
	return isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
}

void log_open(const char *program, enum log_level level)
{
	program_name = program;
	style = stderr_is_journal() ? LOG_JOURNAL : stderr_takes_colour() ? LOG_COLOUR : LOG_PLAIN;
	log_set_level(level);
	/* gmtime_r() reads the time zone file once, which isolation would later forbid. */
	tzset();
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

bool log_level_parse(const char *word, enum log_level *out)
{
	for (size_t i = 0; i < LEVEL_COUNT; i++) {
		if (strcmp(word, levels[i].word) == 0) {
			*out = (enum log_level)i;
			return true;
		}
	}
	return false;
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&threshold, memory_order_relaxed);
}

bool log_is_journal(void)
{
	return style == LOG_JOURNAL;
}

int log_priority(enum log_level level)
{
	return levels[level].priority;
}

bool log_turns_text(const unsigned char *s, size_t left)
{
	if (s[0] == 0xd8)
		return left > 1 && s[1] == 0x9c;
	if (s[0] != 0xe2 || left < 3)
		return false;
	if (s[1] == 0x80)
		return s[2] == 0x8e || s[2] == 0x8f || (s[2] >= 0xaa && s[2] <= 0xae);
	return s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9;
}

size_t log_utf8_length(const unsigned char *s, size_t left)
{
	size_t len = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;

	if (len == 0 || len > left)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((s[0] == 0xc2 && s[1] < 0xa0) || (s[0] == 0xe0 && s[1] < 0xa0) ||
	    (s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] >= 0x90) || log_turns_text(s, left))
		return 0;
	return len;
}

size_t log_escape(const char *text, char *out, size_t room)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *s = (const unsigned char *)text;
	size_t used = 0;

	while (*s) {
		char piece[4];
		size_t take = 1, len = 1;

		if (*s >= 0x20 && *s < 0x7f) {
			piece[0] = (char)*s;
		} else if (*s >= 0x80 && (take = len = log_utf8_length(s, 4)) > 0) {
			memcpy(piece, s, len);
		} else {
			take = 1;
			len = 4;
			memcpy(piece, "\\x", 2);
			piece[2] = hex[*s >> 4];
			piece[3] = hex[*s & 15];
		}
		if (used + len + 1 > room)
			break;
		memcpy(out + used, piece, len);
		used += len;
		s += take;
	}
	if (room > 0)
		out[used] = '\0';
	return used;
}

/* Whole lines are written or lost: a full pipe must not stop the service.
 *
 * #syscalls write
 */
static void write_line(const char *line, size_t len)
{
	while (write(STDERR_FILENO, line, len) < 0 && errno == EINTR)
		;
}

static int format_prefix(char *out, size_t room, enum log_level level, const char *area)
{
	struct timespec now;
	struct tm tm;
	char when[32];

	if (style == LOG_JOURNAL)
		return snprintf(out, room, "<%d>%.64s: ", levels[level].priority, area);
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	return snprintf(out, room, "%s.%03ldZ %s%s%s %.64s: ", when, now.tv_nsec / 1000000,
			style == LOG_COLOUR ? levels[level].colour : "", levels[level].word,
			style == LOG_COLOUR ? "\033[0m" : "", area);
}

/* Adds the message to a line that already holds used bytes, marks a cut, and writes it. */
static void finish_line(char line[LOG_LINE_MAX], size_t used, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));
static void finish_line(char line[LOG_LINE_MAX], size_t used, const char *format, va_list args)
{
	static const char cut[] = "...";
	char message[LOG_LINE_MAX], rest[LOG_LINE_MAX];
	int wanted = vsnprintf(message, sizeof(message), format, args);
	size_t room = LOG_LINE_MAX - used - sizeof(cut); /* for the text, "..." and '\n' */
	size_t len = log_escape(message, rest, sizeof(rest));

	if (wanted < 0)
		return;
	if (len > room || (size_t)wanted >= sizeof(message)) {
		len = log_escape(message, rest, room + 1);
		memcpy(rest + len, cut, sizeof(cut) - 1);
		len += sizeof(cut) - 1;
	}
	memcpy(line + used, rest, len);
	used += len;
	line[used++] = '\n';
	write_line(line, used);
}

void log_at(enum log_level level, const char *area, const char *format, ...)
{
	char line[LOG_LINE_MAX];
	int saved = errno;
	va_list args;

	if (!log_enabled(level))
		return;
	size_t used = (size_t)format_prefix(line, sizeof(line), level, area);
	errno = saved; /* for %m */
	va_start(args, format);
	finish_line(line, used, format, args);
	va_end(args);
	errno = saved;
}

void log_lines(enum log_level level, const char *area, const char *lines)
{
	while (lines && *lines) {
		size_t len = strcspn(lines, "\n");

		log_at(level, area, "%.*s", (int)len, lines);
		lines += len + (lines[len] == '\n');
	}
}

void die(const char *format, ...)
{
	char line[LOG_LINE_MAX];
	int saved = errno;
	va_list args;

	size_t used =
		(size_t)snprintf(line, sizeof(line), "%s%.64s: ", style == LOG_JOURNAL ? "<3>" : "",
				 program_name ? program_name : program_invocation_short_name);
	errno = saved;
	va_start(args, format);
	finish_line(line, used, format, args);
	va_end(args);
	exit(1);
}
