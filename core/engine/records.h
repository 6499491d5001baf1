/* SPDX-License-Identifier: Apache-2.0 */
/* records: a bounded history of numbered, time-stamped JSON objects, and the methods that list it.
 */
#ifndef POSTERN_ENGINE_RECORDS_H
#define POSTERN_ENGINE_RECORDS_H

#include <jansson.h>
#include <stdint.h>
#include <time.h>

#include "core/engine/calls.h"
#include "core/must_check.h"

#define RECORDS_KEPT 1000u

/* RFC 3339, with milliseconds. */
json_t *records_time(struct timespec now);

struct records {
	json_t *kept[RECORDS_KEPT]; /* ring; NULL where none yet */
	uint64_t count;		    /* ever added; the number of the newest */
};

/* Gives record (borrowed) its "number" and "at", and keeps it in place of the oldest. False without
 * memory, also in (NULL): nothing is kept. */
bool records_add(struct records *r, json_t *record, struct timespec now) MUST_CHECK;
void records_free(struct records *r);

/* ---- for callers ---------------------------------------------------------------------------- */

/* What a method that lists records takes. */
extern const struct method_param records_params[];

/* Answers {name: [...]} with the records that the call asks for. follows, a flag of the caller's,
 * is raised when it wants those to come, too. */
void records_answer(struct call *c, const struct records *r, const char *name, bool *follows);

/* Keeps an event, with its kind, and sends it to all that follow events. data stays the caller's;
 * it has number and time, too, after that. False without memory: it is neither
 * kept nor sent. */
bool records_tell_event(struct records *r, struct calls *cs, const char *kind, json_t *data,
			struct timespec now) MUST_CHECK;

#endif
