/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document: a configuration in a file, YAML or JSON, on its way to a relay or an agent.
 *
 * YAML is read by the program's own reader and bound by the schema, so that a slip is told with its
 * line and column before anything is sent. What the other side finds wrong afterwards is told with
 * the same places.
 */
#ifndef POSTERN_CTL_CHANGE_DOCUMENT_H
#define POSTERN_CTL_CHANGE_DOCUMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/conf/conf.h"

/* What the document is for. */
struct document_schema {
	const struct conf_field *(*fields)(void);
	/* Binds and lets go: only the errors matter. */
	bool (*check)(const struct conf_node *root, struct conf_errors *errors);
};
extern const struct document_schema document_relay, document_agent;

struct document {
	json_t *config;
	struct conf_node *tree; /* NULL: it was JSON */
	const char *name;	/* of the file, for messages */
	uint64_t revision;	/* that it was made from, as 'config get' noted; 0: not known */
};

/* path "-" is standard input. False after telling what is wrong. */
bool document_load(const char *path, const struct document_schema *schema,
		   struct document *out) MUST_CHECK;
void document_free(struct document *d);
/* The same from a text (owned by the caller, who may lose it). */
bool document_parse(const char *text, const char *name, const struct document_schema *schema,
		    struct document *out, struct conf_errors *errors) MUST_CHECK;

/* "listen[0].address: sentence" of the other side, with file and place where they are known. */
void document_locate(const struct document *d, const char *error, char *out, size_t room);

/* What 'config get' prints, and document_load() reads: YAML with its revision on top. */
void document_print(FILE *to, const json_t *config, uint64_t revision, const char *whose);
/* What 'config save' prints: YAML with a comment (a line, or several) on top. */
void document_print_file(FILE *to, const json_t *config, const char *comment);
/* The key of a secret that is still hidden in config, which owns it; NULL: there is none. */
const char *document_hidden(const json_t *config);
/* A line for each difference of [{path, from, to}]. */
void document_print_diff(FILE *to, const json_t *diff);

#endif
