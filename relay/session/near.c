/* SPDX-License-Identifier: Apache-2.0 */
/* near: takes pacing off sockets whose peer is close by. */
#include "relay/session/near.h"

#include <linux/tcp.h> /* tcpi_min_rtt, which netinet/tcp.h lacks */
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

void near_unpace(int fd)
{
	static const char plain[] = "reno"; /* every kernel has it and every user may choose it */
	char control[16] = "";
	struct tcp_info info = {0};
	socklen_t control_len = sizeof control, info_len = sizeof info;

	if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, control, &control_len) < 0 ||
	    strncmp(control, "bbr", 3) != 0)
		return;
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &info_len) < 0 ||
	    info_len < offsetof(struct tcp_info, tcpi_min_rtt) + sizeof info.tcpi_min_rtt)
		return;
	if (info.tcpi_min_rtt > 0 && info.tcpi_min_rtt < NEAR_RTT_US)
		setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, plain, sizeof plain - 1);
}
