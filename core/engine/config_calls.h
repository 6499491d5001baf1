/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_calls: the methods config.*, the same for every program that can be reconfigured.
 *
 * What they do to a program's configuration is core/engine/configuring.h's.
 */
#ifndef POSTERN_ENGINE_CONFIG_CALLS_H
#define POSTERN_ENGINE_CONFIG_CALLS_H

#include "core/engine/calls.h"

#define CONFIG_CONFIRM_MS_MAX 3600000

/* For struct calls whose configuring is set. */
extern const struct method methods_of_config[];

/* For other methods that change the configuration: puts document, with its secrets, in force as
 * config.apply does, for good, and ends the call as it does. Takes it over; NULL: there was no
 * memory for it. Whether it is in force now, and the next start would find it. */
bool config_call_put(struct call *c, json_t *document, const char *note) MUST_CHECK;

#endif
