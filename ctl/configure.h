/* SPDX-License-Identifier: Apache-2.0 */
/*
 * configure: config get, check, diff, apply, confirm, rollback and history, which relays and
 * agents answer alike. The door is open; each returns the command's status.
 */
#ifndef POSTERN_CTL_CONFIGURE_H
#define POSTERN_CTL_CONFIGURE_H

#include "ctl/document.h"
#include "ctl/door.h"

/* Options of the command that is running: --json, and for apply those of the table. */
#define CONFIG_APPLY_OPTIONS                                                                       \
	{"--confirm-within", "TIME", false,                                                        \
	 "go back by itself after TIME (60s, 5m) unless confirmed"},                               \
		{"--note", "TEXT", false, "why, for the history"},                                 \
		{"--force", NULL, false, "even if it cuts you off"},                               \
	{                                                                                          \
		"--revision", "N", false, "made from revision N, whatever the file says"           \
	}

enum status configure_get(const struct arguments *a, struct door *d);
enum status configure_check(const struct arguments *a, struct door *d, const struct document *doc);
enum status configure_diff(const struct arguments *a, struct door *d, const struct document *doc);
/* confirm: the command that confirms, "relay config confirm". */
enum status configure_apply(const struct arguments *a, struct door *d, const struct document *doc,
			    const char *confirm);
/* method: "config.confirm" or "config.rollback". */
enum status configure_settle(const struct arguments *a, struct door *d, const char *method);
enum status configure_history(const struct arguments *a, struct door *d);

#endif
