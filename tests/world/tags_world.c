/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tags_world: who has a tag key is told why it is refused; who has none meets a web server. And
 * keys that change while agents are linked, away, or cut off.
 */
#include <string.h>

#include "agent/relays/links.h"
#include "tests/world/peers_scene.h"
#include "tests/world/stage.h"
#include "tests/world/worlds.h"

/* ---- by hand ---- */

/* It hears what a web server says to nonsense, and nothing else. */
static void expect_web(struct peer *p, const char *what)
{
	static const char bad[] = "HTTP/1.1 400 Bad Request\r\n";

	world_check(peer_has(p, sizeof(bad) - 1, 10 * SECOND) &&
			    memcmp(p->got, bad, sizeof(bad) - 1) == 0,
		    "stranger", "%s: hears \"%.*s\"", what,
		    (int)(p->got_len < 40 ? p->got_len : 40), (const char *)p->got);
	world_check(peer_gone(p, 10 * SECOND), "ends", "%s: is still connected", what);
}

static void come(struct peer *p)
{
	world_check(peer_dial(p, relay_host), "links", "%s cannot dial", p->program->name);
}

/* Nothing of ours is said to one that has no tag, be the message that follows ever so right. */
static void scene_without_a_tag(void)
{
	peers_begin("");
	come(&guest);
	peer_say_no_tag(&guest);
	peer_frame_hello(&guest, 0);
	peer_flush(&guest);
	expect_web(&guest, "HELLO without a tag");
	/* Of another connection: both are open, and only what was exported differs. */
	come(&guest);
	come(&home);
	memcpy(home.frame, guest.frame, TAG_BYTES);
	peer_frame_hello(&home, 0);
	peer_flush(&home);
	expect_web(&home, "another connection's tag");
	for (unsigned i = 0; i < TAG_BYTES; i += 31) {
		come(&guest);
		guest.frame[i] ^= 0x80;
		peer_frame_hello(&guest, 0);
		peer_flush(&guest);
		expect_web(&guest, "a tag with one bit wrong");
	}
	come(&guest);
	peer_frame_hello(&guest, 0);
	peer_write(&guest, guest.frame, TAG_BYTES - 1);
	expect_web(&guest, "a tag in two records");
	world_check(peers_totals().tables.links == 0, "links", "a stranger has a link");
	peers_end();
}

/* With a tag the reason is said, whatever it is. */
static void scene_with_a_tag(void)
{
	static const uint8_t junk[] = {WIRE_VERSION, 0x7f, 0, 0};

	peers_begin("");
	come(&guest);
	memcpy(guest.frame + TAG_BYTES, junk, sizeof(junk));
	guest.frame_len += sizeof(junk);
	peer_flush(&guest);
	(void)peer_expect_bye(&guest, REASON_PROTOCOL);
	come(&guest);
	guest.frame[guest.frame_len++] = 'G';
	peer_flush(&guest);
	(void)peer_expect_bye(&guest, REASON_VERSION);
	/* The tag alone, and then the rest. */
	come(&guest);
	peer_flush(&guest);
	world_run(2 * SECOND);
	peer_frame_hello(&guest, 0);
	peer_flush(&guest);
	(void)peer_expect(&guest, WIRE_WELCOME, &heard);
	/* The tag alone: for as long as anybody may take, and until the relay drains. */
	come(&home);
	peer_flush(&home);
	world_run(50 * SECOND);
	world_check(!peer_gone(&home, 1), "deadline", "a tag's owner is not waited for");
	(void)peer_expect_bye(&home, REASON_TIMEOUT);
	come(&laptop);
	peer_flush(&laptop);
	world_run(2 * SECOND);
	peers_drain();
	(void)peer_expect_bye(&laptop, REASON_DRAINING);
	peers_end();
}

void world_tags(void)
{
	static const peers_scene scenes[] = {scene_without_a_tag, scene_with_a_tag};

	peers_play(scenes, sizeof(scenes) / sizeof(scenes[0]));
}

/* ---- keys that change ---- */

#define OLD_KEY CERTS_TAG_KEYS
#define NEW_KEY "c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5"

static void keys_are(const char *keys)
{
	json_t *config = operator_config(&stage.operator), *identity;

	identity = json_object_get(config, "identity");
	world_check(strcmp(json_string_value(json_object_get(identity, "tag_keys")), "(hidden)") ==
			    0,
		    "hidden", "tag keys are shown");
	json_object_set_new(identity, "tag_keys", json_string(keys));
	world_check(operator_apply(&stage.operator, config, 0), "answers",
		    "other tag keys are refused");
	world_run(2 * SECOND);
}

static bool knows_new(const struct world_agent *a)
{
	const uint8_t *key = agent_links_learned(&a->agent.links, a->agent.links.list[0]);

	return key && key[0] == 0xc5 && key[31] == 0xc5;
}

/* The line to an agent's host breaks for so long that both ends notice. */
static void lose_line(struct k_host *at)
{
	k_cable_pull(stage.relay_hosts[0], at, true);
	world_run(200 * SECOND);
	k_cable_pull(stage.relay_hosts[0], at, false);
}

void world_tag_keys(void)
{
	stage_set(1, "");
	/* guest is cut off, laptop is away, and home is there when the key changes. */
	(void)operator_call(&stage.operator, "revoke", json_pack("{s:s}", "agent", "guest"));
	world_run(2 * SECOND);
	k_cable_pull(stage.relay_hosts[0], stage.laptop_host, true);
	world_run(200 * SECOND);
	keys_are(NEW_KEY "\n" OLD_KEY "\n");
	world_check(knows_new(&stage.home), "learned", "home has not been told the new key");
	world_check(!knows_new(&stage.guest) && !knows_new(&stage.laptop), "learned",
		    "a key was told to an agent that is not linked");
	/* It is told when it comes back with the old one. */
	k_cable_pull(stage.relay_hosts[0], stage.laptop_host, false);
	world_run(120 * SECOND);
	world_check(world_agent_linked(&stage.laptop) && knows_new(&stage.laptop), "learned",
		    "laptop came back, and has not been told the new key");
	keys_are(NEW_KEY "\n");
	(void)operator_call(&stage.operator, "unrevoke", json_pack("{s:s}", "agent", "guest"));
	world_run(700 * SECOND);
	world_check(!world_agent_linked(&stage.guest), "learned",
		    "guest was cut off when the key changed, and is let in by the old one");
	lose_line(stage.home_host);
	lose_line(stage.laptop_host);
	world_run(120 * SECOND);
	world_check(world_agent_linked(&stage.home) && world_agent_linked(&stage.laptop), "learned",
		    "an agent does not come back by what it learned");
	/* Nor by what it kept: its file has the old key alone. */
	world_agent_stop(&stage.home);
	world_run(5 * SECOND);
	stage_agent_again(&stage.home);
	world_run(60 * SECOND);
	world_check(world_agent_linked(&stage.home), "learned",
		    "an agent that starts again does not know the key that it was told");
	(void)stage_talk_from(&stage.at_laptop, 3000, 3000);
	(void)world_until(talks_over, NULL, 60 * SECOND);
	talks_judge();
	/* The operator thinks again, while laptop is away: what it learned does not fit any more.
	 */
	k_cable_pull(stage.relay_hosts[0], stage.laptop_host, true);
	world_run(200 * SECOND);
	keys_are(OLD_KEY "\n");
	k_cable_pull(stage.relay_hosts[0], stage.laptop_host, false);
	world_check(world_until(stage_linked, NULL, 700 * SECOND), "links",
		    "the old key counts again, and not all come");
	lose_line(stage.home_host);
	world_check(world_until(stage_linked, NULL, 700 * SECOND), "links",
		    "home does not try the key of its file");
	stage_clear();
}
