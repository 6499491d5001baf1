/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_json: a configuration as a JSON document, for the control channel.
 *
 * The same tables bind both forms: a JSON value becomes the tree that the same YAML would give, and
 * a tree that binds becomes the JSON that says the same. Documents hold what was written, not the
 * defaults.
 */
#ifndef POSTERN_CORE_CONF_JSON_H
#define POSTERN_CORE_CONF_JSON_H

#include <jansson.h>

#include "core/conf/conf.h"

/* The tree of a JSON value; its nodes have line 0, and errors name the path only. conf_parse()'s
 * limits hold. NULL, with at least one error. */
struct conf_node *conf_from_json(const json_t *value, struct conf_errors *errors) MUST_CHECK;

/* The document of a tree that these fields bind: truth values and plain numbers as such, texts, and
 * numbers with a unit, as strings. NULL without memory. */
json_t *conf_document(const struct conf_field *fields, const struct conf_node *root) MUST_CHECK;

/* YAML text of a document, which conf_parse() and conf_document() turn into it again; owned by the
 * caller. NULL when it is no object or array, and without memory. */
char *conf_yaml(const json_t *document) MUST_CHECK;

#endif
