/* SPDX-License-Identifier: Apache-2.0 */
/*
 * front: four strangers at the front door, which are anything: silent, garbage, TLS in pieces, a
 * web client, STUN, a public client, an agent without a right. They must be gone in the end, and
 * none may keep the witness from signing in. One link, home's, takes what it is offered.
 */
#include "fuzz/machines/cast.h"

#define MEMORY_MOST (6u << 20)

static void set(void)
{
	cast_set("limits:\n  public_idle: 30s\n");
	cast_parts(STRANGER_1, STRANGER_4);
}

static void clear(void)
{
	cast_witness_comes();
	cast_clear(false, MEMORY_MOST);
}

static const struct act acts[] = {
	{"time", act_time},
	{"connect", act_connect},
	{"dial", act_dial},
	{"hello in pieces", act_hello_in_pieces},
	{"bytes", act_bytes},
	{"a record", act_record},
	{"a request", act_request},
	{"stun", act_stun},
	{"half close", act_half_close},
	{"close tls", act_close_tls},
	{"close", act_close},
	{"reset", act_reset},
	{"mute", act_mute},
	{"sign in", act_sign_in},
	{"a leg", act_leg},
	{"a frame", act_frame},
	{"accept", act_accept},
	{"update keys", act_update_keys},
	{NULL, NULL},
};

const struct machine machine_front = {"front", set, acts, clear, 48};
