/* SPDX-License-Identifier: Apache-2.0 */
/* nat_reach: natd's socket, and what to say where it does not answer. */
#include "ctl/nat/reach.h"

#include <errno.h>
#include <string.h>

#define NATD_SOCKET "/run/postern/natd.sock"

bool nat_reach_here(const struct arguments *a)
{
	if (!a->as && !a->at)
		return true;
	complain_usage(a->command, "%s leads to no natd: it is asked on its own host, by --socket",
		       a->as ? "--as" : "--at");
	return false;
}

const char *nat_reach_path(const struct arguments *a)
{
	return a->socket ? a->socket : NATD_SOCKET;
}

bool nat_reach_is_absent(int error)
{
	return error == -ENOENT || error == -ECONNREFUSED;
}

void nat_reach_complain(const char *path, int error)
{
	if (nat_reach_is_absent(error) && strcmp(path, NATD_SOCKET) != 0)
		complain("%s: %s; no postern-natd listens there: start one by 'postern-natd "
			 "--socket %s --map tcp:443', or name the socket of the one that runs",
			 path, strerror(-error), path);
	else if (nat_reach_is_absent(error))
		complain("%s: %s; is postern-natd running? If so, name its socket with --socket; "
			 "if not, start it by 'systemctl start postern-natd' or 'postern-natd "
			 "--map tcp:443'",
			 path, strerror(-error));
	else
		complain("%s: %s", path, strerror(-error));
}

bool nat_reach_open(const struct arguments *a, struct connection *conn)
{
	int error = connection_open_path(nat_reach_path(a), conn);

	if (error)
		nat_reach_complain(nat_reach_path(a), error);
	return error == 0;
}
