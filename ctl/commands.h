/* SPDX-License-Identifier: Apache-2.0 */
/* commands: what the table in main.c leads to. */
#ifndef POSTERN_CTL_COMMANDS_H
#define POSTERN_CTL_COMMANDS_H

#include "ctl/arguments.h"

extern const struct option_row pki_init_options[], pki_issue_options[], pki_show_options[];

enum status command_pki_init(const struct arguments *a);
enum status command_pki_issue(const struct arguments *a);
enum status command_pki_show(const struct arguments *a);
enum status command_connect(const struct arguments *a);

#endif
