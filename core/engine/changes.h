/* SPDX-License-Identifier: Apache-2.0 */
/*
 * changes: revisions, confirmation and roll-back of configurations. No I/O; now is a parameter.
 *
 *   SETTLED ──apply──► SETTLED         revision + 1
 *   SETTLED ──apply, to be confirmed──► TRYING
 *   TRYING ──confirm──► SETTLED
 *   TRYING ──time is up, or rollback──► SETTLED, the old document, a revision of its own
 *   TRYING ──apply──► refused: BUSY
 *
 * A document is the JSON form of a configuration, secrets included; a change says which revision it
 * was made from, so that two consoles cannot overwrite each other unknowingly.
 *
 * Of each change the history keeps what differed, secrets hidden and large values as their size, so
 * that its memory is bounded, for any document.
 */
#ifndef POSTERN_ENGINE_CHANGES_H
#define POSTERN_ENGINE_CHANGES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "core/conf/conf.h"

#define CHANGES_HISTORY_MAX 50u

struct changes;

/* Starts settled at revision 1 with document (borrowed: copied), which fields bind. NULL without
 * memory. */
struct changes *changes_new(const struct conf_field *fields, const json_t *document,
			    time_t wall) MUST_CHECK;
void changes_free(struct changes *ch);

uint64_t changes_revision(const struct changes *ch);
const json_t *changes_document(const struct changes *ch);
/* When the trial ends, on the clock of now_ms; UINT64_MAX: settled. */
uint64_t changes_due(const struct changes *ch);

enum changes_verdict { CHANGES_OK, CHANGES_STALE, CHANGES_BUSY, CHANGES_SAME };

/* May a change made from this revision (0: the one in force) begin? */
enum changes_verdict changes_may(const struct changes *ch, uint64_t from_revision,
				 const json_t *document);
/* What the history is to say of this change, owned by the caller: all that a commit needs memory
 * for, before anything has changed. NULL without memory. */
json_t *changes_prepare(struct changes *ch, const json_t *document, const char *who,
			const char *note, time_t wall) MUST_CHECK;
/* It has been applied: becomes the revision in force, which keeps a reference, so that it must not
 * be changed any more. Takes record over, which changes_prepare() has made of it (NULL fails).
 * confirm_ms 0: for good. False while TRYING for anything but the document to go back to. */
bool changes_commit(struct changes *ch, const json_t *document, json_t *record, uint64_t confirm_ms,
		    uint64_t now_ms) MUST_CHECK;
/* False when nothing waits. */
bool changes_confirm(struct changes *ch, const char *who, time_t wall) MUST_CHECK;
/* The document to go back to, while TRYING; NULL otherwise. Commit it with confirm_ms 0. */
const json_t *changes_rollback(const struct changes *ch);

/* From what is in force to another document: [{path, from, to}], secrets shown as "(hidden)"; see
 * conf_diff() in core/conf/diff.h. to is kept, and must not be changed any more, until it is
 * committed, which reuses the answer, or changes_forget_difference(). */
json_t *changes_diff(struct changes *ch, const json_t *to) MUST_CHECK;
/* Lets go of the last answer and of its document. */
void changes_forget_difference(struct changes *ch);
/* [{revision, at, who, note, state, diff}] newest first; confirmed_by and confirmed_at of a
 * trial that was confirmed. state: "in force", "waiting", "replaced", "rolled back". */
json_t *changes_history(const struct changes *ch) MUST_CHECK;

/* What is in force with every secret replaced by "(hidden)"; and another document with each such
 * mark replaced by the secret in force. Not to be changed: see core/conf/diff.h. */
json_t *changes_hide(const struct changes *ch) MUST_CHECK;
json_t *changes_reveal(const struct changes *ch, const json_t *document) MUST_CHECK;

#endif
