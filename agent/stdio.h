/* SPDX-License-Identifier: Apache-2.0 */
/* stdio: one session between standard input and output and a service, for `postern connect`. */
#ifndef POSTERN_AGENT_ENTRANCE_STDIO_H
#define POSTERN_AGENT_ENTRANCE_STDIO_H

/*
 * Signs in with the identity of the configuration at config_path, as a transient guest that
 * publishes nothing and takes no link's place; asks for target ("AGENT/SERVICE"); copies until both
 * directions have ended, or the service's and nothing more comes from standard input for 2 s (from
 * a terminal: at once). Messages go to standard error. Returns the exit status: 0 after an orderly
 * end, 1 otherwise; 2 where target or the file cannot be what was meant.
 */
int agent_stdio_run(const char *config_path, const char *target);

#endif
