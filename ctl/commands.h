/* SPDX-License-Identifier: Apache-2.0 */
/* commands: the tables of commands, each made where its commands are; the last row has no name. */
#ifndef POSTERN_CTL_COMMANDS_H
#define POSTERN_CTL_COMMANDS_H

#include "ctl/arguments.h"

extern const struct command relay_see_commands[], relay_config_commands[], relay_act_commands[];
extern const struct command grant_commands[], agent_commands[], agent_config_commands[],
	check_commands[], stun_commands[], nat_commands[];

extern const struct option_row pki_init_options[], pki_issue_options[], pki_show_options[];
extern const struct option_row relay_top_options[];

enum status command_pki_init(const struct arguments *a);
enum status command_pki_issue(const struct arguments *a);
enum status command_pki_show(const struct arguments *a);
enum status command_connect(const struct arguments *a);
enum status command_agent_list(const struct arguments *a);
enum status command_relay_top(const struct arguments *a);

#endif
