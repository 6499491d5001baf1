/* SPDX-License-Identifier: Apache-2.0 */
/* expiring: tells in time that a program's own certificate ends: in its log and to its manager. */
#ifndef POSTERN_PROGRAM_EXPIRING_H
#define POSTERN_PROGRAM_EXPIRING_H

#include <jansson.h>

#include "core/engine/expiry.h"

/* Looks, for the program of this area of the log; the remedy is what a person can do. Returns what
 * the event "certificate.expiring" says, where one is due (the caller's), else NULL. */
json_t *expiring_look(struct expiry *e, const struct expiry_validity *v, const char *area,
		      const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
