/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relays: one change at every relay that a console knows.
 *
 * Relays share nothing, so all of them are changed, one after the other, unless --at names one: a
 * revocation that one relay did not hear of would be none there.
 */
#ifndef POSTERN_CTL_CHANGE_RELAYS_H
#define POSTERN_CTL_CHANGE_RELAYS_H

#include <jansson.h>

#include "ctl/talk/connection.h"
#include "ctl/terminal/units.h"

struct relays_change {
	const char *method;
	json_t *params;
	const char *done; /* what to say, behind "RELAY: " where there are several */
	/* Looks at the relay before: the params for it, owned; NULL: it has told why there are
	 * none. Or is NULL: params are for all. */
	json_t *(*prepare)(const struct arguments *a, struct connection *conn,
			   const struct relays_change *c);
};

/* Takes c->params over. */
enum status relays_change(const struct arguments *a, const struct relays_change *c) MUST_CHECK;

/* Sets the option's key as the relay reads it; shown gets it in local time. past: it may have been.
 */
bool relays_take_moment(const struct arguments *a, const char *option, bool past, json_t *params,
			char shown[UNITS_MOMENT_BYTES]) MUST_CHECK;
void relays_take_text(const struct arguments *a, const char *option, json_t *params);

#endif
