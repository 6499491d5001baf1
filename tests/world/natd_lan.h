/* SPDX-License-Identifier: Apache-2.0 */
/*
 * natd_lan: what is around a natd: routers that speak PCP and NAT-PMP and are the NAT, and a STUN
 * server of RFC 5780 outside.
 *
 * A router has one table of leases for all protocols, and it alone decides what a server
 * outside sees and what gets in: a datagram that no host asked for comes through only where a lease
 * is. So what natd calls verified can be held against what really came in.
 */
#ifndef POSTERN_TESTS_WORLD_NATD_LAN_H
#define POSTERN_TESTS_WORLD_NATD_LAN_H

#include "stun/server.h"
#include "tests/world/world.h"

#define LAN_LEASES_MAX 32u
#define LAN_ROUTERS    2u
#define LAN_PORTS_MAX  4u /* of which what came in is counted */

struct lan_lease {
	bool used, tcp;
	struct addr client; /* port 0 */
	uint16_t internal, external;
	uint64_t until_us;
	uint8_t nonce[12]; /* PCP's; zeros: NAT-PMP's */
	bool told;	   /* its client had an answer that granted it, if none was lost */
	bool dead;	   /* nothing comes in through it any more */
	bool late;	   /* it ended while natd could have renewed it */
};

struct lan_router {
	struct k_host *host;
	struct k_program *program;
	int fd;
	/* Manners. */
	bool no_pcp, no_natpmp;
	bool deaf;	/* answers nothing */
	bool shuts_out; /* grants, and lets nothing in */
	bool bare;	/* does no NAT: outside sees its hosts as they are */
	bool mute;	/* does what it is asked, and answers only to probes */
	bool twins;	/* two servers answer in turn, each with an age of its own */
	uint8_t external[4];
	struct lan_lease leases[LAN_LEASES_MAX];
	uint64_t booted_us;
	uint64_t troubled_us; /* until then it was deaf, or rebooted, or natd was elsewhere */
	unsigned maps, deletions, requests;
};

struct lan_stun {
	struct k_host *host;
	struct k_program *program;
	int fds[2][2];
	struct stun_behaviour behaviour;
	/* Manners. */
	bool deaf, deaf_to_changes, ignores_changes, one_address, garbles;
	unsigned requests, changes;
};

struct lan {
	struct lan_router routers[LAN_ROUTERS];
	struct lan_router *way_out; /* the one that datagrams pass; NULL: none */
	struct lan_stun stun;
	struct { /* datagrams that came in through a lease, unasked for */
		uint16_t internal;
		unsigned count;
		uint8_t last_id[12];
	} let_in[LAN_PORTS_MAX];
};

extern struct lan lan;

void lan_start(void);
void lan_stop(void);
/* Forgets all leases; its epoch begins anew; it says so to `to`, if that is not NULL. */
void lan_router_reboot(struct lan_router *r, const struct addr *to);
/* Forwards nothing any more of what it has leased until now, and renews it all the same. */
void lan_router_flush(struct lan_router *r);
/* Leases of this client that have not ended. */
unsigned lan_router_holds(struct lan_router *r, const struct addr *client);
/* How many datagrams came in to that UDP port. */
unsigned lan_let_in(uint16_t internal);

#endif
