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

#endif
