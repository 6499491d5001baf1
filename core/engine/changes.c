/* SPDX-License-Identifier: Apache-2.0 */
/* changes: the document in force, the one before while a trial runs, and what there was before. */
#include "core/engine/changes.h"

#include <stdio.h>

#include "core/conf/diff.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/utc.h"

/* What the history keeps of one change: enough to see what happened, and bounded. A value takes up
 * to 22 times the memory of its JSON, and all that is kept goes into one answer. */
#define KEPT_ENTRIES	 100u
#define KEPT_BYTES	 1024u	/* of one value */
#define KEPT_BYTES_WHOLE 32768u /* of all values of one change */
#define KEPT_NOTE	 512u

/* One revision. What is said of it besides its state never changes. */
struct entry {
	json_t *record;
	const char *state; /* "in force" and the like; apart, since it must change without memory */
};

struct changes {
	const struct conf_field *fields;
	json_t *document; /* in force */
	json_t *before;	  /* to go back to; NULL: settled */
	/* What was compared with it last: a call that commits a document also tells what it
	 * changes, and with ten thousand rules that takes a while. Of no call that is over. */
	json_t *compared, *difference;
	uint64_t due_ms;
	uint64_t revision;
	struct entry history[CHANGES_HISTORY_MAX]; /* revision r stands in r modulo the size */
};

static struct entry *entry_of(struct changes *ch, uint64_t revision)
{
	return &ch->history[revision % CHANGES_HISTORY_MAX];
}

/* ---- what the history keeps ----------------------------------------------------------------- */

static json_t *time_text(time_t wall)
{
	char text[UTC_TEXT_BYTES];

	return json_string(utc_text(wall, text));
}

static json_t *bounded_text(const char *text)
{
	char shown[KEPT_NOTE];

	log_escape(text, shown, sizeof(shown));
	return json_string(shown);
}

/* value, or its size where it is large; NULL without memory. *left is reduced by what it takes. */
static json_t *bounded_value(json_t *value, size_t *left)
{
	size_t size = json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);

	if (size == 0) /* no value has none: it was refused memory */
		return NULL;
	if (size > KEPT_BYTES || size > *left)
		return json_sprintf("(%zu bytes)", size);
	*left -= size;
	return json_incref(value);
}

/* What the history keeps of an entry of a difference; NULL without memory. */
static json_t *bounded_entry(const json_t *entry, size_t *left)
{
	json_t *from = bounded_value(json_object_get(entry, "from"), left);
	json_t *to = bounded_value(json_object_get(entry, "to"), left);

	return json_pack("{s:O, s:o, s:o}", "path", json_object_get(entry, "path"), "from", from,
			 "to", to);
}

/* Takes diff over. NULL without memory, also in. */
static json_t *bounded_diff(json_t *diff)
{
	json_t *kept = diff ? json_array() : NULL, *entry;
	size_t i, left = KEPT_BYTES_WHOLE;
	bool ok = kept;

	json_array_foreach(diff, i, entry)
	{
		if (i == KEPT_ENTRIES) {
			ok = json_array_append_new(
				     kept, json_pack("{s:o, s:n, s:n}", "path",
						     json_sprintf("(%zu more)",
								  json_array_size(diff) - i),
						     "from", "to")) == 0 &&
			     ok;
			break;
		}
		ok = json_array_append_new(kept, bounded_entry(entry, &left)) == 0 && ok;
	}
	json_decref(diff);
	if (ok)
		return kept;
	json_decref(kept);
	return NULL;
}

/* Takes diff over. NULL without memory, also in. */
static json_t *entry_new(uint64_t revision, time_t wall, const char *who, const char *note,
			 json_t *diff)
{
	return json_pack("{s:I, s:o, s:o, s:o, s:n, s:o}", "revision", (json_int_t)revision, "at",
			 time_text(wall), "who", bounded_text(who), "note", bounded_text(note),
			 "state", "diff", diff);
}

/* NULL without memory. */
static json_t *entry_shown(const struct entry *e)
{
	json_t *shown = json_copy(e->record);

	if (!shown || json_object_set_new(shown, "state", json_string(e->state)) == 0)
		return shown;
	json_decref(shown);
	return NULL;
}

void changes_forget_difference(struct changes *ch)
{
	json_decref(ch->compared);
	json_decref(ch->difference);
	ch->compared = ch->difference = NULL;
}

/* ---- revisions ------------------------------------------------------------------------------ */

struct changes *changes_new(const struct conf_field *fields, const json_t *document, time_t wall)
{
	struct changes *ch = memory_zeroed(sizeof(*ch));

	if (!ch)
		return NULL;
	ch->fields = fields;
	ch->revision = 1;
	ch->due_ms = UINT64_MAX;
	ch->document = json_deep_copy(document);
	*entry_of(ch, 1) =
		(struct entry){entry_new(1, wall, "start", "", json_array()), "in force"};
	if (ch->document && entry_of(ch, 1)->record)
		return ch;
	changes_free(ch);
	return NULL;
}

void changes_free(struct changes *ch)
{
	if (!ch)
		return;
	json_decref(ch->document);
	json_decref(ch->before);
	changes_forget_difference(ch);
	for (size_t i = 0; i < CHANGES_HISTORY_MAX; i++)
		json_decref(ch->history[i].record);
	memory_free(ch);
}

uint64_t changes_revision(const struct changes *ch)
{
	return ch->revision;
}

const json_t *changes_document(const struct changes *ch)
{
	return ch->document;
}

uint64_t changes_due(const struct changes *ch)
{
	return ch->due_ms;
}

enum changes_verdict changes_may(const struct changes *ch, uint64_t from_revision,
				 const json_t *document)
{
	if (ch->before)
		return CHANGES_BUSY;
	if (from_revision != 0 && from_revision != ch->revision)
		return CHANGES_STALE;
	return json_equal(document, ch->document) ? CHANGES_SAME : CHANGES_OK;
}

json_t *changes_prepare(struct changes *ch, const json_t *document, const char *who,
			const char *note, time_t wall)
{
	return entry_new(ch->revision + 1, wall, who, note,
			 bounded_diff(changes_diff(ch, document)));
}

/* From TRYING only back; see the picture in the header. */
static bool commit_fits(const struct changes *ch, const json_t *document, uint64_t confirm_ms)
{
	return !ch->before || (confirm_ms == 0 && json_equal(document, ch->before));
}

bool changes_commit(struct changes *ch, const json_t *document, json_t *record, uint64_t confirm_ms,
		    uint64_t now_ms)
{
	uint64_t next = ch->revision + 1;

	if (!record || !commit_fits(ch, document, confirm_ms)) {
		json_decref(record);
		return false;
	}
	changes_forget_difference(ch);
	json_incref((json_t *)document);
	entry_of(ch, ch->revision)->state = ch->before ? "rolled back" : "replaced";
	json_decref(ch->before);
	ch->before = NULL;
	ch->due_ms = UINT64_MAX;
	if (confirm_ms > 0) {
		ch->before = ch->document;
		ch->due_ms =
			confirm_ms < UINT64_MAX - now_ms ? now_ms + confirm_ms : UINT64_MAX - 1;
	} else {
		json_decref(ch->document);
	}
	ch->document = (json_t *)document;
	ch->revision = next;
	json_decref(entry_of(ch, next)->record);
	*entry_of(ch, next) = (struct entry){record, confirm_ms > 0 ? "waiting" : "in force"};
	return true;
}

bool changes_confirm(struct changes *ch, const char *who, time_t wall)
{
	struct entry *entry = entry_of(ch, ch->revision);

	if (!ch->before)
		return false;
	json_decref(ch->before);
	ch->before = NULL;
	ch->due_ms = UINT64_MAX;
	entry->state = "in force";
	/* Without memory the history lacks who it was; the change holds all the same. */
	(void)!json_object_set_new(entry->record, "confirmed_by", bounded_text(who));
	(void)!json_object_set_new(entry->record, "confirmed_at", time_text(wall));
	return true;
}

const json_t *changes_rollback(const struct changes *ch)
{
	return ch->before;
}

json_t *changes_history(const struct changes *ch)
{
	json_t *list = json_array();
	uint64_t first =
		ch->revision > CHANGES_HISTORY_MAX ? ch->revision - CHANGES_HISTORY_MAX + 1 : 1;

	for (uint64_t r = ch->revision; list && r >= first; r--) {
		/* The state of an entry changes later; what was handed out must not. */
		if (json_array_append_new(list,
					  entry_shown(&ch->history[r % CHANGES_HISTORY_MAX]))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* ---- by the schema -------------------------------------------------------------------------- */

json_t *changes_diff(struct changes *ch, const json_t *to)
{
	if (ch->compared != to) {
		changes_forget_difference(ch);
		ch->difference = conf_diff(ch->fields, ch->document, to);
		ch->compared = ch->difference ? json_incref((json_t *)to) : NULL;
	}
	return json_incref(ch->difference);
}

json_t *changes_hide(const struct changes *ch)
{
	return conf_hide(ch->fields, ch->document);
}

json_t *changes_reveal(const struct changes *ch, const json_t *document)
{
	return conf_reveal(ch->fields, document, ch->document);
}
