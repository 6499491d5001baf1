/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf: YAML texts as a tree that remembers where everything stood, and tables that turn it into
 * structs.
 *
 * One schema per program (relay/config/config.c, agent/config/config.c) is a set of tables of
 * struct conf_field. Binding checks everything and reports every error, each as file:line:column,
 * the dotted path, what is wrong and the remedy; unknown keys name the nearest right one. The tree
 * has no YAML in it, so a JSON document can be bound by the same tables.
 */
#ifndef POSTERN_CORE_CONF_CONF_H
#define POSTERN_CORE_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/must_check.h"

#define CONF_FILE_MAX  (4u << 20) /* bytes of one file */
#define CONF_DEPTH_MAX 16u
#define CONF_NODES_MAX 200000u
#define CONF_KEYS_MAX  256u /* of one map */
#define CONF_LINES_MAX 100u /* errors and warnings that are written out; all are counted */

enum conf_kind { CONF_SCALAR, CONF_LIST, CONF_MAP };

struct conf_node {
	enum conf_kind kind;
	unsigned line, column; /* 1-based; 0: the document was no text */
	char *text;	       /* scalar */
	bool quoted;	       /* scalar written in quotes or as a block */
	size_t count;
	struct conf_node **items; /* list items, or map values */
	struct conf_node **keys;  /* map keys (scalars), same count */
};

/* Lines of text, each ending in '\n'. */
struct conf_lines {
	char *text; /* owned */
	size_t len, count;
};

/* Errors found, in order, and likely mistakes that are none. */
struct conf_errors {
	char *text; /* owned; lines, as below */
	size_t len, count;
	const char *file; /* named in each line; not owned */
	struct conf_lines warnings;
};

/* Parses; on failure returns NULL with at least one error. Anchors and aliases, tags, several
 * documents, duplicate keys, and more than the limits above are errors. */
struct conf_node *conf_parse(const char *yaml, size_t len, struct conf_errors *errors) MUST_CHECK;
/* Reads the file, then as conf_parse(). */
#define CONF_AGAIN 1u /* while the program runs: no pipe, whose other end it would wait for */
#define CONF_KEYS  2u /* it holds keys, and is refused where others may read it: core/key_file.h */
struct conf_node *conf_load(const char *path, unsigned how, struct conf_errors *errors) MUST_CHECK;
void conf_node_free(struct conf_node *n);
void conf_errors_free(struct conf_errors *e);

/* Adds "file:line:column: path: sentence"; at may be NULL (no position) and path empty. With
 * neither file nor position it is "path: sentence". Never pass it a secret; texts of the document
 * go through conf_quote(). */
void conf_error(struct conf_errors *e, const struct conf_node *at, const char *path,
		const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The same among the warnings: what may be meant so, but probably is not. Nothing fails by it. */
void conf_warning(struct conf_errors *e, const struct conf_node *at, const char *path,
		  const char *format, ...) __attribute__((format(printf, 4, 5)));
/* That the file cannot be read: by this errno. */
void conf_unreadable(struct conf_errors *e, int error);

/* How messages show a text of the document: in quotes, or as "the value" where it is long or might
 * be a secret (a URL with a password, a key). Returns out. */
#define CONF_QUOTE_BYTES 264
const char *conf_quote(const char *text, char out[CONF_QUOTE_BYTES]);

/* "path.key" (key as log_escape() shows it) and "path[index]"; cut where it must be. */
#define CONF_PATH_BYTES 256
void conf_path_key(char out[CONF_PATH_BYTES], const char *path, const char *key);
void conf_path_item(char out[CONF_PATH_BYTES], const char *path, size_t index);

/* The value of key, or NULL; also when map is NULL or no map. */
const struct conf_node *conf_get(const struct conf_node *map, const char *key);

enum conf_type {
	CONF_STRING,   /* char *, owned */
	CONF_TEXT,     /* char *, owned; may have many lines (PEM) */
	CONF_NAME,     /* char *: an agent or plain name by the wire's rule (check in .check) */
	CONF_BOOL,     /* bool: true/false/yes/no/on/off */
	CONF_UINT,     /* uint64_t between min and max */
	CONF_BYTES,    /* uint64_t: 16384, 64KiB, 1MiB, 2GiB, 20MB */
	CONF_RATE,     /* uint64_t bytes per second: 20MB/s, 512KiB/s, 100Mbit/s, or 0 */
	CONF_DURATION, /* uint64_t milliseconds: 500ms, 10s, 5m, 2h, 30d, or 0 */
	CONF_ENUM,     /* int: index into words[] */
	CONF_ADDRESS,  /* struct addr: a literal with port */
	CONF_ENDPOINT, /* struct endpoint: a name or literal with port */
	CONF_STRUCT,   /* in place: fields[] */
	CONF_LIST_OF,  /* struct conf_array: each item is bound by fields[] (a map) or by item_type
			*/
};

/* Who changes a value, besides the operator in the program's own file. */
enum conf_owner {
	CONF_OF_CONSOLES, /* consoles, too */
	CONF_OF_FILE,	  /* none: what the program does to its host hangs on it */
	CONF_OF_CAS, /* consoles, within what core/engine/owned.h says of CAs: PEM certificates */
};

#define CONF_STRING_MAX 1024u
#define CONF_TEXT_MAX	(1u << 20)

struct conf_array {
	void *items; /* owned */
	size_t count;
	bool present; /* the document has the key, be its list empty */
};

struct conf_field {
	const char *key;
	enum conf_type type;
	size_t offset;
	bool required;
	const char *help;  /* one sentence: the remedy for a wrong value, and the manual's text */
	uint64_t min, max; /* of numbers; of texts in bytes; of a list's items; max 0: no limit, or
			      CONF_STRING_MAX and CONF_TEXT_MAX */
	const char *const *words;	 /* ENUM: NULL-terminated */
	const struct conf_field *fields; /* STRUCT, LIST_OF maps; ends with key NULL */
	size_t item_size;		 /* LIST_OF */
	enum conf_type item_type;	 /* LIST_OF scalars, when fields is NULL */
	size_t max_items;		 /* LIST_OF; when required, at least one */
	const char *initial;		 /* the default as text, or NULL to leave what is there */
	bool secret;			 /* every list of a document hides it */
	const char *stand_in;		 /* secret: something well-formed in the place of it */
	enum conf_owner owner;		 /* not of what stands in a list */
	/* Extra check of a bound value; adds its own errors. Called when the value itself was
	 * right; for LIST_OF always: value is the struct conf_array, at->items its nodes, and items
	 * (or their fields) that were wrong are zero. */
	void (*check)(struct conf_errors *e, const struct conf_node *at, const char *path,
		      const void *value);
};

/* Binds map to out by fields: defaults first, then what the document says. out is zeroed, or was
 * bound before. False when any error was added; out then holds what conf_release() can free. */
bool conf_bind(const struct conf_node *map, const struct conf_field *fields, void *out,
	       struct conf_errors *errors) MUST_CHECK;
/* Frees everything that conf_bind() allocated in out. */
void conf_release(const struct conf_field *fields, void *out);

/* The field of this key, or NULL; also when fields is NULL. */
const struct conf_field *conf_find(const struct conf_field *fields, const char *key);

/* Prints the schema, one key per line: path, what it takes ("a duration, 100ms to 5m; default 10s")
 * and help, with tabs between. postern.yaml(5) says the same, and a test compares them. */
void conf_describe(FILE *to, const struct conf_field *fields);

/* ---- shared by bind.c and value.c ---- */

#define CONF_NUMBER_BYTES 32

/* Binds one scalar: a field, a list's item or a default. */
bool conf_bind_scalar(const struct conf_node *n, const struct conf_field *f, enum conf_type type,
		      void *out, const char *path, struct conf_errors *errors) MUST_CHECK;
/* False, with an error, when n is absent in effect ("key:", "~", "null") or of another kind. */
bool conf_expect_kind(const struct conf_node *n, enum conf_kind kind, enum conf_type type,
		      const char *path, struct conf_errors *errors) MUST_CHECK;
bool conf_type_is_text(enum conf_type type);
const char *conf_type_name(enum conf_type type);
/* The shortest text of a number, size, rate or duration; "10s" for 10000 of CONF_DURATION. Returns
 * out. */
const char *conf_format_number(uint64_t n, enum conf_type type, char out[CONF_NUMBER_BYTES]);
/* The word that one slip of the pen may have turned into this one, or NULL. */
const char *conf_nearest(const char *word, const char *const *words);
/* Slips of the pen between two words (a letter more, less, another, two swapped), without
 * regard to case; SIZE_MAX for long ones. */
size_t conf_edits(const char *a, const char *b);

#endif
