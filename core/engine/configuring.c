/* SPDX-License-Identifier: Apache-2.0 */
/* configuring: file and consoles' changes together, trials, and what is kept. */
#include "core/engine/configuring.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/conf/json.h"
#include "core/conf/merge.h"
#include "core/log.h"

/* ---- what is kept ---- */

static void configuring_keep(struct configuring *c)
{
	json_t *kept;
	int error;

	if (!c->keeps || c->spares)
		return;
	kept = json_pack("{s:O, s:O}", "file", c->file, "config", changes_document(c->changes));
	error = kept ? c->ops->keep(c, kept) : -ENOMEM;
	json_decref(kept);
	c->kept = error == 0;
	c->keep_error = error;
	if (c->kept)
		return;
	log_error(c->ops->area,
		  "the applied configuration is not kept for the next start: %s; state_dir must "
		  "belong "
		  "to the user that starts this program, and have room",
		  strerror(-error));
	c->ops->event(c, "config.unsaved", json_pack("{s:s}", "text", strerror(-error)));
}

void configuring_keep_again(struct configuring *c)
{
	if (c->keep_error && !changes_rollback(c->changes))
		configuring_keep(c);
}

const char *configuring_unsaved(const struct configuring *c)
{
	return c->keep_error ? strerror(-c->keep_error) : NULL;
}

/* The two documents of what configuring_keep() was given, borrowed; false: it is none. */
static bool kept_parts(const json_t *kept, json_t **file, json_t **config)
{
	*file = json_object_get(kept, "file");
	*config = json_object_get(kept, "config");
	return json_is_object(*file) && json_is_object(*config);
}

/* ---- the start ---- */

bool configuring_begin(const struct conf_field *fields, const json_t *file, const json_t *kept,
		       struct configuring_start *out)
{
	json_t *base, *ours;

	*out = (struct configuring_start){.overruled = json_array()};
	out->file = json_incref((json_t *)(uintptr_t)file);
	if (kept && kept_parts(kept, &base, &ours)) {
		out->document = conf_merge(fields, base, ours, file, out->overruled);
		out->merged = out->document && !json_equal(out->document, file);
	} else {
		out->document = json_incref(out->file);
		out->spares = kept != NULL;
	}
	if (out->overruled && out->document)
		return true;
	configuring_start_free(out);
	return false;
}

bool configuring_begin_bound(const struct conf_field *fields, const json_t *file,
			     const json_t *kept, configuring_bind_fn *bind, void *config,
			     const char *area, const char *path, struct configuring_start *out)
{
	struct conf_errors errors = {.file = "configuration file and consoles' changes together"};
	bool ok = configuring_begin(fields, file, kept, out);
	struct conf_node *root = ok && out->merged ? conf_from_json(out->document, &errors) : NULL;

	if (root && bind(root, config, &errors)) {
		/* As documents are kept today; an older program, or a hand, may have written it. */
		json_t *tidy = conf_document(fields, root);

		json_decref(out->document);
		out->document = tidy;
		ok = tidy != NULL;
		log_notice(area, "starting with %s and what consoles changed (state_dir)", path);
		log_lines(LOG_LEVEL_WARNING, "config", errors.warnings.text);
	} else if (ok && out->merged) {
		log_error(
			area,
			"what consoles changed does not go with %s any more; starting with it "
			"alone. It stays in state_dir until a console changes something: mend the "
			"file and start again to have it back",
			path);
		log_lines(LOG_LEVEL_ERROR, "config", errors.text);
		configuring_start_free(out);
		ok = configuring_begin(fields, file, NULL, out);
		out->spares = ok;
	} else if (ok && out->spares) {
		log_error(area,
			  "what is kept in state_dir is damaged, or of another version; starting "
			  "with %s alone. It stays there until a console changes something",
			  path);
	}
	conf_node_free(root);
	conf_errors_free(&errors);
	return ok;
}

void configuring_start_free(struct configuring_start *s)
{
	json_decref(s->document);
	json_decref(s->file);
	json_decref(s->overruled);
	*s = (struct configuring_start){.document = NULL};
}

static void tell_overruled(struct configuring *c, const json_t *paths)
{
	size_t count = json_array_size(paths);

	for (size_t i = 0; i < count && i < CONFIGURING_LISTED_MAX; i++) {
		const char *path = json_string_value(json_array_get(paths, i));

		log_warning(c->ops->area,
			    "%s: a console had changed this too; what the file says counts", path);
		c->ops->event(c, "config.overruled", json_pack("{s:s}", "path", path));
	}
	if (count > CONFIGURING_LISTED_MAX)
		log_warning(c->ops->area, "and so in %zu more places; see the history",
			    count - CONFIGURING_LISTED_MAX);
}

bool configuring_open(struct configuring *c, const struct configuring_ops *ops,
		      const struct conf_field *fields, const struct configuring_start *s,
		      bool keeps)
{
	*c = (struct configuring){.ops = ops, .fields = fields, .keeps = keeps};
	c->changes = changes_new(fields, s->document, ops->now(c).wall);
	if (!c->changes)
		return false;
	c->file = json_incref(s->file);
	c->spares = keeps && s->spares;
	if (c->spares)
		ops->event(c, "config.unsaved",
			   json_pack("{s:s}", "text",
				     "what consoles had changed is not in force; it stays in "
				     "state_dir until a console changes something"));
	configuring_keep(c);
	tell_overruled(c, s->overruled);
	return true;
}

void configuring_close(struct configuring *c)
{
	changes_free(c->changes);
	json_decref(c->file);
	*c = (struct configuring){.ops = NULL};
}

/* ---- changes ---- */

bool configuring_apply(struct configuring *c, void *proposal, const struct config_change *change,
		       char why[CONFIGURING_WHY_BYTES])
{
	bool trial = change->confirm_ms > 0;
	struct configuring_now now = c->ops->now(c);
	json_t *record =
		changes_prepare(c->changes, change->document, change->who, change->note, now.wall);
	json_int_t revision;

	/* From here on nothing but enforce() may fail: what is in force is what is in the history.
	 */
	if (!record) {
		snprintf(why, CONFIGURING_WHY_BYTES, "%s", JSONRPC_NO_MEMORY);
		c->ops->drop(proposal);
		return false;
	}
	if (!c->ops->enforce(c, proposal, why)) {
		json_decref(record);
		return false;
	}
	if (!changes_commit(c->changes, change->document, record, change->confirm_ms, now.ms))
		log_error(c->ops->area, "the history lacks this change: it came amid a trial");
	c->ops->set_trial(c, change->confirm_ms);
	if (!trial) {
		c->spares = c->spares && change->derived;
		configuring_keep(c);
	}
	revision = (json_int_t)changes_revision(c->changes);
	log_notice(c->ops->area, "configuration revision=%" JSON_INTEGER_FORMAT " by %s%s",
		   revision, change->who, trial ? ", waiting to be confirmed" : "");
	c->ops->event(c, "config.applied",
		      json_pack("{s:I, s:s, s:b}", "revision", revision, "who", change->who,
				"unconfirmed", trial));
	return true;
}

bool configuring_confirm(struct configuring *c, const char *who)
{
	if (!changes_confirm(c->changes, who, c->ops->now(c).wall))
		return false;
	c->ops->set_trial(c, 0);
	c->spares = false;
	configuring_keep(c);
	c->ops->event(c, "config.confirmed",
		      json_pack("{s:I, s:s}", "revision", (json_int_t)changes_revision(c->changes),
				"who", who));
	return true;
}

bool configuring_roll_back(struct configuring *c, const char *who, char why[CONFIGURING_WHY_BYTES])
{
	const json_t *old = changes_rollback(c->changes);
	struct conf_errors errors = {0};
	void *p = NULL;
	bool ok;

	if (!old) {
		snprintf(why, CONFIGURING_WHY_BYTES, "nothing waits for a confirmation");
		return false;
	}
	snprintf(why, CONFIGURING_WHY_BYTES, "%s", JSONRPC_NO_MEMORY);
	if (c->ops->go_back)
		c->ops->go_back(c);
	json_t *document = json_deep_copy(old);
	const struct config_change change = {document, who, "rolled back", 0, true};
	if (document)
		p = c->ops->propose(c, document, &errors, why);
	if (!p && errors.count > 0)
		snprintf(why, CONFIGURING_WHY_BYTES, "%s", errors.text ? errors.text : "");
	ok = p && configuring_apply(c, p, &change, why);
	conf_errors_free(&errors);
	json_decref(document);
	return ok;
}

/* A port of the old configuration may be another program's by now, for a while. */
void configuring_trial_over(struct configuring *c)
{
	char why[CONFIGURING_WHY_BYTES];

	log_warning(c->ops->area, "the new configuration was not confirmed: going back");
	if (configuring_roll_back(c, "time", why))
		return;
	log_error(c->ops->area, "cannot go back to the old configuration: %s", why);
	c->ops->set_trial(c, CONFIGURING_AGAIN_MS);
}

/* ---- SIGHUP ---- */

static void tell_restart(struct configuring *c, json_t *keys)
{
	json_t *key;
	size_t i;

	json_array_foreach(keys, i, key) log_warning(
		c->ops->area, "%s changes only with the next start", json_string_value(key));
}

/* Puts file and consoles' changes together in force. False: the log tells. */
static bool apply_merged(struct configuring *c, const json_t *merged)
{
	const struct config_change change = {merged, "SIGHUP", "file read again", 0, true};
	struct conf_errors errors = {.file = "configuration file and consoles' changes together"};
	char why[CONFIGURING_WHY_BYTES] = JSONRPC_NO_MEMORY;
	void *p = c->ops->propose(c, merged, &errors, why);
	json_t *keys = p ? c->ops->restart(c, p) : NULL;
	bool ok = p && configuring_apply(c, p, &change, why);

	if (ok)
		tell_restart(c, keys);
	else
		log_error(c->ops->area, "the configuration file is not in force: %s",
			  errors.count > 0 ? "it does not go with what consoles changed" : why);
	log_lines(LOG_LEVEL_WARNING, "config", errors.warnings.text);
	log_lines(LOG_LEVEL_ERROR, "config", errors.text);
	json_decref(keys);
	conf_errors_free(&errors);
	return ok;
}

bool configuring_may_reread(const struct configuring *c)
{
	if (!changes_rollback(c->changes))
		return true;
	log_error(c->ops->area, "a change waits for its confirmation: not reloading now");
	return false;
}

void configuring_reread(struct configuring *c, json_t *file)
{
	json_t *before = c->file, *overruled, *merged;

	if (!file)
		return;
	overruled = json_array();
	merged = overruled ? conf_merge(c->fields, before, changes_document(c->changes), file,
					overruled)
			   : NULL;
	c->file = file; /* which configuring_keep() keeps */
	if (!merged) {
		log_error(c->ops->area, "the configuration file is not in force: out of memory");
		c->file = before;
		before = file;
	} else if (changes_may(c->changes, 0, merged) == CHANGES_SAME) {
		log_notice(c->ops->area, "the configuration file has been read again: nothing new");
		if (!c->kept || !json_equal(before, file))
			configuring_keep(c);
	} else if (apply_merged(c, merged)) {
		tell_overruled(c, overruled);
	} else {
		c->file = before;
		before = file;
	}
	json_decref(before);
	json_decref(merged);
	json_decref(overruled);
}
