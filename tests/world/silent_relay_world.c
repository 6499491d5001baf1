/* SPDX-License-Identifier: Apache-2.0 */
/*
 * silent_relay_world: the cable to a relay is pulled, and nothing says so. Whoever asks for a
 * session goes to the other relay within a moment; a link that was only quiet is used again.
 */
#include "tests/world/stage.h"
#include "tests/world/worlds.h"

#define PATIENT_US (2000u * MS + 800u * MS) /* until the link is doubted */
#define MOMENT_US  (1500u * MS)		    /* by the longest cables, with a leg to dial */

static bool begun(void *talk)
{
	return ((struct talk *)talk)->side[1].begun;
}

/* How long it takes until the other side of a new talk has something; the talk goes on. */
static uint64_t begins_in(struct talk **t, uint64_t at_most_us)
{
	uint64_t from = k_now_us;

	*t = stage_talk_from(&stage.at_laptop, 1000, 1000);
	(*t)->disturbed = true;
	(void)world_until(begun, *t, at_most_us);
	return k_now_us - from;
}

static void check_through(struct talk *t, const char *when)
{
	world_check(stage_goes_through(t), "sessions", "a talk fails: %s", when);
}

void world_silent_relay(void)
{
	struct talk *t;
	uint64_t took;

	stage_set(2, "");
	world_run(5 * SECOND);
	k_cable_pull(stage.relay_hosts[0], stage.laptop_host, true);
	took = begins_in(&t, 20 * SECOND);
	world_check(took < PATIENT_US + MOMENT_US, "sessions",
		    "a relay that is silent costs a new session %u ms", (unsigned)(took / MS));
	check_through(t, "by the other relay");
	/* It is known now, and costs nothing. */
	took = begins_in(&t, 20 * SECOND);
	world_check(took < MOMENT_US, "sessions", "one that is doubted costs %u ms",
		    (unsigned)(took / MS));
	check_through(t, "by the other relay, again");
	k_cable_pull(stage.relay_hosts[0], stage.laptop_host, false);
	world_check(world_until(stage_linked, NULL, 60 * SECOND), "links",
		    "a link that was doubted is of no use for a minute");
	took = begins_in(&t, 20 * SECOND);
	world_check(took < MOMENT_US, "sessions", "a session takes %u ms after the silence",
		    (unsigned)(took / MS));
	check_through(t, "after the silence");
	stage_clear();
}
