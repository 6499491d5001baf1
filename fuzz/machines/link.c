/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link: agents with good certificates and programs of their own, on their links and on new ones:
 * any message, in any order, at any moment, read or not. It is cut off, or goes on; the relay keeps
 * little for it, and nothing of it. The machine "leg" has the same for legs and sessions.
 */
#include "fuzz/machines/cast.h"

/* Outboxes are bounded by a quarter of a MiB each, and what is read at once by a record. */
#define MEMORY_MOST (12u << 20)

static void set_links(void)
{
	cast_set("limits:\n  legs: 4\n  open: 3s\n");
	cast_parts(HOME_LINK, STRANGER_2);
}

static void clear(void)
{
	cast_clear(script_byte() & 1, MEMORY_MOST);
}

static const struct act link_acts[] = {
	{"time", act_time},
	{"message", act_message},
	{"message", act_message},
	{"many messages", act_many_messages},
	{"a frame", act_frame},
	{"sign in", act_sign_in},
	{"dial", act_dial},
	{"a leg", act_leg},
	{"mute", act_mute},
	{"bytes", act_bytes},
	{"close tls", act_close_tls},
	{"half close", act_half_close},
	{"close", act_close},
	{"reset", act_reset},
	{"cable", act_cable},
	{"pair", act_pair},
	{"update keys", act_update_keys},
	{"prove", act_prove},
	{NULL, NULL},
};

const struct machine machine_link = {"link", set_links, link_acts, clear, 48};

static void set_legs(void)
{
	cast_set("limits:\n  open: 3s\n  session_idle: 20s\n  public_idle: 20s\n");
	cast_parts(HOME_LINK, STRANGER_2);
}

static const struct act leg_acts[] = {
	{"time", act_time},
	{"pair", act_pair},
	{"raw", act_raw},
	{"raw", act_raw},
	{"message", act_message},
	{"accept", act_accept},
	{"a leg", act_leg},
	{"mute", act_mute},
	{"half close", act_half_close},
	{"close", act_close},
	{"reset", act_reset},
	{"cable", act_cable},
	{"hello in pieces", act_hello_in_pieces},
	{"bytes", act_bytes},
	{"a frame", act_frame},
	{"sign in", act_sign_in},
	{"close tls", act_close_tls},
	{"update keys", act_update_keys},
	{"prove", act_prove},
	{NULL, NULL},
};

const struct machine machine_leg = {"leg", set_legs, leg_acts, clear, 48};
