/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers_drain_world: a relay that drains, or gives up an address, while peers that are played by
 * hand are connected.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay/control/control_internal.h"
#include "tests/world/peers_scene.h"
#include "tests/world/worlds.h"

static void scene_draining(void)
{
	peers_begin("");
	peers_two_agents();
	peers_cut_through();
	(void)peer_leg(&guest, relay_host, &laptop);
	peers_drain();
	(void)peer_expect(&laptop, WIRE_DRAIN, &heard);
	(void)peer_expect_bye(&guest, REASON_DRAINING);
	world_check(peer_dial(&guest, relay_host), "links", "guest cannot dial");
	peer_frame_leg(&guest, &laptop);
	peer_flush(&guest);
	(void)peer_expect_bye(&guest, REASON_DRAINING);
	world_check(peer_dial(&guest, relay_host), "links", "guest cannot dial");
	peer_frame_hello(&guest, 0);
	peer_flush(&guest);
	(void)peer_expect_bye(&guest, REASON_DRAINING);
	(void)peer_sign_in(&admin, relay_host, WIRE_HELLO_CONSOLE);
	peers_expect_flowing("while it drains");
	peers_end();
}

/* What a relay cuts off when its drain's time is over looks cut off, not ended. */
static void scene_a_drain_whose_time_is_over(void)
{
	peers_begin("drain: 5s\n");
	peers_two_agents();
	peers_cut_through();
	world_relay_stop(&relay);
	(void)peer_gone(&asking, SECOND);
	(void)peer_gone(&accepting, SECOND);
	world_check(asking.reset && accepting.reset && !asking.eof && !accepting.eof, "cut-for-end",
		    "a session that a drain cuts off seems to end");
	peers_leave();
}

/* A relay that is about to exit does, even if its drain is changed meanwhile: it listens no more.
 */
static void scene_a_drain_that_leaves_is_not_taken_back(void)
{
	struct relay_control *ctl;
	char why[256] = "";

	peers_begin("drain: 600s\n");
	peers_two_agents();
	peers_cut_through();
	k_signal(relay.program, SIGTERM);
	world_run(SECOND);
	ctl = relay.relay.control;
	k_enter(relay.program);
	control_drain(ctl, 5000, false);
	world_check(!control_undrain(ctl, why, sizeof(why)) && strstr(why, "about to exit"), "ends",
		    "a drain that leaves is taken back: %s", why);
	k_enter(NULL);
	world_check(peer_gone(&asking, 10 * SECOND) && asking.reset, "ends",
		    "a second drain keeps the relay from leaving");
	world_relay_stop(&relay);
	peers_leave();
}

/* An address that a reload gives up while datagrams come by the dozen. */
static void scene_an_address_given_up_in_a_flood(void)
{
	uint8_t bytes[20] = {0, 1};
	struct iovec all = {bytes, sizeof(bytes)};
	struct addr to = k_address(k_host_address(relay_host), 443);
	struct msghdr one = {
		.msg_name = &to.sa, .msg_namelen = to.len, .msg_iov = &all, .msg_iovlen = 1};
	int fd;

	peers_begin("stun:\n  enabled: true\n");
	k_cable_set(relay_host, host[2], 0, 0);
	k_enter(guest.program);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	k_enter(NULL);
	world_relay_write(&relay, PEERS_LISTEN "stun:\n  links: false\n");
	for (unsigned i = 0; i < 600; i++) {
		k_enter(guest.program);
		for (unsigned n = 0; n < 12; n++)
			(void)!sendmsg(fd, &one, MSG_DONTWAIT);
		k_enter(NULL);
		world_run(MS / 2);
		if (i == 50)
			k_signal(relay.program, SIGHUP);
	}
	k_enter(guest.program);
	close(fd);
	k_enter(NULL);
	peers_end();
}

/* A relay that has no memory at all at the moment is told to leave, and drains. */
static void scene_draining_without_memory(void)
{
	unsigned draining = 0;

	peers_begin("drain: 600s\n");
	peers_two_agents();
	relay.program->no_memory = 1000;
	k_signal(relay.program, SIGTERM);
	world_run(SECOND);
	relay.program->no_memory = 0;
	for (unsigned i = 0; i < relay.relay.worker_count; i++)
		draining += relay.relay.workers[i].draining;
	world_check(draining == relay.relay.worker_count, "ends",
		    "%u of %u workers drain when memory is out", draining,
		    relay.relay.worker_count);
	world_relay_stop(&relay);
	peers_leave();
}

/* Its control thread has begun. */
static bool is_draining(void *unused)
{
	(void)unused;
	return relay.relay.draining;
}

/* A console has the relay drain, and it is told to leave before a worker has got so far: it listens
 * no more. */
static void scene_told_to_leave_while_it_begins_to_drain(void)
{
	static const char call[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"drain\"}\n";
	unsigned listening = 0;

	peers_begin("drain: 600s\n");
	peers_two_agents();
	(void)peer_sign_in(&admin, relay_host, WIRE_HELLO_CONSOLE);
	peer_write(&admin, call, sizeof(call) - 1);
	(void)world_until(is_draining, NULL, SECOND);
	k_signal(relay.program, SIGTERM);
	world_run(5 * SECOND);
	for (unsigned i = 0; i < relay.relay.worker_count; i++)
		listening += relay.relay.workers[i].listeners != NULL;
	world_check(listening == 0, "ends", "%u workers of a relay that leaves listen", listening);
	world_relay_stop(&relay);
	peers_leave();
}

/* An address is given up while connections come to it. One that the relay's host has taken is
 * served, though the listener in whose queue it waited is gone. */
static void scene_a_listener_closes_with_a_queue(void)
{
	static struct peer many[24];
	unsigned served = 0;

	peers_begin("");
	world_relay_write(&relay, PEERS_LISTEN "  - address: 0.0.0.0:444\n");
	k_signal(relay.program, SIGHUP);
	world_run(SECOND);
	for (unsigned i = 0; i < 24; i++) {
		peer_start(&many[i], "caller", GUEST, host[2]);
		k_enter(many[i].program);
		many[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		k_enter(NULL);
	}
	world_relay_write(&relay, PEERS_LISTEN);
	for (unsigned i = 0; i < 24; i++) {
		struct addr to = k_address(k_host_address(relay_host), 444);

		if (i == 12)
			k_signal(relay.program, SIGHUP);
		k_enter(many[i].program);
		(void)connect(many[i].fd, &to.sa, to.len);
		k_enter(NULL);
		if (dice_chance(&world_dice, 300))
			world_run(dice_size(&world_dice, 20 * MS));
	}
	world_run(2 * SECOND);
	for (unsigned i = 0; i < 24; i++) {
		int error = 0;
		socklen_t len = sizeof(error);
		char byte;

		k_enter(many[i].program);
		(void)getsockopt(many[i].fd, SOL_SOCKET, SO_ERROR, &error, &len);
		served += error == 0 &&
			  send(many[i].fd, "GET / HTTP/1.0\r\n\r\n", 18, MSG_NOSIGNAL) == 18;
		k_enter(NULL);
		world_run(300 * MS);
		k_enter(many[i].program);
		world_check(error != 0 || recv(many[i].fd, &byte, 1, MSG_DONTWAIT) >= 0 ||
				    errno != ECONNRESET,
			    "served",
			    "a connection that was taken at an address that is given up is reset");
		k_enter(NULL);
	}
	world_check(served >= 6, "served", "%u of 24 connections reach an address", served);
	for (unsigned i = 0; i < 24; i++)
		peer_end(&many[i]);
	peers_end();
}

static const peers_scene scenes[] = {
	scene_draining,
	scene_a_drain_whose_time_is_over,
	scene_a_drain_that_leaves_is_not_taken_back,
	scene_an_address_given_up_in_a_flood,
	scene_draining_without_memory,
	scene_told_to_leave_while_it_begins_to_drain,
	scene_a_listener_closes_with_a_queue,
};

void world_peers_drain(void)
{
	peers_play(scenes, sizeof(scenes) / sizeof(scenes[0]));
}
