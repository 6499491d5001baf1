/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_confine: the keeper's own isolation, tighter than the relay's where it can be.
 *
 * It keeps what the relay has given up, to open files and bind ports, and nothing of what the relay
 * still does: it neither accepts nor receives from the network. Landlock knows ports only one by
 * one, so binding stays open there; connecting is denied by it and by seccomp.
 */
#include <linux/capability.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "core/confine.h"
#include "relay/keeper/internal.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define READ_FILES LANDLOCK_ACCESS_FS_READ_FILE
#define WRITE_FILES                                                                                \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |                            \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE)

static const int calls[] = {
	/* requests in */
	SCMP_SYS(recvmsg),
	/* a socket */
	SCMP_SYS(bind),
	SCMP_SYS(listen),
	/* files; where, Landlock says */
	SCMP_SYS(openat),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(fsync),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(unlinkat),
};

#define LISTENER_TYPE (SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)
#define UDP_TYPE      (SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC)

static const struct confine_call guarded[] = {
	/* TCP and UDP only */
	{SCMP_SYS(socket), 2, {{0, SCMP_CMP_EQ, AF_INET, 0}, {1, SCMP_CMP_EQ, LISTENER_TYPE, 0}}},
	{SCMP_SYS(socket), 2, {{0, SCMP_CMP_EQ, AF_INET6, 0}, {1, SCMP_CMP_EQ, LISTENER_TYPE, 0}}},
	{SCMP_SYS(socket), 2, {{0, SCMP_CMP_EQ, AF_INET, 0}, {1, SCMP_CMP_EQ, UDP_TYPE, 0}}},
	{SCMP_SYS(socket), 2, {{0, SCMP_CMP_EQ, AF_INET6, 0}, {1, SCMP_CMP_EQ, UDP_TYPE, 0}}},
	/* SO_REUSEPORT; and to which address a datagram came */
	{SCMP_SYS(setsockopt), 1, {{1, SCMP_CMP_EQ, SOL_SOCKET, 0}}},
	{SCMP_SYS(setsockopt),
	 2,
	 {{1, SCMP_CMP_EQ, IPPROTO_IP, 0}, {2, SCMP_CMP_EQ, IP_PKTINFO, 0}}},
	{SCMP_SYS(setsockopt),
	 2,
	 {{1, SCMP_CMP_EQ, IPPROTO_IPV6, 0}, {2, SCMP_CMP_EQ, IPV6_RECVPKTINFO, 0}}},
	/* replies, and where it would be taken over, datagrams; MSG_FASTOPEN connects */
	{SCMP_SYS(sendmsg), 1, {{2, SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0}}},
};

int keeper_confine(const struct keeper_places *places)
{
	const struct confine_place readable[] = {
		{places->config_dir, READ_FILES},
		{places->config_real_dir, READ_FILES},
		{places->state_dir, WRITE_FILES},
	};
	const struct confine plan = {
		.calls = calls,
		.call_count = COUNT(calls),
		.guarded = guarded,
		.guarded_count = COUNT(guarded),
		.places = readable,
		.place_count = COUNT(readable),
		.capabilities = UINT32_C(1) << CAP_NET_BIND_SERVICE,
	};

	return confine(&plan);
}
