/* SPDX-License-Identifier: Apache-2.0 */
/* connect: standard input and output as one session, for ssh -o ProxyCommand. */
#include "ctl/commands.h"

#include "agent/stdio.h"

enum status command_connect(const struct arguments *a)
{
	if (!a->as) {
		complain_usage(a->command,
			       "which agent to connect as? Write postern --as FILE connect %s",
			       a->words[0]);
		return STATUS_USAGE;
	}
	return agent_stdio_run(a->as, a->words[0]) == 0 ? STATUS_OK : STATUS_FAILED;
}
