/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_calls: the methods config.*, the same for every program that can be reconfigured.
 *
 * What they do to a program's configuration, the program tells by a table of functions; which
 * document is in force, and what was before, is core/engine/changes.h's.
 */
#ifndef POSTERN_ENGINE_CONFIG_CALLS_H
#define POSTERN_ENGINE_CONFIG_CALLS_H

#include "core/engine/calls.h"
#include "core/engine/changes.h"

#define CONFIG_CONFIRM_MS_MAX 3600000
#define CONFIG_WHY_BYTES      512

/* Another configuration, checked whole; each program has its own. */
struct proposal;

struct config_change {
	const json_t *document; /* secrets put back */
	const char *who, *note;
	uint64_t confirm_ms;
};

struct config_ops {
	/* document is borrowed. NULL: errors or why tell. */
	struct proposal *(*propose)(struct control *ctl, const json_t *document,
				    struct conf_errors *errors, char why[CONFIG_WHY_BYTES]);
	void (*drop)(struct proposal *p);
	/* A clause, when p would take away the caller's own way in; else NULL. */
	const char *(*cuts_off)(const struct control *ctl, const struct caller *caller,
				const struct proposal *p);
	/* Names of keys that wait for the next start. */
	json_t *(*restart)(const struct control *ctl, const struct proposal *p);
	/* Takes p over, also on failure. False: nothing has changed, and why has a sentence. */
	bool (*apply)(struct control *ctl, struct proposal *p, const struct config_change *change,
		      char why[CONFIG_WHY_BYTES]);
	/* False when nothing waits. */
	bool (*confirm)(struct control *ctl, const char *who);
	/* Called while something waits. False: why has a sentence. */
	bool (*roll_back)(struct control *ctl, const char *who, char why[CONFIG_WHY_BYTES]);
};

/* For struct calls whose config and changes are set. */
extern const struct method methods_of_config[];

#endif
