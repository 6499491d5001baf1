/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change: puts another document in force, whole or not at all.
 *
 * Everything that can fail comes first: the document is bound and checked, a snapshot is made, and
 * the keeper opens the listeners that are new. Only then the workers are told, and from there on
 * nothing fails. A trial that is not confirmed puts the old document back the same way.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/conf_json.h"
#include "core/log.h"
#include "relay/control_internal.h"
#include "relay/load.h"
#include "relay/worker.h"

#define ROLL_BACK_AGAIN_MS 5000u

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

static void save(struct control *ctl, const json_t *document)
{
	if (!ctl->current->config.state_dir)
		return;
	char *text = json_dumps(document, JSON_INDENT(2));
	int error = text ? keeper_save(ctl->keeper, STATE_NAME, text, strlen(text)) : -ENOMEM;

	free(text);
	if (error < 0)
		log_error("control", "cannot save the applied configuration in %s: %s",
			  ctl->current->config.state_dir, strerror(-error));
}

static void adopt(struct control *ctl, struct snapshot *next)
{
	log_set_level((enum log_level)next->config.log_level);
	snapshot_release(ctl->current);
	ctl->current = next;
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
		save(ctl, changes_document(ctl->changes));
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
	save(ctl, changes_document(ctl->changes));
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
	struct control *ctl = (struct control *)((char *)t - offsetof(struct control, trial));
	char why[256];

	log_warning("control", "nobody confirmed the new configuration: going back");
	if (control_roll_back(ctl, "time", why, sizeof why))
		return;
	log_error("control", "cannot go back to the old configuration: %s", why);
	ring_timer_set(ctl->ring, t, ROLL_BACK_AGAIN_MS);
}

/* ---- SIGHUP ---- */

static json_t *read_file(struct control *ctl, struct conf_errors *errors)
{
	char *text = NULL;
	size_t len = 0;
	int error = keeper_read_config(ctl->keeper, &text, &len);

	if (error < 0) {
		log_error("control", "cannot read the configuration file: %s", strerror(-error));
		return NULL;
	}
	struct conf_node *root = conf_parse(text, len, errors);
	json_t *document = root ? conf_document(relay_config_fields(), root) : NULL;

	conf_node_free(root);
	free(text);
	return document;
}

void control_reload(struct control *ctl)
{
	struct conf_errors errors = {.file = "configuration file"};
	char why[256] = "";
	json_t *document = read_file(ctl, &errors);
	struct snapshot *s = NULL;

	if (document && changes_may(ctl->changes, 0, document) == CHANGES_BUSY)
		log_error("control", "a change waits for its confirmation: not reloading now");
	else if (document)
		s = control_snapshot(ctl, document, &errors, why, sizeof why);
	if (s && !control_apply(ctl, s, document, "SIGHUP", "file read again", 0, why, sizeof why))
		log_error("control", "the configuration file is not in force: %s", why);
	else if (!s && errors.text)
		log_error("control", "the configuration file is not in force: %s", errors.text);
	conf_errors_free(&errors);
	json_decref(document);
}
