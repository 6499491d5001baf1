/* SPDX-License-Identifier: Apache-2.0 */
/* log: one line per event, whole, safe from any thread: made here, and sent by log_out. */
#define _GNU_SOURCE /* program_invocation_short_name */
#include "core/log.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log_kinds.h"
#include "core/log_out.h"

#define LOG_LINE_MAX   LOG_OUT_LINE_BYTES
#define LOG_PREFIX_MAX 160u /* the time, the level with its colours, 64 bytes of area */

enum log_style { LOG_PLAIN, LOG_COLOUR, LOG_JOURNAL, LOG_SHORT };

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
static bool daemon_log;		    /* no line waits for its reader, and kinds are limited */
static atomic_bool records_journal; /* the journal gets records, too */

/* What follows is of one thread at a time: a line is made before. */
static pthread_mutex_t sending = PTHREAD_MUTEX_INITIALIZER;
static struct log_kinds kinds;
static uint64_t lost; /* lines, since the last that was told of */

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
	daemon_log = false;
	log_out_reset();
	style = stderr_is_journal() ? LOG_JOURNAL : stderr_takes_colour() ? LOG_COLOUR : LOG_PLAIN;
	log_set_level(level);
	/* gmtime_r() reads the time zone file once, which isolation would later forbid. */
	tzset();
}

int log_never_wait(const char *journal)
{
	int error = style == LOG_JOURNAL ? 0 : -ENOENT;

	log_out_never_wait();
	if (!error)
		error = log_out_journal(journal);
	kinds = (struct log_kinds){.used = 0};
	lost = 0;
	daemon_log = true;
	return style == LOG_JOURNAL ? error : 0;
}

void log_open_tool(const char *program)
{
	log_open(program, LOG_LEVEL_WARNING);
	if (isatty(STDERR_FILENO))
		style = LOG_SHORT;
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

/* ---- one line -------------------------------------------------------------------------------- */

/* A message, made fit for a line; a cut is marked. */
struct message {
	char text[LOG_LINE_MAX];
	size_t len;
};

static void make_message(struct message *m, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));
static void make_message(struct message *m, const char *format, va_list args)
{
	static const char cut[] = "...";
	const size_t room = LOG_LINE_MAX - LOG_PREFIX_MAX - sizeof(cut); /* "..." and '\n' */
	char raw[LOG_LINE_MAX];
	int wanted = vsnprintf(raw, sizeof(raw), format, args);

	m->len = 0;
	if (wanted >= 0)
		m->len = log_escape(raw, m->text, sizeof(m->text));
	if (m->len > room || (wanted >= 0 && (size_t)wanted >= sizeof(raw))) {
		m->len = log_escape(raw, m->text, room + 1);
		memcpy(m->text + m->len, cut, sizeof(cut) - 1);
		m->len += sizeof(cut) - 1;
	}
	m->text[m->len] = '\0';
}

/* "KEY=VALUE" at the end tells programs what a person has just read. */
static size_t without_pairs(const char *text, size_t len)
{
	for (size_t end = len; end > 0;) {
		size_t at = end, name;

		while (at > 0 && text[at - 1] != ' ')
			at--;
		name = strspn(text + at, "abcdefghijklmnopqrstuvwxyz_");
		if (at == 0 || name == 0 || text[at + name] != '=')
			break;
		end = len = at - 1;
	}
	return len;
}

static size_t make_prefix(char *out, size_t room, enum log_level level, const char *area)
{
	struct timespec now;
	struct tm tm;
	char when[32];

	if (style == LOG_JOURNAL)
		return (size_t)snprintf(out, room, "<%d>%.64s: ", levels[level].priority, area);
	if (style == LOG_SHORT)
		return (size_t)snprintf(out, room, "%.64s: ", program_name);
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	return (size_t)snprintf(out, room, "%s.%03ldZ %s%s%s %.64s: ", when, now.tv_nsec / 1000000,
				style == LOG_COLOUR ? levels[level].colour : "", levels[level].word,
				style == LOG_COLOUR ? "\033[0m" : "", area);
}

/* prefix, message, line feed. */
static bool send_text(const char *prefix, size_t prefix_len, const struct message *m)
{
	size_t len = style == LOG_SHORT ? without_pairs(m->text, m->len) : m->len;
	char line[LOG_LINE_MAX];

	memcpy(line, prefix, prefix_len);
	memcpy(line + prefix_len, m->text, len);
	line[prefix_len + len] = '\n';
	return log_out_line(line, prefix_len + len + 1);
}

/* The journal's own form (core/journal.h has the protocol); escaped texts have one line. 0, or
 * -errno as of log_out_entry(). */
static int send_entry(enum log_level level, const char *area, const struct message *m)
{
	char entry[LOG_LINE_MAX + 256];
	int len = snprintf(entry, sizeof(entry),
			   "MESSAGE=%.64s: %s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=%.64s\n"
			   "POSTERN_AREA=%.64s\n",
			   area, m->text, levels[level].priority, program_name, area);

	return log_out_entry(entry, (size_t)len);
}

static bool send_one(enum log_level level, const char *area, const struct message *m)
{
	char prefix[LOG_PREFIX_MAX];
	int error;

	if (style == LOG_JOURNAL && daemon_log) {
		error = send_entry(level, area, m);
		if (error == 0 || error == -EAGAIN)
			return error == 0;
	}
	return send_text(prefix, make_prefix(prefix, sizeof(prefix), level, area), m);
}

/* ---- what is lost, and what is hidden ---------------------------------------------------------
 */

static bool send_made(enum log_level level, const char *area, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static bool send_made(enum log_level level, const char *area, const char *format, ...)
{
	struct message m;
	va_list args;

	va_start(args, format);
	make_message(&m, format, args);
	va_end(args);
	return send_one(level, area, &m);
}

/* Whether all that was lost before has been told. */
static bool tell_lost(void)
{
	if (lost && send_made(LOG_LEVEL_WARNING, "log",
			      "%" PRIu64 " lines were lost: nobody read the log", lost))
		lost = 0;
	return lost == 0;
}

static void tell_hidden(bool at_once, uint64_t now_ms)
{
	struct log_kind kind;

	while (log_kinds_over(&kinds, at_once, now_ms, &kind)) {
		uint64_t seconds = (now_ms - kind.since_ms + 999) / 1000;

		if (!tell_lost() || !send_made((enum log_level)kind.level, kind.area,
					       "... %u more in %" PRIu64 " s, the last: %s",
					       kind.hidden, seconds, kind.last))
			lost++;
	}
}

/* limited: of this format's kind; NULL: whatever else has been told. */
static void log_message(enum log_level level, const char *area, const char *limited,
			const struct message *m)
{
	pthread_mutex_lock(&sending);
	if (daemon_log) {
		uint64_t now_ms = clock_ms(CLOCK_MONOTONIC);

		tell_hidden(false, now_ms);
		if (limited &&
		    !log_kinds_admit(&kinds, log_kind_key((int)level, area, limited, m->text),
				     (int)level, area, m->text, now_ms)) {
			pthread_mutex_unlock(&sending);
			return;
		}
	}
	if (!tell_lost() || !send_one(level, area, m))
		lost += daemon_log;
	pthread_mutex_unlock(&sending);
}

void log_tick(void)
{
	pthread_mutex_lock(&sending);
	if (daemon_log) {
		tell_hidden(false, clock_ms(CLOCK_MONOTONIC));
		(void)tell_lost();
	}
	pthread_mutex_unlock(&sending);
}

void log_close(void)
{
	pthread_mutex_lock(&sending);
	if (daemon_log) {
		tell_hidden(true, clock_ms(CLOCK_MONOTONIC));
		(void)tell_lost();
	}
	pthread_mutex_unlock(&sending);
}

/* ---- events -----------------------------------------------------------------------------------
 */

/* Notices tell of what has changed, or answer somebody: all of them are shown. So is what somebody
 * asked for by a level that is not the usual one. */
static bool is_limited(enum log_level level)
{
	return level <= LOG_LEVEL_WARNING;
}

void log_at(enum log_level level, const char *area, const char *format, ...)
{
	struct message m;
	int saved = errno; /* for %m */
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, format);
	make_message(&m, format, args);
	va_end(args);
	log_message(level, area, is_limited(level) ? format : NULL, &m);
	errno = saved;
}

void log_recorded(enum log_level level, const char *area, const char *format, ...)
{
	struct message m;
	int saved = errno;
	va_list args;

	if (!log_enabled(level) || log_has_records())
		return;
	va_start(args, format);
	make_message(&m, format, args);
	va_end(args);
	log_message(level, area, is_limited(level) ? format : NULL, &m);
	errno = saved;
}

void log_set_records(bool on)
{
	atomic_store_explicit(&records_journal, on, memory_order_relaxed);
}

bool log_has_records(void)
{
	return atomic_load_explicit(&records_journal, memory_order_relaxed);
}

static void log_line(enum log_level level, const char *area, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void log_line(enum log_level level, const char *area, const char *format, ...)
{
	struct message m;
	va_list args;

	va_start(args, format);
	make_message(&m, format, args);
	va_end(args);
	log_message(level, area, NULL, &m);
}

void log_lines(enum log_level level, const char *area, const char *lines)
{
	while (log_enabled(level) && lines && *lines) {
		size_t len = strcspn(lines, "\n");

		log_line(level, area, "%.*s", (int)len, lines);
		lines += len + (lines[len] == '\n');
	}
}

/* It has no area: the program speaks. */
void die(const char *format, ...)
{
	char prefix[LOG_PREFIX_MAX];
	struct message m;
	va_list args;

	va_start(args, format);
	make_message(&m, format, args);
	va_end(args);
	log_close();
	pthread_mutex_lock(&sending);
	if (style != LOG_JOURNAL || !daemon_log || send_entry(LOG_LEVEL_ERROR, "start", &m) != 0) {
		size_t len = (size_t)snprintf(
			prefix, sizeof(prefix), "%s%.64s: ", style == LOG_JOURNAL ? "<3>" : "",
			program_name ? program_name : program_invocation_short_name);

		(void)send_text(prefix, len, &m);
	}
	exit(1);
}
