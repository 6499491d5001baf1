/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_kernel: in place of portmap/netlink.c: links, addresses, routes and TCP sockets as a test
 * has them, told in netlink's own messages, so that their readers are tested, too.
 */
#ifndef POSTERN_TESTS_FAKE_KERNEL_H
#define POSTERN_TESTS_FAKE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "portmap/netlink.h"

#define FAKE_MAX	 16u
#define FAKE_SOCKETS_MAX 8192u

struct fake_link {
	unsigned index;
	const char *name;
	bool down, tunnel, pair; /* pair: veth */
	const char *kind;	 /* NULL: as pair says */
};

struct fake_address {
	unsigned index;
	const char *text;
	unsigned prefix;
	uint32_t flags; /* IFA_F_* */
	uint8_t scope;
};

struct fake_route {
	unsigned index;
	const char *gateway; /* NULL: none */
	uint32_t metric;
	const char *preferred; /* NULL: none */
	uint32_t table;	       /* 0: the main one */
	uint8_t type;	       /* 0: unicast */
	uint8_t length;	       /* of the destination: 0 is a default route */
	const char *to;	       /* the IPv4 destination; NULL: whichever is asked for */
	bool nexthops;	       /* told as the first of two next hops */
	uint32_t nexthop;      /* told as no more than a nexthop object's number; 0: not */
};

/* Which tables are looked at, before the main one. */
struct fake_rule {
	uint32_t table;	  /* 0: no rule */
	const char *from; /* only what has this source address; NULL: all */
};

struct fake_nexthop {
	uint32_t id; /* 0: none */
	unsigned index;
	const char *gateway;
	uint32_t members[2]; /* of a group; 0: it is none */
};

struct fake_neighbour {
	const char *text;
	uint8_t card[6];
};

struct fake_socket {
	const char *local, *peer; /* with ports; peer NULL: it listens */
	bool mapped;		  /* an IPv6 socket with IPv4 addresses */
	uint8_t state;		  /* TCP_*; 0: established, or listening */
};

extern struct fake_kernel {
	struct fake_link links[FAKE_MAX];
	struct fake_address addresses[FAKE_MAX];
	struct fake_route routes[FAKE_MAX];
	struct fake_rule rules[4];
	struct fake_nexthop nexthops[4];
	struct fake_neighbour neighbours[FAKE_MAX]; /* that have answered, on every interface */
	struct fake_socket sockets[FAKE_SOCKETS_MAX];
	int open_error, ask_error; /* 0, or what is answered */
	unsigned open;		   /* sockets without groups that are open */
	unsigned asked;
	int changes; /* the other end of the socket with groups: of routes */
	int ends;    /* and of sock_diag */
	/* A message put before all others, as it is; length 0: none. */
	_Alignas(8) uint8_t canned[256];
	size_t canned_len;
} fake_kernel;

void fake_kernel_reset(void);
/* A socket with groups becomes readable. */
void fake_kernel_changed(void);
/* A connection has ended, which is told; answered: its other end ever said something. */
void fake_kernel_ended(const struct fake_socket *s, bool answered);
/* Closes the kernel's end of sockets with groups. */
void fake_kernel_close(void);

#endif
