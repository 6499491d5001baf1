/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console_config: a console's file: whose it is, and which relays it manages.
 *
 * Its keys are those of an agent's file that a console has a use for, and it is an agent_config
 * that comes out: a console reaches agents by the agent's own engine.
 */
#ifndef POSTERN_CTL_TALK_CONSOLE_CONFIG_H
#define POSTERN_CTL_TALK_CONSOLE_CONFIG_H

#include "agent/config/config.h"

/* False: errors tell, out is untouched. Free with agent_config_free(). */
bool console_config_bind(const struct conf_node *root, struct agent_config *out,
			 struct conf_errors *errors) MUST_CHECK;

/* Whose file a program was given, by the certificate in it. */
enum bundle_kind { BUNDLE_AGENT, BUNDLE_CONSOLE, BUNDLE_OTHER };
enum bundle_kind console_config_kind(const struct conf_node *root);

#endif
