/* SPDX-License-Identifier: Apache-2.0 */
/* keeper_internal: what the two sides of the keeper's socket pair share, and its tests. */
#ifndef POSTERN_RELAY_KEEPER_INTERNAL_H
#define POSTERN_RELAY_KEEPER_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "relay/keeper/keeper.h"

/*
 * Requests and replies are packets (SOCK_SEQPACKET): a head, and of a request at most
 * KEEPER_CHUNK_BYTES of data. Longer data follows in further packets with the same head, until
 * length bytes have come. A request has a number of its own and its reply the same: what belongs to
 * an older one, which is no longer waited for, is dropped, on both sides.
 */
#define KEEPER_CHUNK_BYTES 32768u
#define KEEPER_NAME_BYTES  64u

enum keeper_duty {
	KEEPER_LISTEN = 1, /* address; the reply carries the socket */
	KEEPER_SAVE,	   /* name, data */
	KEEPER_BIND_UDP,   /* address; the reply carries the socket */
};

struct keeper_head {
	uint64_t number;
	int32_t status;	 /* of a reply: 0 or -errno */
	uint32_t duty;	 /* of a request */
	uint32_t length; /* bytes of data in all */
	char name[KEEPER_NAME_BYTES];
	struct addr address;
};

/* A packet as it is sent; size is what of data is used. */
struct keeper_packet {
	struct keeper_head head;
	uint8_t data[KEEPER_CHUNK_BYTES];
};

/* Where the keeper may write; opened before the fork. */
struct keeper_places {
	int state_dir; /* -1: none */
};

/* Gives up everything that the keeper does not need. 0 or -errno; what the kernel lacks of Landlock
 * is no error. */
int keeper_confine(const struct keeper_places *places) MUST_CHECK;
/* The serving side. */
struct keeper_server {
	int fd;
	const struct keeper_places *places;
	struct keeper_head request; /* whose data is being gathered; number 0: none */
	size_t have;
	uint64_t finished; /* the last number that was answered */
};
/* Tells the relay that the keeper is ready. */
void keeper_server_begin(struct keeper_server *s, int fd, const struct keeper_places *places);
/* Waits for one packet and does what it asks for. False: the relay has ended. */
bool keeper_server_turn(struct keeper_server *s) MUST_CHECK;
/* All of this until the relay has ended; then the process ends. */
_Noreturn void keeper_serve(int fd, const struct keeper_places *places);

/* A plain file's name: no path, no hidden file. */
bool keeper_name_ok(const char name[KEEPER_NAME_BYTES]) MUST_CHECK;

#endif
