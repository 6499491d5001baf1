/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf: YAML texts to trees.
 *
 * libyaml's events are taken one by one, so that its document loader (which keeps every alias) is
 * not needed and the limits hold while reading. Only the part of YAML that every reader
 * understands alike is accepted: maps, lists and scalars.
 */
#include "core/conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "core/key_file.h"
#include "core/log.h"
#include "core/memory.h"

/* ---- the tree ------------------------------------------------------------------------------- */

void conf_node_free(struct conf_node *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->count; i++) {
		conf_node_free(n->items[i]);
		if (n->keys)
			conf_node_free(n->keys[i]);
	}
	memory_free(n->items);
	memory_free(n->keys);
	memory_free(n->text);
	memory_free(n);
}

const struct conf_node *conf_get(const struct conf_node *map, const char *key)
{
	if (!map || map->kind != CONF_MAP)
		return NULL;
	for (size_t i = 0; i < map->count; i++) {
		if (strcmp(map->keys[i]->text, key) == 0)
			return map->items[i];
	}
	return NULL;
}

static bool grow(struct conf_node ***array, size_t count)
{
	size_t room = count ? count * 2 : 4;
	struct conf_node **bigger;

	/* Arrays have room for 4, 8, 16, ...: full exactly when the count is one of these. */
	if (count && (count < 4 || (count & (count - 1)) != 0))
		return true;
	bigger = memory_resize(*array, room * sizeof(*bigger));
	if (!bigger)
		return false;
	*array = bigger;
	return true;
}

/* Takes key (NULL in lists) and value; on failure both are freed. */
static bool append_node(struct conf_node *to, struct conf_node *key, struct conf_node *value)
{
	if (!grow(&to->items, to->count) || (key && !grow(&to->keys, to->count))) {
		conf_node_free(key);
		conf_node_free(value);
		return false;
	}
	to->items[to->count] = value;
	if (key)
		to->keys[to->count] = key;
	to->count++;
	return true;
}

/* ---- from YAML ------------------------------------------------------------------------------ */

struct yaml_reader {
	yaml_parser_t yaml;
	struct conf_errors *errors;
	size_t nodes;
};

/* A position without a node, for conf_error(). */
static struct conf_node mark_at(const yaml_mark_t *mark)
{
	return (struct conf_node){.line = (unsigned)mark->line + 1,
				  .column = (unsigned)mark->column + 1};
}

static void out_of_memory(struct conf_errors *e)
{
	conf_error(e, NULL, "", "memory is out while reading; make the file smaller");
}

/* libyaml's words, and what to do about it. */
static const struct {
	const char *problem, *remedy;
} remedies[] = {
	{"found character that cannot start any token",
	 "indent with spaces, never tabs, and quote values that begin with a sign"},
	{"mapping values are not allowed in this context",
	 "quote a value that contains \": \", and check the indentation"},
	{"did not find expected node content",
	 "quote a value that begins with a sign, such as \"[::1]:443\""},
	{"did not find expected key", "check the indentation of this line and those before"},
	{"did not find expected '-' indicator", "check the indentation of this list's items"},
	{"could not find expected ':'", "write every key as \"key: value\""},
	{"found unexpected end of stream", "close the quotes that were opened before"},
	{"found a tab character that violates indentation", "indent with spaces, never tabs"},
	{"did not find expected ',' or ']'", "close the list with ]"},
	{"did not find expected ',' or '}'", "close the map with }"},
};

static void report_yaml_error(struct yaml_reader *r)
{
	const char *problem = r->yaml.problem ? r->yaml.problem : "not readable";
	const char *remedy = "check the indentation and the quotes before this place";
	struct conf_node at = mark_at(&r->yaml.problem_mark);

	if (r->yaml.error == YAML_MEMORY_ERROR) {
		out_of_memory(r->errors);
		return;
	}
	for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++) {
		if (strcmp(problem, remedies[i].problem) == 0)
			remedy = remedies[i].remedy;
	}
	conf_error(r->errors, &at, "", "not valid YAML: %s%s%s; %s",
		   r->yaml.context ? r->yaml.context : "", r->yaml.context ? ", " : "", problem,
		   remedy);
}

/* False at the first error, which ends the reading. The caller deletes *event. */
static bool next_event(struct yaml_reader *r, yaml_event_t *event)
{
	if (yaml_parser_parse(&r->yaml, event))
		return true;
	report_yaml_error(r);
	return false;
}

static struct conf_node *new_node(struct yaml_reader *r, enum conf_kind kind,
				  const yaml_mark_t *mark)
{
	struct conf_node *n;

	if (++r->nodes > CONF_NODES_MAX) {
		struct conf_node at = mark_at(mark);
		conf_error(r->errors, &at, "", "more than %u values; make the file smaller",
			   CONF_NODES_MAX);
		return NULL;
	}
	n = memory_zeroed(sizeof(*n));
	if (!n) {
		out_of_memory(r->errors);
		return NULL;
	}
	*n = mark_at(mark);
	n->kind = kind;
	return n;
}

/* Anchors and tags would make the same text mean different things to different readers. */
static void refuse_extras(struct yaml_reader *r, const yaml_event_t *event, const char *path)
{
	struct conf_node at = mark_at(&event->start_mark);
	bool anchor = false, tag = false;

	switch (event->type) {
	case YAML_ALIAS_EVENT:
		conf_error(r->errors, &at, path,
			   "aliases (*name) are not supported; write the value out again");
		return;
	case YAML_SCALAR_EVENT:
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
		break;
	default:
		break;
	}
	if (anchor)
		conf_error(r->errors, &at, path,
			   "anchors (&name) are not supported; remove it and write values out");
	if (tag)
		conf_error(r->errors, &at, path, "tags (!name) are not supported; remove it");
}

static struct conf_node *read_scalar(struct yaml_reader *r, const yaml_event_t *event,
				     const char *path)
{
	struct conf_node *n = new_node(r, CONF_SCALAR, &event->start_mark);
	const char *value = "";
	size_t len = 0;

	if (!n)
		return NULL;
	if (event->type == YAML_SCALAR_EVENT) {
		value = (const char *)event->data.scalar.value;
		len = event->data.scalar.length;
		n->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	}
	if (memchr(value, '\0', len))
		conf_error(r->errors, n, path, "holds a zero byte; remove the \\0");
	n->text = memory_text_of(value, len);
	if (!n->text) {
		out_of_memory(r->errors);
		conf_node_free(n);
		return NULL;
	}
	return n;
}

static struct conf_node *read_node(struct yaml_reader *r, yaml_event_t *event, const char *path,
				   unsigned depth);

static bool read_items(struct yaml_reader *r, struct conf_node *list, const char *path,
		       unsigned depth)
{
	char child[CONF_PATH_BYTES];
	yaml_event_t event;

	while (next_event(r, &event)) {
		if (event.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&event);
			return true;
		}
		conf_path_item(child, path, list->count);
		struct conf_node *item = read_node(r, &event, child, depth);
		if (!item)
			return false;
		if (!append_node(list, NULL, item)) {
			out_of_memory(r->errors);
			return false;
		}
	}
	return false;
}

/* Says what is wrong with a key; reading goes on, so that later errors are told too. */
static void check_key(struct yaml_reader *r, const struct conf_node *map,
		      const struct conf_node *key, const char *path)
{
	const struct conf_node *twin;

	if (key->kind != CONF_SCALAR) {
		conf_error(r->errors, key, path,
			   "a list or map stands where a key should; write "
			   "\"key: value\"");
		return;
	}
	if (strcmp(key->text, "<<") == 0 && !key->quoted)
		conf_error(r->errors, key, path,
			   "merge keys (<<) are not supported; write the keys out");
	for (size_t i = 0; i < map->count; i++) {
		twin = map->keys[i];
		if (twin->kind == CONF_SCALAR && strcmp(twin->text, key->text) == 0) {
			conf_error(r->errors, key, path,
				   "is given a second time (first on line %u); keep one",
				   twin->line);
			return;
		}
	}
}

static bool read_pairs(struct yaml_reader *r, struct conf_node *map, const char *path,
		       unsigned depth)
{
	char child[CONF_PATH_BYTES];
	yaml_event_t event;

	while (next_event(r, &event)) {
		if (event.type == YAML_MAPPING_END_EVENT) {
			yaml_event_delete(&event);
			return true;
		}
		struct conf_node *key = read_node(r, &event, path, depth);
		if (!key)
			return false;
		conf_path_key(child, path, key->kind == CONF_SCALAR ? key->text : "?");
		check_key(r, map, key, child);
		if (map->count >= CONF_KEYS_MAX)
			conf_error(r->errors, key, path, "has more than %u keys; remove some",
				   CONF_KEYS_MAX);
		struct conf_node *value = NULL;
		if (map->count < CONF_KEYS_MAX && next_event(r, &event))
			value = read_node(r, &event, child, depth);
		if (!value) {
			conf_node_free(key);
			return false;
		}
		if (!append_node(map, key, value)) {
			out_of_memory(r->errors);
			return false;
		}
	}
	return false;
}

/* Reads the node that event begins, and deletes the event. NULL: reading cannot go on. */
static struct conf_node *read_node(struct yaml_reader *r, yaml_event_t *event, const char *path,
				   unsigned depth)
{
	struct conf_node *n;
	bool is_map = event->type == YAML_MAPPING_START_EVENT, whole;

	refuse_extras(r, event, path);
	if (!is_map && event->type != YAML_SEQUENCE_START_EVENT) {
		n = read_scalar(r, event, path);
		yaml_event_delete(event);
		return n;
	}
	n = new_node(r, is_map ? CONF_MAP : CONF_LIST, &event->start_mark);
	yaml_event_delete(event);
	if (!n)
		return NULL;
	if (depth >= CONF_DEPTH_MAX) {
		conf_error(r->errors, n, path, "is nested deeper than %u levels; flatten it",
			   CONF_DEPTH_MAX);
		whole = false;
	} else {
		whole = is_map ? read_pairs(r, n, path, depth + 1)
			       : read_items(r, n, path, depth + 1);
	}
	if (!whole) {
		conf_node_free(n);
		return NULL;
	}
	return n;
}

/* Up to the first event inside the document, which is left in *event. */
static bool begin_document(struct yaml_reader *r, yaml_event_t *event)
{
	if (!next_event(r, event))
		return false;
	yaml_event_delete(event); /* stream start */
	if (!next_event(r, event))
		return false;
	struct conf_node at = mark_at(&event->start_mark);
	bool empty = event->type == YAML_STREAM_END_EVENT;
	if (empty)
		conf_error(r->errors, &at, "", "is empty; postern.yaml(5) has examples");
	else if (event->data.document_start.tag_directives.start !=
		 event->data.document_start.tag_directives.end)
		conf_error(r->errors, &at, "", "%%TAG directives are not supported; remove it");
	yaml_event_delete(event);
	return !empty && next_event(r, event);
}

/* Nothing may follow the first document. */
static void end_document(struct yaml_reader *r)
{
	yaml_event_t event;

	if (!next_event(r, &event))
		return;
	yaml_event_delete(&event); /* document end */
	if (!next_event(r, &event))
		return;
	struct conf_node at = mark_at(&event.start_mark);
	if (event.type != YAML_STREAM_END_EVENT)
		conf_error(r->errors, &at, "",
			   "a second document begins here; keep one document in a file");
	yaml_event_delete(&event);
}

static struct conf_node *read_document(struct yaml_reader *r)
{
	struct conf_node *root;
	yaml_event_t event;

	if (!begin_document(r, &event))
		return NULL;
	root = read_node(r, &event, "", 0);
	if (root)
		end_document(r);
	return root;
}

/* Finds what libyaml would report without a position, or let through to C strings. */
static bool text_ok(const char *yaml, size_t len, struct conf_errors *errors)
{
	const unsigned char *s = (const unsigned char *)yaml;
	struct conf_node at = {.line = 1, .column = 1};

	for (size_t i = 0, take; i < len; i += take, at.column++) {
		take = 1;
		if (s[i] == '\n' || (s[i] == '\r' && (i + 1 == len || s[i + 1] != '\n'))) {
			at.line++;
			at.column = 0;
		} else if (s[i] >= 0x80) {
			take = log_utf8_length(s + i, len - i);
		} else if ((s[i] < 0x20 && s[i] != '\t' && s[i] != '\r') || s[i] == 0x7f) {
			conf_error(errors, &at, "", "holds the control character 0x%02x; remove it",
				   s[i]);
			return false;
		}
		if (take == 0 && log_turns_text(s + i, len - i)) {
			conf_error(errors, &at, "",
				   "holds a control character that turns the direction of text, so "
				   "that it shows otherwise than it reads; remove it");
			return false;
		}
		if (take == 0 ||
		    (take == 3 && s[i] == 0xef && s[i + 1] == 0xbf && s[i + 2] > 0xbd)) {
			conf_error(errors, &at, "",
				   "the byte 0x%02x is not UTF-8 text; save the file as UTF-8",
				   s[i]);
			return false;
		}
	}
	return true;
}

struct conf_node *conf_parse(const char *yaml, size_t len, struct conf_errors *errors)
{
	struct yaml_reader r = {.errors = errors};
	size_t before = errors->count;
	struct conf_node *root;

	if (len > CONF_FILE_MAX) {
		conf_error(errors, NULL, "", "is larger than %u bytes; make it smaller",
			   CONF_FILE_MAX);
		return NULL;
	}
	if (!text_ok(yaml, len, errors))
		return NULL;
	if (!yaml_parser_initialize(&r.yaml)) {
		out_of_memory(errors);
		return NULL;
	}
	yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING); /* no guessing of UTF-16 */
	yaml_parser_set_input_string(&r.yaml, (const unsigned char *)yaml, len);
	root = read_document(&r);
	yaml_parser_delete(&r.yaml);
	if (errors->count > before) {
		conf_node_free(root);
		return NULL;
	}
	return root;
}

/* Reads all of fd into buf. Returns the bytes read, at most room, or -errno. */
static ssize_t read_all(int fd, char *buf, size_t room)
{
	size_t used = 0;

	while (used < room) {
		ssize_t n = read(fd, buf + used, room - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		used += (size_t)n;
	}
	return (ssize_t)used;
}

/* In a container a user has a number, and often no name.
 *
 * #syscalls-rare:natd geteuid; only where its file cannot be read any more
 */
void conf_unreadable(struct conf_errors *errors, int error)
{
	if (error == EACCES) {
		conf_error(errors, NULL, "",
			   "cannot be read: %s; it, and the directories on its path, must let the "
			   "user of this process read, who has the number %u",
			   strerror(error), (unsigned)geteuid());
		return;
	}
	conf_error(errors, NULL, "", "cannot be read: %s; check the path and its permissions",
		   strerror(error));
}

/* A relay has its signer read. Returns the descriptor, or -1 and errors tell.
 *
 * #syscalls:agent,natd openat(2 without O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)
 * #syscalls:agent,natd fstat|newfstatat
 * #syscalls-rare:agent,natd open(1 without O_WRONLY | O_RDWR | O_CREAT | O_TRUNC); other C
 * libraries
 */
static int open_file(const char *path, unsigned how, struct conf_errors *errors)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (how & CONF_AGAIN ? O_NONBLOCK : 0));
	char why[KEY_FILE_WHY_BYTES];
	struct stat st;

	if (fd < 0) {
		conf_unreadable(errors, errno);
		return -1;
	}
	if ((how & CONF_AGAIN) && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)))
		conf_error(errors, NULL, "",
			   "is no regular file, and only a regular file is read again");
	else if ((how & CONF_KEYS) && !key_file_kept(fd, path, why, sizeof(why)))
		conf_error(errors, NULL, "", "%s", why);
	else
		return fd;
	close(fd);
	return -1;
}

struct conf_node *conf_load(const char *path, unsigned how, struct conf_errors *errors)
{
	struct conf_node *root = NULL;
	size_t room = CONF_FILE_MAX + 1; /* one more, to see that it is too large */
	char *text = memory_get(room);
	ssize_t len;
	int fd;

	if (!text) {
		out_of_memory(errors);
		return NULL;
	}
	fd = open_file(path, how, errors);
	if (fd >= 0) {
		len = read_all(fd, text, room);
		if (len < 0)
			conf_unreadable(errors, (int)-len);
		else
			root = conf_parse(text, (size_t)len, errors);
		close(fd);
	}
	memory_free(text);
	return root;
}
