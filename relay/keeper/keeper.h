/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper: the little process beside the relay that may still open files and bind ports.
 *
 * A sealed relay can do neither, yet a change of configuration may ask for both. The keeper is
 * forked before threads start and sealed for its own duty: it may write below state_dir, and bind
 * TCP listeners and UDP sockets; it can neither connect nor accept nor execute nor read a file
 * (seccomp, Landlock). It answers one request at a time over a socket pair and ends with the relay.
 * A relay that is taken over gains from it: another port to listen on or to send datagrams from.
 */
#ifndef POSTERN_RELAY_KEEPER_KEEPER_H
#define POSTERN_RELAY_KEEPER_KEEPER_H

#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/helper.h"

#define KEEPER_DATA_MAX (12u << 20) /* two of the largest configurations, as JSON (change.c) */

struct keeper {
	struct helper helper;
};

/* Forks; returns when the keeper is sealed. Before the first thread, and before privileges go: the
 * keeper keeps the user and CAP_NET_BIND_SERVICE. state_dir must be there, and be this user's.
 * NULL: nothing is ever written. 0 or -errno. */
int keeper_start(struct keeper *k, const char *state_dir) MUST_CHECK;
void keeper_stop(struct keeper *k);

/* All of these wait as core/helper.h says. */

/* A listening socket (SO_REUSEPORT) in *fd. 0 or -errno of bind and listen. */
int keeper_listen(struct keeper *k, const struct addr *address, int *fd) MUST_CHECK;
/* A UDP socket as datagrams_open() makes it. 0 or -errno. */
int keeper_bind_udp(struct keeper *k, const struct addr *address, int *fd) MUST_CHECK;
/* state_dir/name, atomically (temporary, fsync, rename), mode 0600; -ENOTDIR without state_dir.
 * name: up to 63 of a-z 0-9 - _ and . but no . at first, nor "key-": those are the signer's. */
int keeper_save(struct keeper *k, const char *name, const char *text, size_t len) MUST_CHECK;

#endif
