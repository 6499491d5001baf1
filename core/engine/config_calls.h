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

struct config_change {
	const json_t *document; /* secrets put back */
	const char *who, *note;
	uint64_t confirm_ms;
};

/*
 * owner is that of struct calls. A proposal is another configuration, checked whole; what it points
 * to is the program's own.
 */
struct config_ops {
	/* document is borrowed. NULL: errors or why tell. */
	void *(*propose)(void *owner, const json_t *document, struct conf_errors *errors,
			 char why[CONFIG_WHY_BYTES]);
	void (*drop)(void *proposal);
	/* A clause, when the proposal would take away the caller's own way in; else NULL. */
	const char *(*cuts_off)(const void *owner, const struct caller *caller,
				const void *proposal);
	/* Names of keys that wait for the next start. */
	json_t *(*restart)(const void *owner, const void *proposal);
	/* Takes the proposal over, also on failure. False: nothing has changed, and why has a
	 * sentence. */
	bool (*apply)(void *owner, void *proposal, const struct config_change *change,
		      char why[CONFIG_WHY_BYTES]);
	/* False when nothing waits. */
	bool (*confirm)(void *owner, const char *who);
	/* Called while something waits. False: why has a sentence. */
	bool (*roll_back)(void *owner, const char *who, char why[CONFIG_WHY_BYTES]);
};

/* For struct calls whose config and changes are set. */
extern const struct method methods_of_config[];

#endif
