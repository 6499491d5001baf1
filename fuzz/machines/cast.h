/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cast: a relay, and players around it that are played by hand: agents with their links and legs, a
 * console, a witness who must not feel what the others do, and strangers; and what each of them can
 * do, told by the script.
 *
 * What goes through the relay is held against what was said. In a session between agents, and in
 * one of a public name, that is the bytes past GO. In one of the web site both sides stay in their
 * TLS: the site's bytes are those that site_byte() says, none of them ASCII, as all is that a
 * relay answers itself; what the site hears must stand in one piece in what its visitor has said.
 */
#ifndef POSTERN_FUZZ_MACHINES_CAST_H
#define POSTERN_FUZZ_MACHINES_CAST_H

#include "core/parse/reason.h"
#include "core/parse/revocation.h"
#include "fuzz/machines/machine.h"

enum part {
	HOME_LINK, /* publishes talk and web, which is public as www.example */
	HOME_LEG_1,
	HOME_LEG_2,
	LAPTOP_LINK,
	LAPTOP_LEG_1,
	LAPTOP_LEG_2,
	CONSOLE,
	STRANGER_1, /* three addresses, no certificate at first */
	STRANGER_2,
	STRANGER_3,
	STRANGER_4,
	WITNESS, /* guest */
	PARTS,
};

struct player {
	struct peer peer;
	uint64_t session;	    /* what GO said; 0: it has no session */
	uint8_t *wrote;		    /* since then, or inside its TLS; CAST_RAW_MOST */
	size_t wrote_len, read_len; /* read: of what the other side wrote */
	size_t skip;		    /* so many bytes that come are no message: a tag */
	bool waits;		    /* said OPEN or ACCEPT, and has no answer yet */
	bool proven;		    /* WELCOME or READY came */
	enum reason failed;	    /* what FAIL or BYE said last */
	bool told;		    /* it has heard a message */
	uint8_t tag_key;	    /* the first byte of the newest TAGKEY */
	unsigned told_signed;	    /* how many SIGNED it has heard */
	bool blurred; /* it has said more in TLS than a leg may: that becomes part of its session */
	bool any; /* what it said or heard in TLS is not known any more: it is held against nothing
		   */

	/* ---- of the web site behind home ---- */
	bool outer;	/* a leg: its session stays in its TLS */
	uint8_t *heard; /* there, all of it, CAST_RAW_MOST */
	uint64_t asked; /* a stranger: the session that home was offered for it */
	size_t given;	/* to it: so many bytes the site has said by now */
	bool given_end; /* and the end of its TLS */
	bool ended;	/* it has ended its TLS */
};

#define CAST_RAW_MOST 65536u

extern struct world_relay cast_relay;
extern struct k_host *cast_relay_host;
extern struct player players[PARTS];
extern uint64_t cast_offered; /* the newest OFFER that home heard; 0: none */

/* All up and signed in; further lines of the relay's file, which SIGHUP may bring others of. */
void cast_set(const char *config);
void cast_reload(const char *config);
/* Who plays something else hears with other ears; NULL: as agents, and as legs in sessions, whose
 * bytes are compared. */
extern void (*cast_hears)(struct player *p, const struct wire_message *m);
extern void (*cast_hears_raw)(struct player *p);
/* What the console hears, of lines or not; NULL: nobody listens. */
extern void (*cast_console_hears)(const uint8_t *bytes, size_t len);
/* Memory of the relay has not grown by more than so much meanwhile. All players leave, or those who
 * have proved nothing wait until the relay lets them go; then it stops, and nothing may be left. */
void cast_clear(bool leave, size_t memory_most);
/* The witness signs in anew, within a second. */
void cast_witness_comes(void);

/* Takes what has come for everyone, and lets go what wants to leave. */
void cast_work(void);
void cast_run(uint64_t us);
/* Plays with these parts, in acts below; those that connect are the last strangers of them. */
void cast_parts(enum part first, enum part last);
struct player *cast_player(void);
/* Before it has another connection. */
void cast_forget(struct player *p);
/* Says bytes inside TLS, or in clear where there is none; what cannot be said any more is not. */
void cast_say(struct player *p, const void *bytes, size_t len);
void cast_flush(struct player *p);
void cast_close_tls(struct player *p);
/* A leg of the site's says so many bytes to its visitor, who knows them when they come. */
void cast_say_of_site(struct player *p, size_t len);
/* As cast_say(), of what is due there. */
void cast_say_in_turn(struct player *p, const struct wire_message *m);

/* ---- acts of all machines with this cast ---- */

void acts_prepare(void);
void act_time(void);
void act_connect(void);
void act_dial(void);
void act_hello_in_pieces(void);
void act_bytes(void);
void act_record(void);
void act_request(void);
void act_stun(void);
void act_half_close(void);
void act_close_tls(void);
void act_close(void);
void act_reset(void);
void act_mute(void);
void act_cable(void);
void act_sign_in(void);
void act_leg(void);
void act_message(void);
void act_many_messages(void);
void act_frame(void);
void act_pair(void);
void act_accept(void);
void act_raw(void);
void act_update_keys(void);
void act_prove(void);

/* A revocation, or what takes one back, that a console, an agent or the CA has signed; whole, or
 * with a byte damaged. Returns its size. */
size_t cast_signed(uint8_t object[REVOCATION_MAX], bool *revokes);
/* A message of any type with what the script says in it. */
void cast_message(struct wire_message *m);

#endif
