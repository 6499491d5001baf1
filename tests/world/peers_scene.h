/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers_scene: a relay against peers that are played by hand, which claim another's leg, say more
 * than they may, wait for ever, or leave at the wrong moment.
 *
 * A world of them is a list of scenes. Each scene has a relay of its own, which peers_begin()
 * starts and peers_end() stops; what is between them says which peer does what, and when. Not
 * thread-safe, as all worlds.
 */
#ifndef POSTERN_TESTS_WORLD_PEERS_SCENE_H
#define POSTERN_TESTS_WORLD_PEERS_SCENE_H

#include "tests/world/peer.h"

#define PEERS_LISTEN "listen:\n  - address: 0.0.0.0:443\n"
#define PEERS_HOSTS  4

/* ---- the cast ---- */

extern struct world_relay relay;
extern struct k_host *relay_host, *host[PEERS_HOSTS]; /* of home, laptop, guest and admin */
extern struct peer home, laptop, guest, admin;	      /* links, and a console */
extern struct peer asking, accepting;		      /* legs, of laptop and of home */
extern struct wire_message heard;		      /* what was heard last */

/* ---- a scene ---- */

/* Plays all scenes of a world, or the one whose number stands in the environment's SCENE. */
typedef void (*peers_scene)(void);
void peers_play(const peers_scene *scenes, size_t count);

/* Starts the relay with this configuration besides its address, threads and engine, and sets up the
 * peers, none of which is connected. */
void peers_begin(const char *config);
/* All peers leave, and the relay stops; nothing may be left at it. */
void peers_end(void);
void peers_leave(void);
/* Another configuration of the relay's file, by SIGHUP; the second one returns when it is in force.
 */
void peers_change(const char *config);
void peers_reload(const char *config);
/* The relay takes no new work for ten minutes. */
void peers_drain(void);
struct relay_totals peers_totals(void);
/* The most bytes that wait for one connection to read. */
size_t peers_most_waiting(void);

/* ---- what peers do ---- */

/* home signs in and publishes "talk"; laptop signs in. */
void peers_two_agents(void);
/* asking asks for home/talk, which home is offered; returns the offer's number, or 0. */
uint64_t peers_offered(void);
/* A whole session between asking and accepting. */
void peers_cut_through(void);
/* home says no to the offer of this number, with a sentence. */
void peers_refuse(uint64_t session);
/* Closed, and as new. */
void peers_renew(struct peer *p);
/* A ClientHello for the public name www.example, by hand, without or with a connection before it.
 * The caller frees what is returned. */
struct tls *peers_say_public_hello(struct peer *p);
/* The same with any name, and what it offers in ALPN's own form, or NULL. */
struct tls *peers_say_hello(struct peer *p, const char *name, const char *alpn);
struct tls *peers_public_hello(struct peer *p);
/* Writes so many bytes of this value, of PEER_KEPT / 2 at most. */
void peers_fill_out(struct peer *p, uint8_t byte, size_t len);
/* Lets go up what asking has written: for so long, or until so much has arrived. */
void peers_push(size_t len, uint64_t at_most_us);

/* ---- what is expected of them ---- */

/* p hears FAIL for this reason. */
void peers_expect_fail(struct peer *p, enum reason reason);
/* p is still connected; what: what is broken if not. */
void peers_expect_still_there(struct peer *p, const char *what);
/* Bytes go through between asking and accepting, both ways. */
void peers_expect_flowing(const char *when);

#endif
