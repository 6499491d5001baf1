/* SPDX-License-Identifier: Apache-2.0 */
/* state: two files, the older of which is written next. */
#include "agent/control/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "core/conf/json.h"
#include "core/file.h"
#include "core/log.h"

#define FILES 2

static const char *const file_names[FILES] = {"applied-a.json", "applied-b.json"};

struct state {
	int fds[FILES];
	uint64_t number; /* of the newest */
	unsigned newest; /* its place */
	char origin[STATE_ORIGIN_BYTES];
};

/* ---- files ---- */

static int open_one(const char *dir, const char *name)
{
	char path[4096];
	int fd, error;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

struct state *state_open(const char *dir, char *why, size_t why_size)
{
	struct state *s = calloc(1, sizeof(*s));

	if (!s) {
		snprintf(why, why_size, "out of memory");
		return NULL;
	}
	for (unsigned i = 0; i < FILES; i++)
		s->fds[i] = -1;
	for (unsigned i = 0; i < FILES; i++) {
		s->fds[i] = open_one(dir, file_names[i]);
		if (s->fds[i] >= 0)
			continue;
		snprintf(why, why_size, "state_dir: %s/%s: %s; %s", dir, file_names[i],
			 strerror(-s->fds[i]),
			 s->fds[i] == -EWOULDBLOCK
				 ? "another agent uses it: give each a directory of its own"
				 : "make it a directory that only the agent's user may enter");
		s->fds[i] = -1;
		state_close(s);
		return NULL;
	}
	return s;
}

void state_close(struct state *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < FILES; i++)
		if (s->fds[i] >= 0)
			close(s->fds[i]);
	free(s);
}

int state_save(struct state *s, const json_t *document)
{
	unsigned place = 1 - s->newest;
	json_t *kept = json_pack("{s:I, s:s, s:O}", "number", (json_int_t)s->number + 1, "origin",
				 s->origin, "config", document);
	char *text = kept ? json_dumps(kept, JSON_INDENT(2)) : NULL;
	int fd = s->fds[place], error = 0;

	json_decref(kept);
	if (!text)
		return -ENOMEM;
	if (lseek(fd, 0, SEEK_SET) < 0 || ftruncate(fd, 0) < 0)
		error = -errno;
	if (!error)
		error = file_write(fd, text, strlen(text));
	if (!error && fdatasync(fd) < 0)
		error = -errno;
	free(text);
	if (error)
		return error;
	s->newest = place;
	s->number++;
	return 0;
}

/* The document in one file, with its number and origin (borrowed). NULL: none that is whole. */
static json_t *read_one(int fd, json_int_t *number, const char **origin)
{
	json_t *kept, *config;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return NULL;
	kept = json_loadfd(fd, JSON_REJECT_DUPLICATES, NULL);
	if (kept &&
	    json_unpack(kept, "{s:I, s:s, s:o}", "number", number, "origin", origin, "config",
			&config) == 0 &&
	    *number > 0 && json_is_object(config))
		return kept;
	json_decref(kept);
	return NULL;
}

json_t *state_load(struct state *s, const char origin[STATE_ORIGIN_BYTES], bool *changed)
{
	json_t *newest = NULL, *config = NULL;
	const char *applied_to = "";

	*changed = false;
	memcpy(s->origin, origin, sizeof(s->origin));
	for (unsigned i = 0; i < FILES; i++) {
		json_int_t number;
		const char *to;
		json_t *kept = read_one(s->fds[i], &number, &to);

		if (!kept || (uint64_t)number <= s->number) {
			json_decref(kept);
			continue;
		}
		json_decref(newest);
		newest = kept;
		applied_to = to;
		s->number = (uint64_t)number;
		s->newest = i;
	}
	if (newest && strcmp(applied_to, origin) == 0)
		config = json_incref(json_object_get(newest, "config"));
	else
		*changed = newest != NULL;
	json_decref(newest);
	return config;
}

/* ---- what the agent starts with ---- */

/* Of what the file says, not of how it is written. False without memory. */
static bool origin_of(const json_t *document, char out[STATE_ORIGIN_BYTES])
{
	char *text = json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS);
	uint8_t digest[SHA256_DIGEST_LENGTH];

	if (!text)
		return false;
	SHA256((const uint8_t *)text, strlen(text), digest);
	free(text);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
	return true;
}

static void use_applied(struct state *s, const char *path, struct agent_config *config,
			json_t **document)
{
	struct conf_errors errors = {.file = "what was applied last"};
	char origin[STATE_ORIGIN_BYTES];
	struct agent_config other;
	bool changed = false;
	json_t *applied = origin_of(*document, origin) ? state_load(s, origin, &changed) : NULL;
	struct conf_node *root = applied ? conf_from_json(applied, &errors) : NULL;

	if (root && agent_config_bind(root, &other, &errors)) {
		log_notice("agent", "starting with what was applied last, until %s is edited",
			   path);
		agent_config_free(config);
		*config = other;
		json_decref(*document);
		*document = json_incref(applied);
	} else if (applied) {
		log_error("agent", "starting with %s: %s", path, errors.text ? errors.text : "");
	} else if (changed) {
		log_notice("agent", "%s was edited after the last change: starting with it", path);
	}
	conf_node_free(root);
	conf_errors_free(&errors);
	json_decref(applied);
}

bool agent_load(const char *path, struct agent_config *config, json_t **document,
		struct state **state, struct conf_errors *errors)
{
	struct conf_node *root;
	char why[512];

	errors->file = path;
	*state = NULL;
	*document = NULL;
	root = conf_load(path, errors);
	if (!root)
		return false;
	if (!agent_config_bind(root, config, errors)) {
		conf_node_free(root);
		return false;
	}
	*document = conf_document(agent_config_fields(), root);
	conf_node_free(root);
	if (!*document)
		conf_error(errors, NULL, "", "out of memory");
	else if (config->state_dir && !(*state = state_open(config->state_dir, why, sizeof(why))))
		conf_error(errors, NULL, "", "%s", why);
	else if (config->state_dir)
		use_applied(*state, path, config, document);
	if (errors->count == 0)
		return true;
	json_decref(*document);
	*document = NULL;
	agent_config_free(config);
	return false;
}
