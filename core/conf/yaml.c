/* SPDX-License-Identifier: Apache-2.0 */
/* conf_yaml: events for libyaml's emitter, which does the quoting. */
#include "core/conf/yaml.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

struct conf_yaml {
	yaml_emitter_t emitter;
	FILE *to;
	bool ok;
};

static int write_bytes(void *arg, unsigned char *bytes, size_t len)
{
	struct conf_yaml *w = arg;

	return fwrite(bytes, 1, len, w->to) == len;
}

/* Takes the event over; initialized is what its initializer returned. */
static void emit(struct conf_yaml *w, yaml_event_t *event, int initialized)
{
	if (initialized && w->ok)
		w->ok = yaml_emitter_emit(&w->emitter, event) != 0;
	else if (initialized)
		yaml_event_delete(event);
	else
		w->ok = false;
}

struct conf_yaml *conf_yaml_open(FILE *to)
{
	struct conf_yaml *w = calloc(1, sizeof(*w));
	yaml_event_t event;

	if (!w || !yaml_emitter_initialize(&w->emitter)) {
		free(w);
		return NULL;
	}
	w->to = to;
	w->ok = true;
	yaml_emitter_set_output(&w->emitter, write_bytes, w);
	yaml_emitter_set_unicode(&w->emitter, 1);
	yaml_emitter_set_width(&w->emitter, -1);
	emit(w, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
	emit(w, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
	return w;
}

bool conf_yaml_close(struct conf_yaml *w)
{
	yaml_event_t event;
	bool ok;

	emit(w, &event, yaml_document_end_event_initialize(&event, 1));
	emit(w, &event, yaml_stream_end_event_initialize(&event));
	ok = w->ok;
	yaml_emitter_delete(&w->emitter);
	free(w);
	return ok;
}

void conf_yaml_begin_map(struct conf_yaml *w)
{
	yaml_event_t event;

	emit(w, &event,
	     yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE));
}

void conf_yaml_end_map(struct conf_yaml *w)
{
	yaml_event_t event;

	emit(w, &event, yaml_mapping_end_event_initialize(&event));
}

void conf_yaml_begin_list(struct conf_yaml *w)
{
	yaml_event_t event;

	emit(w, &event,
	     yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
						  YAML_BLOCK_SEQUENCE_STYLE));
}

void conf_yaml_end_list(struct conf_yaml *w)
{
	yaml_event_t event;

	emit(w, &event, yaml_sequence_end_event_initialize(&event));
}

static void put(struct conf_yaml *w, const char *text, size_t len, yaml_scalar_style_t style)
{
	yaml_event_t event;

	if (len > INT_MAX) {
		w->ok = false;
		return;
	}
	emit(w, &event,
	     yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)len,
					  1, 1, style));
}

/* What YAML 1.1 or 1.2 reads as null, a truth value, or a number. */
static bool reads_as_value(const char *text, size_t len)
{
	static const char *const words[] = {"null", "~", "true", "false", "yes",
					    "no",   "y", "n",	 "on",	  "off"};
	size_t dots = 0;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strlen(words[i]) == len && strncasecmp(text, words[i], len) == 0)
			return true;
	}
	if (len == 0 || !memchr("0123456789+-.", text[0], 13))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!text[i] || !strchr("0123456789_+-.:abcdefxoABCDEFXO", text[i]))
			return false;
		dots += text[i] == '.';
	}
	return dots <= 1; /* more: an IP address */
}

void conf_yaml_key(struct conf_yaml *w, const char *key)
{
	/* A plain << would merge another map into this one. */
	put(w, key, strlen(key),
	    strcmp(key, "<<") == 0 ? YAML_SINGLE_QUOTED_SCALAR_STYLE : YAML_ANY_SCALAR_STYLE);
}

void conf_yaml_text(struct conf_yaml *w, const char *text, size_t len)
{
	yaml_scalar_style_t style = YAML_ANY_SCALAR_STYLE;

	if (memchr(text, '\n', len))
		style = YAML_LITERAL_SCALAR_STYLE;
	else if (reads_as_value(text, len))
		style = YAML_SINGLE_QUOTED_SCALAR_STYLE;
	put(w, text, len, style);
}

void conf_yaml_plain(struct conf_yaml *w, const char *word)
{
	put(w, word, strlen(word), YAML_PLAIN_SCALAR_STYLE);
}

void conf_yaml_entry(struct conf_yaml *w, const char *key, const char *text)
{
	conf_yaml_key(w, key);
	conf_yaml_text(w, text, strlen(text));
}
