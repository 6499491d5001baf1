/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change: puts another document in force, whole or not at all.
 *
 * Everything that can fail comes first: the document is bound and checked, a snapshot is made, and
 * the keeper opens the listeners that are new. Only then the workers are told, and from there on
 * nothing fails. A trial that is not confirmed puts the old document back the same way.
 *
 * SIGHUP applies what has changed in the file since it was last read; what consoles have changed
 * meanwhile stays, except where the file changed the same thing (core/conf/merge.h). Which text of
 * the file is the last one read survives a restart beside the document in force.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/conf/json.h"
#include "core/conf/merge.h"
#include "core/container.h"
#include "core/log.h"
#include "relay/control/control_internal.h"
#include "relay/config/load.h"
#include "relay/worker.h"

#define ROLL_BACK_AGAIN_MS 5000u
#define OVERRULED_TOLD_MAX 20u /* lines and events of one SIGHUP */

/* ---- doors ---- */

static void close_all(int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static int open_door(struct control *ctl, const struct door *door, int *fd)
{
	if (door->kind == DOOR_UDP)
		return keeper_bind_udp(ctl->keeper, &door->address, fd);
	return keeper_listen(ctl->keeper, &door->address, fd);
}

/* A socket for each worker and each door that is not served yet; fds is workers x doors. */
static bool open_doors(struct control *ctl, const struct doors *next, int *fds, char *why,
		       size_t why_size)
{
	unsigned workers = ctl->relay->worker_count;

	for (size_t i = 0; i < workers * next->count; i++)
		fds[i] = -1;
	for (size_t d = 0; d < next->count; d++) {
		const struct door *door = &next->items[d];

		if (doors_find(&ctl->current->doors, door->kind == DOOR_UDP, &door->address))
			continue;
		for (unsigned w = 0; w < workers; w++) {
			int error = open_door(ctl, door, &fds[w * next->count + d]);

			if (error == 0)
				continue;
			door_complain(door, -error, why, why_size);
			close_all(fds, workers * next->count);
			return false;
		}
	}
	return true;
}

bool control_switch(struct control *ctl, struct snapshot *next, char *why, size_t why_size)
{
	struct relay *r = ctl->relay;
	size_t doors = next->doors.count;
	int *fds = calloc(r->worker_count * doors, sizeof *fds);

	snprintf(why, why_size, "out of memory");
	if (!fds || !open_doors(ctl, &next->doors, fds, why, why_size)) {
		free(fds);
		return false;
	}
	if (!relay_adopt_limits(r, &next->config)) {
		close_all(fds, r->worker_count * doors);
		free(fds);
		return false;
	}
	for (unsigned w = 0; w < r->worker_count; w++)
		if (!tell_switch(&r->workers[w], next, fds + w * doors, doors))
			log_error("control", "out of memory: thread %u keeps the old configuration",
				  w);
	free(fds);
	return true;
}

/* ---- documents ---- */

struct snapshot *control_snapshot(struct control *ctl, const json_t *document,
				  struct conf_errors *errors, char *why, size_t why_size)
{
	struct relay_config config;
	struct conf_node *root = conf_from_json(document, errors);
	bool bound = root && relay_config_bind(root, &config, errors);

	conf_node_free(root);
	why[0] = '\0';
	if (!bound)
		return NULL;
	return snapshot_new(&config, changes_revision(ctl->changes) + 1, why, why_size);
}

/* False where it could not be kept. */
static bool save_one(struct control *ctl, const char *name, const json_t *document)
{
	char *text = json_dumps(document, JSON_INDENT(2));
	int error = text ? keeper_save(ctl->keeper, name, text, strlen(text)) : -ENOMEM;

	free(text);
	if (error < 0)
		log_error("control", "cannot save the applied configuration in %s: %s",
			  ctl->state_dir, strerror(-error));
	return error == 0;
}

/* The document first: a file that looks older than it is changes nothing when it is read again. */
static void save(struct control *ctl)
{
	if (!ctl->state_dir)
		return;
	if (save_one(ctl, STATE_NAME, changes_document(ctl->changes)) && !ctl->file_saved)
		ctl->file_saved = save_one(ctl, STATE_FILE_NAME, ctl->file);
}

static void adopt(struct control *ctl, struct snapshot *next)
{
	log_set_level((enum log_level)next->config.log_level);
	snapshot_release(ctl->current);
	ctl->current = next;
	ring_timer_set(ctl->ring, &ctl->expiry_timer, 0);
}

bool control_apply(struct control *ctl, struct snapshot *next, const json_t *document,
		   const char *who, const char *note, uint64_t confirm_ms, char *why,
		   size_t why_size)
{
	if (!control_switch(ctl, next, why, why_size)) {
		snapshot_release(next);
		return false;
	}
	adopt(ctl, next);
	if (!changes_commit(ctl->changes, document, who, note, confirm_ms, ring_now_ms(ctl->ring),
			    time(NULL)))
		log_error("control", "out of memory: the history lacks this change");
	if (confirm_ms > 0)
		ring_timer_set(ctl->ring, &ctl->trial, confirm_ms);
	else
		save(ctl);
	log_notice("control", "configuration revision=%llu by %s%s",
		   (unsigned long long)changes_revision(ctl->changes), who,
		   confirm_ms > 0 ? ", waiting to be confirmed" : "");
	control_event(ctl, "config.applied",
		      json_pack("{s:I, s:s, s:b}", "revision",
				(json_int_t)changes_revision(ctl->changes), "who", who,
				"unconfirmed", confirm_ms > 0));
	return true;
}

void control_confirmed(struct control *ctl)
{
	ring_timer_cancel(ctl->ring, &ctl->trial);
	save(ctl);
}

bool control_roll_back(struct control *ctl, const char *who, char *why, size_t why_size)
{
	const json_t *old = changes_rollback(ctl->changes);
	struct conf_errors errors = {0};

	if (!old) {
		snprintf(why, why_size, "nothing waits for a confirmation");
		return false;
	}
	json_t *document = json_deep_copy(old);
	struct snapshot *s = control_snapshot(ctl, document, &errors, why, why_size);
	if (!s && errors.count > 0)
		snprintf(why, why_size, "%s", errors.text ? errors.text : "out of memory");
	bool ok = s && control_apply(ctl, s, document, who, "rolled back", 0, why, why_size);

	if (ok)
		ring_timer_cancel(ctl->ring, &ctl->trial);
	conf_errors_free(&errors);
	json_decref(document);
	return ok;
}

/* A port of the old configuration may be somebody else's by now, for a while. */
void control_trial_over(struct timer *t, uint64_t now_ms)
{
	struct control *ctl = container(t, struct control, trial);
	char why[256];

	log_warning("control", "nobody confirmed the new configuration: going back");
	if (control_roll_back(ctl, "time", why, sizeof why))
		return;
	log_error("control", "cannot go back to the old configuration: %s", why);
	ring_timer_set(ctl->ring, t, ROLL_BACK_AGAIN_MS);
}

/* ---- SIGHUP ---- */

static json_t *read_file(struct control *ctl)
{
	struct conf_errors errors = {.file = "configuration file"};
	json_t *document = NULL;
	char *text = NULL;
	size_t len = 0;
	int error = keeper_read_config(ctl->keeper, &text, &len);

	if (error == 0)
		document = load_document(text, len, &errors);
	load_log(LOG_LEVEL_WARNING, errors.warnings.text);
	if (!document)
		log_error("control", "the configuration file is not in force: %s",
			  error < 0 ? strerror(-error) : "it has errors");
	load_log(LOG_LEVEL_ERROR, errors.text);
	conf_errors_free(&errors);
	free(text);
	return document;
}

static void tell_overruled(struct control *ctl, const json_t *paths)
{
	for (size_t i = 0; i < json_array_size(paths) && i < OVERRULED_TOLD_MAX; i++) {
		const char *path = json_string_value(json_array_get(paths, i));

		log_warning("control",
			    "%s: a console had changed this too; what the file says counts", path);
		control_event(ctl, "config.overruled", json_pack("{s:s}", "path", path));
	}
	if (json_array_size(paths) > OVERRULED_TOLD_MAX)
		log_warning("control", "and so in %zu more places; see the history",
			    json_array_size(paths) - OVERRULED_TOLD_MAX);
}

static void tell_restart(json_t *keys)
{
	json_t *key;
	size_t i;

	json_array_foreach(keys, i, key) log_warning(
		"control", "%s changes only with the next start", json_string_value(key));
}

/* Puts what the file says now in force, beside what consoles changed. False: the log tells. */
static bool apply_file(struct control *ctl, const json_t *merged)
{
	struct conf_errors errors = {.file = "configuration file and consoles' changes together"};
	char why[256] = "out of memory";
	struct snapshot *s = NULL;
	json_t *keys = NULL;

	if (merged)
		s = control_snapshot(ctl, merged, &errors, why, sizeof why);
	if (s)
		keys = control_needs_restart(&ctl->current->config, &s->config);
	bool ok =
		s && control_apply(ctl, s, merged, "SIGHUP", "file read again", 0, why, sizeof why);
	if (ok)
		tell_restart(keys);
	else
		log_error("control", "the configuration file is not in force: %s",
			  errors.count > 0 ? "it does not go with what consoles changed" : why);
	load_log(LOG_LEVEL_ERROR, errors.text);
	json_decref(keys);
	conf_errors_free(&errors);
	return ok;
}

/* Takes file over. */
static void reload(struct control *ctl, json_t *file)
{
	json_t *overruled = json_array(), *before = ctl->file;
	json_t *merged = conf_merge(relay_config_fields(), before, changes_document(ctl->changes),
				    file, overruled);
	bool same = merged && changes_may(ctl->changes, 0, merged) == CHANGES_SAME;

	ctl->file = file; /* which save() keeps */
	ctl->file_saved = ctl->file_saved && json_equal(before, file);
	if (same) {
		log_notice("control", "the configuration file says nothing new");
		save(ctl);
	} else if (apply_file(ctl, merged)) {
		tell_overruled(ctl, overruled);
	} else {
		ctl->file = before;
		before = file;
	}
	json_decref(before);
	json_decref(merged);
	json_decref(overruled);
}

void control_reload(struct control *ctl)
{
	json_t *file;

	if (changes_rollback(ctl->changes)) {
		log_error("control", "a change waits for its confirmation: not reloading now");
		return;
	}
	file = read_file(ctl);
	if (file)
		reload(ctl, file);
}
