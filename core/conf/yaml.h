/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_yaml: writes the YAML that conf_parse() reads, one event after the other.
 *
 * A failure (memory, or the stream) is remembered and told by conf_yaml_close() alone.
 */
#ifndef POSTERN_CORE_CONF_YAML_H
#define POSTERN_CORE_CONF_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "core/must_check.h"

struct conf_yaml;

/* Begins a document on to, which stays the caller's. NULL without memory. */
struct conf_yaml *conf_yaml_open(FILE *to) MUST_CHECK;
/* Ends it and frees w. False when anything has failed since conf_yaml_open(). */
bool conf_yaml_close(struct conf_yaml *w) MUST_CHECK;

/* In a map, keys and values take turns. */
void conf_yaml_begin_map(struct conf_yaml *w);
void conf_yaml_end_map(struct conf_yaml *w);
void conf_yaml_begin_list(struct conf_yaml *w);
void conf_yaml_end_list(struct conf_yaml *w);
void conf_yaml_key(struct conf_yaml *w, const char *key);
/* A text: quoted where a YAML reader might take it for something else, a block if it has lines. */
void conf_yaml_text(struct conf_yaml *w, const char *text, size_t len);
/* A number, true, false or null, as it stands. */
void conf_yaml_plain(struct conf_yaml *w, const char *word);
/* A key and its text. */
void conf_yaml_entry(struct conf_yaml *w, const char *key, const char *text);

#endif
