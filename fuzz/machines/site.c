/* SPDX-License-Identifier: Apache-2.0 */
/*
 * site: the front door of a relay whose web site is behind home: strangers as in the machine
 * "front", whose requests are offered to home; and home's legs, which take them, answer, or do
 * anything else with the TLS that the session stays in. SIGHUP may bring another site meanwhile.
 *
 * No visitor hears another's bytes, and no cut looks like an end, to either side (cast.c). All of
 * them are gone in the end, and none keeps the witness from signing in.
 */
#include "fuzz/machines/cast.h"

#define MEMORY_MOST (10u << 20)
#define LIMITS	    "limits:\n  open: 3s\n  public_idle: 30s\n"
#define BY_WEB	    "site:\n  to: home/web\n"

/* ---- home's part ---- */

static void of_home(void (*act)(void))
{
	cast_parts(HOME_LINK, HOME_LEG_2);
	act();
	cast_parts(STRANGER_1, STRANGER_4);
}

/* One of home's legs takes what was offered last; a new one, where it has been used. */
static void act_site_takes(void)
{
	struct player *leg = &players[script_below(2) ? HOME_LEG_1 : HOME_LEG_2];
	const struct wire_message m = {.type = WIRE_ACCEPT, .accept.session = cast_offered};

	if (leg->peer.fd < 0 || leg->session || leg->peer.eof || leg->peer.reset) {
		cast_forget(leg);
		if (!peer_dial(&leg->peer, cast_relay_host))
			return;
		peer_frame_leg(&leg->peer, &players[HOME_LINK].peer);
		cast_flush(leg);
		leg->blurred = false;
		cast_run(30 * MS);
	}
	cast_say_in_turn(leg, &m);
	cast_run(30 * MS);
}

static void act_site_says(void)
{
	struct player *leg = &players[script_below(2) ? HOME_LEG_1 : HOME_LEG_2];

	cast_say_of_site(leg, script_word() % 20000);
}

static void act_site_does(void)
{
	static void (*const acts[])(void) = {
		act_close_tls, act_half_close, act_close, act_reset,   act_update_keys,
		act_record,    act_message,    act_bytes, act_sign_in, act_leg};

	of_home(acts[script_below(sizeof(acts) / sizeof(acts[0]))]);
}

static void act_site_cable(void)
{
	of_home(act_cable);
}

static void act_site_is_mute(void)
{
	of_home(act_mute);
}

static void act_site_refuses(void)
{
	struct wire_message m = {.type = WIRE_REFUSE};

	m.refuse.session = cast_offered;
	m.refuse.reason = REASON_SHUTDOWN;
	cast_say_in_turn(&players[HOME_LINK], &m);
}

/* ---- and the relay's operator's ---- */

static void act_another_site(void)
{
	static const char *const sites[] = {
		LIMITS BY_WEB,
		LIMITS "site:\n  to: home/talk\n",
		LIMITS "site:\n  to: nobody/web\n  server: apache\n",
		LIMITS "site:\n  page: \"<p>hello</p>\"\n",
		LIMITS BY_WEB "bandwidth:\n  per_session: 20000B/s\n",
	};

	cast_reload(sites[script_below(sizeof(sites) / sizeof(sites[0]))]);
}

/* ---- beginning and end ---- */

static void set(void)
{
	cast_set(LIMITS BY_WEB);
	cast_parts(STRANGER_1, STRANGER_4);
}

static void clear(void)
{
	cast_witness_comes();
	cast_clear(false, MEMORY_MOST);
}

static const struct act acts[] = {
	{"time", act_time},
	{"dial", act_dial},
	{"a request", act_request},
	{"a request", act_request},
	{"the site takes it", act_site_takes},
	{"the site takes it", act_site_takes},
	{"the site says", act_site_says},
	{"the site says", act_site_says},
	{"the site does", act_site_does},
	{"the site is mute", act_site_is_mute},
	{"the site refuses", act_site_refuses},
	{"bytes", act_bytes},
	{"a record", act_record},
	{"update keys", act_update_keys},
	{"close tls", act_close_tls},
	{"half close", act_half_close},
	{"close", act_close},
	{"reset", act_reset},
	{"mute", act_mute},
	{"hello in pieces", act_hello_in_pieces},
	{"another site", act_another_site},
	{"the site's cable", act_site_cable},
	{NULL, NULL},
};

const struct machine machine_site = {"site", set, acts, clear, 48};
