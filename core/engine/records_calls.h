/* SPDX-License-Identifier: Apache-2.0 */
/* records_calls: the methods that list a history and let their caller follow it; and its events. */
#ifndef POSTERN_ENGINE_RECORDS_CALLS_H
#define POSTERN_ENGINE_RECORDS_CALLS_H

#include "core/engine/calls.h"
#include "core/engine/records.h"

/* What such a method takes. */
extern const struct method_param records_params[];

/* Answers {name: [...]} with the records that the call asks for. follows, a flag of the caller's,
 * is raised when it wants those to come, too. */
void records_answer(struct call *c, const struct records *r, const char *name, bool *follows);

/* Keeps an event, with its kind, and sends it to all that follow events. data stays the caller's;
 * it has number and time, too, after that. */
void records_tell_event(struct records *r, struct calls *cs, const char *kind, json_t *data,
			struct timespec now);

#endif
