/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf: YAML texts as a tree that remembers where everything stood, and tables that turn it into
 * structs.
 *
 * One schema per program (relay/config.c, agent/config.c) is a set of tables of struct conf_field.
 * Binding checks everything and reports every error, each as file:line:column, the dotted path, what
 * is wrong and the remedy; unknown keys name the nearest right one. The tree has no YAML in it, so a
 * JSON document can be bound by the same tables.
 */
#ifndef POSTERN_CORE_CONF_H
#define POSTERN_CORE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define MUST_CHECK __attribute__((warn_unused_result))

#define CONF_FILE_MAX  (4u << 20) /* bytes of one file */
#define CONF_DEPTH_MAX 16u
#define CONF_NODES_MAX 200000u

enum conf_kind { CONF_SCALAR, CONF_LIST, CONF_MAP };

struct conf_node {
	enum conf_kind kind;
	unsigned line, column; /* 1-based */
	char *text;	       /* scalar */
	bool quoted;	       /* scalar written in quotes or as a block */
	size_t count;
	struct conf_node **items; /* list items, or map values */
	struct conf_node **keys;  /* map keys (scalars), same count */
};

/* Errors found, in order; each line ends in '\n'. */
struct conf_errors {
	char *text; /* owned */
	size_t len, count;
	const char *file; /* named in each line; not owned */
};

/* Parses; on failure returns NULL with at least one error. Anchors and aliases, tags, several
 * documents, duplicate keys, and more than the limits above are errors. */
struct conf_node *conf_parse(const char *yaml, size_t len, struct conf_errors *errors) MUST_CHECK;
/* Reads the file, then as conf_parse(). */
struct conf_node *conf_load(const char *path, struct conf_errors *errors) MUST_CHECK;
void conf_node_free(struct conf_node *n);
void conf_errors_free(struct conf_errors *e);

/* Adds "file:line:column: path: sentence". */
void conf_error(struct conf_errors *e, const struct conf_node *at, const char *path,
		const char *format, ...) __attribute__((format(printf, 4, 5)));

const struct conf_node *conf_get(const struct conf_node *map, const char *key);

enum conf_type {
	CONF_STRING,	/* char *, owned */
	CONF_TEXT,	/* char *, owned; may have many lines (PEM) */
	CONF_NAME,	/* char *: an agent or plain name by the wire's rule (check in .check) */
	CONF_BOOL,	/* bool: true/false/yes/no/on/off */
	CONF_UINT,	/* uint64_t between min and max */
	CONF_BYTES,	/* uint64_t: 16384, 64KiB, 1MiB, 2GiB, 20MB */
	CONF_DURATION,	/* uint64_t milliseconds: 500ms, 10s, 5m, 2h, 30d */
	CONF_ENUM,	/* int: index into words[] */
	CONF_ADDRESS,	/* struct addr: a literal with port */
	CONF_ENDPOINT,	/* struct endpoint: a name or literal with port */
	CONF_STRUCT,	/* in place: fields[] */
	CONF_LIST_OF,	/* struct conf_array: each item is bound by fields[] (a map) or by item_type */
};

struct conf_array {
	void *items; /* owned */
	size_t count;
};

struct conf_field {
	const char *key;
	enum conf_type type;
	size_t offset;
	bool required;
	const char *help; /* one sentence: the remedy for a wrong value, and the manual's text */
	uint64_t min, max;
	const char *const *words;	 /* ENUM: NULL-terminated */
	const struct conf_field *fields; /* STRUCT, LIST_OF maps; ends with key NULL */
	size_t item_size;		 /* LIST_OF */
	enum conf_type item_type;	 /* LIST_OF scalars, when fields is NULL */
	size_t max_items;		 /* LIST_OF */
	const char *initial;		 /* the default as text, or NULL to leave what is there */
	/* Extra check of a bound value; adds its own errors. */
	void (*check)(struct conf_errors *e, const struct conf_node *at, const char *path,
		      const void *value);
};

/* Binds map to out by fields: defaults first, then what the document says. False when any error was
 * added; out then holds what conf_release() can free. */
bool conf_bind(const struct conf_node *map, const struct conf_field *fields, void *out,
	       struct conf_errors *errors) MUST_CHECK;
/* Frees everything that conf_bind() allocated in out. */
void conf_release(const struct conf_field *fields, void *out);

#endif
