/* SPDX-License-Identifier: Apache-2.0 */
/* journal: the sending half of the journal's native protocol, without its library. */
#include "core/journal.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/log_out.h"
#include "core/memory.h"

#define NAME_BYTES    64u
#define MESSAGE_BYTES 1024u

static int journal_fd = -1;
static const char *program_name;
static json_int_t lost;

/* ---- entries -------------------------------------------------------------------------------- */

struct entry {
	char *bytes;
	size_t len;
	bool full;
};

static void put(struct entry *e, const void *bytes, size_t len)
{
	if (e->full || len > JOURNAL_ENTRY_BYTES - e->len) {
		e->full = true;
		return;
	}
	memcpy(e->bytes + e->len, bytes, len);
	e->len += len;
}

/* "NAME=value", or for values of several lines the name, a 64-bit little-endian length and the
 * value; a line feed ends both. */
static void put_field(struct entry *e, const char *name, const char *value)
{
	size_t before = e->len, len = strlen(value);
	uint8_t length[8];

	put(e, name, strlen(name));
	if (strchr(value, '\n')) {
		for (unsigned i = 0; i < sizeof(length); i++)
			length[i] = (uint8_t)((uint64_t)len >> (8 * i));
		put(e, "\n", 1);
		put(e, length, sizeof(length));
	} else {
		put(e, "=", 1);
	}
	put(e, value, len);
	put(e, "\n", 1);
	if (e->full)
		e->len = before;
	e->full = false;
}

/* ---- records -------------------------------------------------------------------------------- */

/* A text as it is, anything else as JSON; owned by the caller. NULL without memory. */
static char *text_of(const json_t *value)
{
	if (json_is_string(value))
		return memory_text(json_string_value(value));
	return json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
}

/* Field names have capitals, digits and underscores. */
static void field_name(const char *key, char out[NAME_BYTES])
{
	static const struct {
		const char *key, *name;
	} longer[] = {{"up", "bytes_up"}, {"down", "bytes_down"}, {"ms", "duration_ms"}};
	const char *name = key;

	for (size_t i = 0; i < sizeof(longer) / sizeof(longer[0]); i++)
		if (strcmp(key, longer[i].key) == 0)
			name = longer[i].name;
	snprintf(out, NAME_BYTES, "POSTERN_%s", name);
	for (char *c = out; *c; c++) {
		if (*c >= 'a' && *c <= 'z')
			*c = (char)(*c - 'a' + 'A');
		else if (!(*c >= 'A' && *c <= 'Z') && !(*c >= '0' && *c <= '9'))
			*c = '_';
	}
}

/* What the journal keeps by itself, or begins the line. */
static bool in_message(const char *key)
{
	return strcmp(key, "kind") != 0 && strcmp(key, "at") != 0 && strcmp(key, "number") != 0;
}

static void message_of(const json_t *record, char out[MESSAGE_BYTES])
{
	const char *kind = json_string_value(json_object_get(record, "kind")), *key;
	char line[MESSAGE_BYTES];
	json_t *value;
	size_t used = (size_t)snprintf(line, sizeof(line), "%.64s", kind ? kind : "record");

	json_object_foreach((json_t *)record, key, value)
	{
		char *text = in_message(key) ? text_of(value) : NULL;

		if (text && used < sizeof(line))
			used += (size_t)snprintf(line + used, sizeof(line) - used, " %s=%s", key,
						 text);
		memory_free(text);
	}
	log_escape(line, out, MESSAGE_BYTES);
}

size_t journal_encode(enum log_level level, const char *program, const json_t *record,
		      char out[JOURNAL_ENTRY_BYTES])
{
	struct entry e = {.bytes = out};
	char name[NAME_BYTES], message[MESSAGE_BYTES];
	const char *key;
	json_t *value;

	message_of(record, message);
	put_field(&e, "MESSAGE", message);
	snprintf(name, sizeof(name), "%d", log_priority(level));
	put_field(&e, "PRIORITY", name);
	put_field(&e, "SYSLOG_IDENTIFIER", program);
	json_object_foreach((json_t *)record, key, value)
	{
		char *text = text_of(value);

		field_name(key, name);
		if (text)
			put_field(&e, name, text);
		memory_free(text);
	}
	return e.len;
}

/* ---- the socket ----------------------------------------------------------------------------- */

int journal_open(const char *path, const char *program)
{
	int fd;

	if (!log_is_journal())
		return 0;
	fd = log_out_connect(path);
	if (fd < 0)
		return fd;
	journal_close();
	journal_fd = fd;
	program_name = program;
	log_set_records(true);
	return 0;
}

void journal_close(void)
{
	if (journal_fd >= 0)
		close(journal_fd);
	journal_fd = -1;
	lost = 0;
	log_set_records(false);
}

/* A journal that is behind costs a record, rather than our thread its turn.
 *
 * #syscalls-rare sendto(4 is 0, 3 without MSG_FASTOPEN); only under systemd
 */
static bool send_entry(enum log_level level, const json_t *record)
{
	char entry[JOURNAL_ENTRY_BYTES];
	size_t len = journal_encode(level, program_name, record, entry);

	return send(journal_fd, entry, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
}

void journal_record(enum log_level level, const json_t *record)
{
	json_t *note;

	if (journal_fd < 0)
		return;
	if (!send_entry(level, record)) {
		lost++;
		return;
	}
	if (lost == 0)
		return;
	note = json_pack("{s:s, s:I}", "kind", "records.lost", "count", lost);
	if (note && send_entry(LOG_LEVEL_WARNING, note))
		lost = 0;
	json_decref(note);
}
