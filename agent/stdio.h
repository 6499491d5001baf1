/* SPDX-License-Identifier: Apache-2.0 */
/* stdio: one session between standard input and output and a service, for `postern connect`. */
#ifndef POSTERN_AGENT_ENTRANCE_STDIO_H
#define POSTERN_AGENT_ENTRANCE_STDIO_H

/*
 * Signs in with the identity of the configuration at config_path, as a transient guest that
 * publishes nothing and takes no link's place; asks for target ("AGENT/SERVICE"); copies until both
 * directions have ended. Messages go to standard error. Returns the exit status: 0 after an orderly
 * end, 1 otherwise.
 */
int agent_stdio_run(const char *config_path, const char *target);

#endif
