/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_test: what proves a mapping and what does not: TCP connections as the kernel tells them,
 * and UDP by a STUN server that is asked from the mapped port.
 *
 * links: portmap/verify.c portmap/visits.c portmap/sockdiag.c portmap/network.c portmap/rtnetlink.c
 * links: portmap/engine/[a-z]*.c portmap/gateway/driver.c stun/client/client.c stun/message.c
 * links: stun/integrity.c stun/server.c stun/transaction.c core/addr.c core/log*.c core/ring.c core/timer.c
 * links: tests/support/fake_kernel.c tests/support/fake_stun.c tests/support/ring_fixture_world.c
 * links: tests/world/calls.c tests/world/kernel.c tests/world/memory.c tests/world/packet.c
 * links: tests/world/pipes.c tests/world/ring_sim.c tests/world/store.c tests/world/stream.c
 * links: tests/world/stream_connect.c tests/world/world.c core/memory.c
 */
#include "tests/support/ring_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/container.h"
#include "portmap/outside.h"
#include "portmap/verify.h"
#include "portmap/visits.h"
#include "tests/support/fake_kernel.h"
#include "tests/support/fake_stun.h"
#include "tests/support/loopback.h"

#define OWN	   "192.168.1.7"
#define OUTSIDE	   "45.0.0.10:443" /* the mapping's external address */
#define RECHECK_MS 600000u
#define LOOK_FOR   40 /* ms that a first look takes at most */

struct verify_world {
	struct natd natd; /* first */
	struct portmap_owner owner;
	struct outside outside;
	struct portmap_mapping mapping;
	unsigned changes;
};

static uint64_t world_now(struct portmap_owner *o)
{
	return clock_ms(CLOCK_BOOTTIME);
}

static void world_mapping_changed(struct portmap_owner *o, const struct portmap_mapping *m,
				  enum mapping_state old)
{
	container(o, struct verify_world, owner)->changes++;
}

/* natd's: what is known of NATs may be another thing now. */
static unsigned judged;

void natd_judge(struct natd *n)
{
	judged++;
}

static struct addr address(const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return a;
}

/* One mapping, granted, in a network of 192.168.1.0/24. */
static struct verify_world *begin(struct ring_fixture *f, enum portmap_transport t,
				  enum portmap_family family)
{
	struct verify_world *w = calloc(1, sizeof(*w));
	struct portmap_place *v4, *v6;

	assert_non_null(w);
	v4 = &w->natd.network.places[PORTMAP_IPV4];
	v6 = &w->natd.network.places[PORTMAP_IPV6];
	w->owner = (struct portmap_owner){.now_ms = world_now,
					  .mapping_changed = world_mapping_changed};
	w->natd.ring = f->r;
	w->natd.stage = NATD_HERE;
	w->natd.outside = &w->outside;
	w->natd.engine = (struct portmap_engine){.owner = &w->owner, .mappings = &w->mapping};
	v4->source = address(OWN ":1");
	v4->prefix = 24;
	v6->source = address("[2001:db8::7]:1");
	v6->prefix = 64;
	w->mapping = (struct portmap_mapping){
		.id = 5,
		.want = {.transport = t, .family = family, .internal = 8443, .external = 443},
		.state = MAPPING_MAPPED,
		.step = MAPPING_HELD,
		.external = address(family == PORTMAP_IPV4 ? OUTSIDE : "[2001:db8::7]:8443"),
		.mapped_ms = clock_ms(CLOCK_BOOTTIME),
	};
	w->natd.config.recheck_ms = w->natd.engine.recheck_ms = RECHECK_MS;
	w->natd.verify = verify_new(&w->natd);
	assert_non_null(w->natd.verify);
	return w;
}

static void end(struct ring_fixture *f, struct verify_world *w)
{
	w->natd.stopping = true;
	while (!verify_stop(w->natd.verify))
		run_for(f, 1);
	verify_free(w->natd.verify);
	assert_int_equal(fake_kernel.open, 0);
	fake_kernel_close();
	free(w);
}

static void socket_add(size_t i, const char *local, const char *peer)
{
	fake_kernel.sockets[i] = (struct fake_socket){.local = local, .peer = peer};
}

static void look_now(struct ring_fixture *f, struct verify_world *w)
{
	verify_wanted(w->natd.verify);
	run_for(f, LOOK_FOR);
}

/* Looks before and after this connection; whether it proves the mapping. */
static bool proves(struct ring_fixture *f, enum portmap_family family, const char *local,
		   const char *peer, bool mapped)
{
	struct verify_world *w;
	bool proven;

	fake_kernel_reset();
	w = begin(f, PORTMAP_TCP, family);
	socket_add(0, family == PORTMAP_IPV4 ? "0.0.0.0:8443" : "[::]:8443", NULL);
	look_now(f, w);
	assert_int_equal(w->mapping.state, MAPPING_MAPPED);
	assert_non_null(strstr(w->mapping.proof, "nothing has come in from outside yet"));
	socket_add(1, local, peer);
	fake_kernel.sockets[1].mapped = mapped;
	look_now(f, w);
	proven = w->mapping.state == MAPPING_VERIFIED;
	if (proven) {
		assert_non_null(strstr(w->mapping.proof, peer));
		assert_int_equal(w->changes, 1);
	} else {
		assert_non_null(strstr(w->mapping.proof, "nothing has come in"));
	}
	end(f, w);
	return proven;
}

static void a_connection_from_outside_is_proof(void **state)
{
	struct ring_fixture *f = ring_fixture(state);

	assert_true(proves(f, PORTMAP_IPV4, OWN ":8443", "8.8.4.4:50000", false));
	assert_true(proves(f, PORTMAP_IPV4, OWN ":8443", "8.8.4.4:50000", true));
	assert_true(proves(f, PORTMAP_IPV6, "[2001:db8::7]:8443", "[2600::1]:50000", false));
	/* From the external address of another home, whose last octet differs. */
	assert_true(proves(f, PORTMAP_IPV4, OWN ":8443", "45.0.0.11:50000", false));
}

/* The gateway sends it back into the LAN: its source is the external address itself. */
static void a_hairpin_is_no_proof(void **state)
{
	struct ring_fixture *f = ring_fixture(state);

	assert_false(proves(f, PORTMAP_IPV4, OWN ":8443", "45.0.0.10:50000", false));
	assert_false(proves(f, PORTMAP_IPV4, OWN ":8443", "45.0.0.10:50000", true));
}

/* The router has another address since: one by the address of before is still none. */
static void a_hairpin_by_the_address_of_before_is_no_proof(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct verify_world *w;

	fake_kernel_reset();
	w = begin(f, PORTMAP_TCP, PORTMAP_IPV4);
	socket_add(0, "0.0.0.0:8443", NULL);
	look_now(f, w);
	socket_add(1, OWN ":8443", "45.0.0.10:50000");
	w->mapping.external = address("45.0.0.11:443");
	look_now(f, w);
	look_now(f, w);
	assert_int_equal(w->mapping.state, MAPPING_MAPPED);
	socket_add(2, OWN ":8443", "45.0.0.10:50001"); /* another home's by now */
	look_now(f, w);
	assert_int_equal(w->mapping.state, MAPPING_VERIFIED);
	end(f, w);
}

static void what_did_not_need_the_mapping_is_no_proof(void **state)
{
	struct ring_fixture *f = ring_fixture(state);

	assert_false(proves(f, PORTMAP_IPV4, OWN ":8443", "192.168.1.9:50000", false));
	assert_false(proves(f, PORTMAP_IPV4, OWN ":8443", "10.1.1.1:50000", false));
	assert_false(proves(f, PORTMAP_IPV4, OWN ":8443", "100.64.0.1:50000", false));
	assert_false(proves(f, PORTMAP_IPV4, OWN ":8443", "127.0.0.1:50000", false));
	/* To another address of this host. */
	assert_false(proves(f, PORTMAP_IPV4, "192.168.1.8:8443", "8.8.4.4:50000", false));
	assert_false(proves(f, PORTMAP_IPV6, "[2001:db8::7]:8443", "[2001:db8::9]:5000", false));
	assert_false(proves(f, PORTMAP_IPV6, "[2001:db8::7]:8443", "[fd00::1]:5000", false));
	assert_false(proves(f, PORTMAP_IPV6, "[2001:db8::7]:8443", "[fe80::1]:5000", false));
	/* To another port. */
	assert_false(proves(f, PORTMAP_IPV4, OWN ":8444", "8.8.4.4:50000", false));
}

/* A host of the LAN that has a public address of its own: what is on the link needs no mapping. */
static void a_neighbour_with_a_public_address_is_no_proof(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct verify_world *w;

	fake_kernel_reset();
	w = begin(f, PORTMAP_TCP, PORTMAP_IPV4);
	w->natd.network.places[PORTMAP_IPV4].source = address("9.9.9.7:1");
	socket_add(0, "0.0.0.0:8443", NULL);
	look_now(f, w);
	socket_add(1, "9.9.9.7:8443", "9.9.9.8:50000");
	look_now(f, w);
	assert_int_equal(w->mapping.state, MAPPING_MAPPED);
	socket_add(2, "9.9.9.7:8443", "9.9.8.8:50000");
	look_now(f, w);
	assert_int_equal(w->mapping.state, MAPPING_VERIFIED);
	assert_non_null(strstr(w->mapping.proof, "9.9.8.8:50000"));
	end(f, w);
}

/* What was there before the mapping proves nothing; nor when the mapping came anew. */
static void earlier_connections_are_no_proof(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct verify_world *w;

	fake_kernel_reset();
	w = begin(f, PORTMAP_TCP, PORTMAP_IPV4);
	socket_add(0, "0.0.0.0:8443", NULL);
	socket_add(1, OWN ":8443", "8.8.4.4:50000");
	look_now(f, w);
	look_now(f, w);
	assert_int_equal(w->mapping.state, MAPPING_MAPPED);
	socket_add(2, OWN ":8443", "8.8.4.4:50001"); /* the same host, a new connection */
	look_now(f, w);
	assert_int_equal(w->mapping.state, MAPPING_VERIFIED);
	/* The gateway restarted; the same connections are carried on, and one came in meanwhile. */
	w->mapping.state = MAPPING_MAPPED;
	w->mapping.mapped_ms++;
	socket_add(3, OWN ":8443", "8.8.4.4:50003");
	look_now(f, w);
	assert_int_equal(w->mapping.state, MAPPING_MAPPED);
	/* Another mapping's list is not this one's. */
	w->mapping.id = 6;
	fake_kernel.sockets[2].local = NULL;
	look_now(f, w);
	socket_add(2, OWN ":8443", "8.8.4.4:50001");
	look_now(f, w);
	assert_int_equal(w->mapping.state, MAPPING_VERIFIED);
	end(f, w);
}

/* At the limit they are told apart; beyond it nothing proves the mapping. */
static void too_many_earlier_connections(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	static char peers[VISITS_MAX + 2][24];

	for (size_t i = 0; i < VISITS_MAX + 2; i++)
		snprintf(peers[i], sizeof(peers[i]), "8.8.4.4:%zu", 1000 + i);
	for (size_t more = 0; more < 2; more++) {
		size_t count = VISITS_MAX + more;
		struct verify_world *w;

		fake_kernel_reset();
		w = begin(f, PORTMAP_TCP, PORTMAP_IPV4);
		socket_add(0, "0.0.0.0:8443", NULL);
		for (size_t i = 0; i < count; i++)
			socket_add(1 + i, OWN ":8443", peers[i]);
		look_now(f, w);
		socket_add(1 + count, OWN ":8443", peers[VISITS_MAX + 1]);
		look_now(f, w);
		assert_int_equal(w->mapping.state, more ? MAPPING_MAPPED : MAPPING_VERIFIED);
		end(f, w);
	}
}

static void what_cannot_be_seen_is_told(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct verify_world *w;

	fake_kernel_reset();
	w = begin(f, PORTMAP_TCP, PORTMAP_IPV4);
	look_now(f, w);
	assert_non_null(strstr(w->mapping.proof, "no program listens"));
	socket_add(0, "0.0.0.0:8443", NULL);
	fake_kernel.ask_error = EPERM;
	look_now(f, w);
	assert_non_null(strstr(w->mapping.proof, "does not tell which connections"));
	w->mapping.want.host = address("192.168.1.9:8443");
	look_now(f, w);
	assert_non_null(strstr(w->mapping.proof, "leads to another host"));
	assert_int_equal(w->mapping.state, MAPPING_MAPPED);
	end(f, w);

	fake_kernel_reset();
	fake_kernel.open_error = EPROTONOSUPPORT; /* a kernel without sock_diag */
	w = begin(f, PORTMAP_TCP, PORTMAP_IPV4);
	look_now(f, w);
	assert_non_null(strstr(w->mapping.proof, "does not tell which connections"));
	end(f, w);
}

/* One that could not be asked at first may have had such a connection: it proves nothing later. */
static void a_kernel_that_was_silent_at_first(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct verify_world *w;

	fake_kernel_reset();
	w = begin(f, PORTMAP_TCP, PORTMAP_IPV4);
	socket_add(0, "0.0.0.0:8443", NULL);
	fake_kernel.ask_error = EBUSY;
	look_now(f, w);
	fake_kernel.ask_error = 0;
	socket_add(1, OWN ":8443", "8.8.4.4:50000");
	look_now(f, w);
	assert_int_equal(w->mapping.state, MAPPING_MAPPED);
	end(f, w);
}

/* A port on which no program listens is the kernel's to take for what this host connects to. */
static void what_this_host_connects_to_is_no_visit(void **state)
{
	static const char *const listeners[] = {NULL, "127.0.0.1:8443", "192.168.1.8:8443"};
	struct ring_fixture *f = ring_fixture(state);
	struct fake_socket gone = {.local = OWN ":8443", .peer = "8.8.4.4:443"};

	for (size_t i = 0; i < sizeof(listeners) / sizeof(listeners[0]); i++) {
		struct verify_world *w;

		fake_kernel_reset();
		w = begin(f, PORTMAP_TCP, PORTMAP_IPV4);
		socket_add(0, listeners[i], NULL);
		look_now(f, w);
		socket_add(1, OWN ":8443", "8.8.4.4:443");
		look_now(f, w);
		gone.peer = "8.8.4.5:443";
		fake_kernel_ended(&gone, true);
		run_for(f, 2 * VISITS_ENDS_MS);
		assert_int_equal(w->mapping.state, MAPPING_MAPPED);
		assert_non_null(strstr(w->mapping.proof, "no program listens"));
		/* One that came since it was looked at. */
		socket_add(2, OWN ":8443", NULL);
		gone.peer = "8.8.4.6:50000";
		fake_kernel_ended(&gone, true);
		run_for(f, 2 * VISITS_ENDS_MS);
		assert_int_equal(w->mapping.state, MAPPING_VERIFIED);
		end(f, w);
	}
}

/* Visits that are over when it is looked at: also those of which nothing is left. */
static void visits_that_were_short_are_proof(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	static const uint8_t states[] = {4, 5, 6, 8, 9, 11}; /* FIN_WAIT1 to CLOSING */
	struct fake_socket gone = {.local = OWN ":8443", .peer = "8.8.4.4:50000"};
	struct verify_world *w;

	for (size_t i = 0; i < sizeof(states); i++) {
		fake_kernel_reset();
		w = begin(f, PORTMAP_TCP, PORTMAP_IPV4);
		socket_add(0, "0.0.0.0:8443", NULL);
		look_now(f, w);
		socket_add(1, OWN ":8443", "8.8.4.4:50000");
		fake_kernel.sockets[1].state = states[i];
		look_now(f, w);
		assert_int_equal(w->mapping.state, MAPPING_VERIFIED);
		end(f, w);
	}
	fake_kernel_reset();
	w = begin(f, PORTMAP_TCP, PORTMAP_IPV4);
	socket_add(0, "0.0.0.0:8443", NULL);
	look_now(f, w);
	fake_kernel_ended(&gone, true);
	run_for(f, LOOK_FOR);
	assert_int_equal(w->mapping.state, MAPPING_VERIFIED);
	assert_non_null(strstr(w->mapping.proof, gone.peer));
	end(f, w);
}

/* Nor does what ends prove more than what is there. */
static void ends_that_are_no_proof(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	static const char *const peers[] = {"192.168.1.9:50000", "45.0.0.10:50000", "10.1.1.1:5"};
	struct fake_socket s = {.local = OWN ":8443"};
	struct verify_world *w;

	fake_kernel_reset();
	w = begin(f, PORTMAP_TCP, PORTMAP_IPV4);
	socket_add(0, "0.0.0.0:8443", NULL);
	socket_add(1, OWN ":8443", "8.8.4.4:50000"); /* from before the mapping */
	look_now(f, w);
	for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
		s.peer = peers[i];
		fake_kernel_ended(&s, true);
	}
	s.peer = "8.8.4.4:50000";
	fake_kernel_ended(&s, true);
	s.peer = "8.8.4.4:50001"; /* a try of our own */
	fake_kernel_ended(&s, false);
	s.local = OWN ":8444";
	fake_kernel_ended(&s, true);
	run_for(f, 3 * VISITS_ENDS_MS);
	assert_int_equal(w->mapping.state, MAPPING_MAPPED);
	s.local = OWN ":8443";
	fake_kernel_ended(&s, true);
	run_for(f, 2 * VISITS_ENDS_MS);
	assert_int_equal(w->mapping.state, MAPPING_VERIFIED);
	end(f, w);
}

/* Each visit renews the proof, once: one that waits here when it is over is no second one. */
static void a_proof_is_as_old_as_the_last_visit(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct fake_socket s = {.local = OWN ":8443", .peer = "8.8.4.4:50000"};
	struct verify_world *w;
	uint64_t first_ms;

	fake_kernel_reset();
	w = begin(f, PORTMAP_TCP, PORTMAP_IPV4);
	socket_add(0, "0.0.0.0:8443", NULL);
	look_now(f, w);
	fake_kernel_ended(&s, true);
	run_for(f, LOOK_FOR);
	first_ms = w->mapping.proven_ms;
	socket_add(1, OWN ":8443", "8.8.4.4:50000");
	fake_kernel.sockets[1].state = 6; /* TIME_WAIT */
	run_for(f, 2 * RECHECK_MS);
	assert_int_equal(w->mapping.proven_ms, first_ms);
	socket_add(2, OWN ":8443", "8.8.4.4:50001"); /* and stays */
	run_for(f, RECHECK_MS + VERIFY_LOOK_MAX_MS);
	assert_true(w->mapping.proven_ms >= first_ms + 2 * RECHECK_MS);
	first_ms = w->mapping.proven_ms;
	run_for(f, 3 * RECHECK_MS);
	assert_int_equal(w->mapping.proven_ms, first_ms);
	assert_int_equal(w->mapping.state, MAPPING_VERIFIED);
	run_for(f, PORTMAP_PROOF_MS);
	assert_int_equal(w->mapping.state, MAPPING_MAPPED);
	assert_non_null(strstr(w->mapping.proof, "nothing has come in"));
	assert_in_range(w->mapping.unproven_ms, first_ms + PORTMAP_PROOF_MS,
			first_ms + PORTMAP_PROOF_MS + RECHECK_MS + VERIFY_LOOK_MAX_MS);
	end(f, w);
}

/* Looked at again by itself, and no longer once it is verified or gone. */
static void it_is_looked_at_again(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct verify_world *w;
	unsigned asked;

	fake_kernel_reset();
	w = begin(f, PORTMAP_TCP, PORTMAP_IPV4);
	socket_add(0, "0.0.0.0:8443", NULL);
	look_now(f, w);
	socket_add(1, OWN ":8443", "8.8.4.4:50000");
	run_for(f, VERIFY_LOOK_MS * 3 / 2 + 200);
	assert_int_equal(w->mapping.state, MAPPING_VERIFIED);
	w->mapping.state = MAPPING_MAPPED;
	w->mapping.mapped_ms++;
	look_now(f, w);
	verify_forget(w->natd.verify);
	asked = fake_kernel.asked;
	run_for(f, VERIFY_LOOK_MS * 3 / 2 + 200);
	assert_int_equal(fake_kernel.asked, asked);
	end(f, w);
}

/* ---- UDP ---- */

static struct verify_world *begin_udp(struct ring_fixture *f, struct fake_stun *s)
{
	struct verify_world *w;

	fake_kernel_reset();
	fake_stun_open(s, f, 9);
	w = begin(f, PORTMAP_UDP, PORTMAP_IPV4);
	w->natd.network.places[PORTMAP_IPV4].source = test_loopback(7, 0);
	w->natd.config.stun.count = 1;
	w->outside.count = 1;
	w->outside.names[0].address[PORTMAP_IPV4] = fake_stun_address(s);
	s->seen = w->mapping.external;
	return w;
}

/* Runs the check to its end. */
static void check(struct ring_fixture *f, struct verify_world *w)
{
	look_now(f, w);
	for (int i = 0; i < 200 && !w->mapping.proof[0]; i++)
		run_for(f, 10);
	assert_true(w->mapping.proof[0]);
}

static void finish_udp(struct ring_fixture *f, struct verify_world *w, struct fake_stun *s)
{
	struct addr port = test_loopback(7, 8443);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	run_for(f, 20);
	assert_int_equal(bind(fd, &port.sa, port.len), 0); /* the port is free again */
	close(fd);
	end(f, w);
	fake_stun_close(s, f);
}

static void a_datagram_from_elsewhere_is_proof(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct fake_stun s;
	struct verify_world *w = begin_udp(f, &s);
	char other[ADDR_TEXT_BYTES];

	check(f, w);
	assert_int_equal(w->mapping.state, MAPPING_VERIFIED);
	addr_format(&s.behaviour.places[1][1], other);
	assert_non_null(strstr(w->mapping.proof, other));
	assert_int_equal(s.changes, 1);
	finish_udp(f, w, &s);
}

static void no_datagram_from_elsewhere_is_none(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct fake_stun s;
	struct verify_world *w = begin_udp(f, &s);

	s.deaf_to_changes = true;
	judged = 0;
	check(f, w);
	assert_int_equal(w->mapping.state, MAPPING_MAPPED);
	assert_non_null(strstr(w->mapping.proof, "other address did not arrive"));
	assert_in_range(s.changes, 2, 3);
	/* The server's other address answers, so it is the way here that lets nothing in. */
	assert_true(verify_kept_out(w->natd.verify));
	assert_int_equal(judged, 1);
	verify_forget(w->natd.verify);
	assert_false(verify_kept_out(w->natd.verify));
	finish_udp(f, w, &s);
}

/* A server whose other address nobody reaches shows nothing of the way here. */
static void an_other_address_that_is_dead_shows_nothing(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct fake_stun s;
	struct verify_world *w = begin_udp(f, &s);

	s.other_is_dead = true;
	check(f, w);
	assert_int_equal(w->mapping.state, MAPPING_MAPPED);
	assert_non_null(strstr(w->mapping.proof, "other address, which has to prove it, does not"));
	assert_false(verify_kept_out(w->natd.verify));
	finish_udp(f, w, &s);
}

/* Its name leads to this LAN, or to another one of the provider's, from one day to the next: that
 * says nothing of the mapping, which is not deleted for it. */
static void a_stun_server_on_this_side_proves_nothing(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	static const char *const seen[] = {"192.168.1.7:8443", "100.64.3.4:8443"};

	for (size_t i = 0; i < 2; i++) {
		struct fake_stun s;
		struct verify_world *w = begin_udp(f, &s);

		check(f, w);
		assert_int_equal(w->mapping.state, MAPPING_VERIFIED);
		s.seen = address(seen[i]);
		run_for(f, 3 * RECHECK_MS);
		assert_int_equal(w->mapping.state, MAPPING_VERIFIED);
		assert_int_equal(w->mapping.step, MAPPING_HELD);
		run_for(f, PORTMAP_PROOF_MS + 12 * RECHECK_MS);
		assert_int_equal(w->mapping.state, MAPPING_MAPPED);
		assert_non_null(strstr(w->mapping.proof, "from this side of a NAT"));
		finish_udp(f, w, &s);
	}
}

static void other_ends_of_the_udp_check(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	static const char *const ends[] = {"does not answer", "refuses to answer",
					   "only a STUN server with two addresses",
					   "outside sees the port as 45.0.0.10:444"};

	for (size_t i = 0; i < 4; i++) {
		struct fake_stun s;
		struct verify_world *w = begin_udp(f, &s);

		s.deaf = i == 0;
		s.refuses = i == 1;
		s.one_address = i == 2;
		if (i == 3) /* the address is right, the port is not */
			s.seen = address("45.0.0.10:444");
		check(f, w);
		assert_int_equal(w->mapping.state, MAPPING_MAPPED);
		if (!strstr(w->mapping.proof, ends[i]))
			fail_msg("%s", w->mapping.proof);
		assert_true(i == 0 ? s.requests >= 2 : s.requests == 1);
		finish_udp(f, w, &s);
	}
}

/* An answer from the address that was written to could have come in without the mapping. */
static void an_answer_from_the_usual_address_is_no_proof(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct fake_stun s;
	struct verify_world *w = begin_udp(f, &s);

	s.ignores_changes = true;
	check(f, w);
	assert_int_equal(w->mapping.state, MAPPING_MAPPED);
	assert_non_null(strstr(w->mapping.proof, "other address did not arrive"));
	finish_udp(f, w, &s);
}

/* Nonsense and answers to another question change nothing. */
static void what_is_no_answer_is_no_proof(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct fake_stun s;
	struct verify_world *w = begin_udp(f, &s);

	s.garbles = true;
	check(f, w);
	assert_int_equal(w->mapping.state, MAPPING_VERIFIED);
	finish_udp(f, w, &s);
}

static void a_port_in_use_is_left_alone(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct fake_stun s;
	struct verify_world *w = begin_udp(f, &s);
	struct addr port = test_loopback(7, 8443);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, &port.sa, port.len), 0);
	check(f, w);
	assert_non_null(strstr(w->mapping.proof, "a program has the port"));
	assert_int_equal(s.requests, 0);
	close(fd);
	w->mapping.proof[0] = '\0';
	look_now(f, w); /* not before a minute */
	assert_int_equal(s.requests, 0);
	w->mapping.mapped_ms++; /* mapped anew */
	check(f, w);
	assert_int_equal(w->mapping.state, MAPPING_VERIFIED);
	finish_udp(f, w, &s);
}

static void without_a_server_it_is_told(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct fake_stun s;
	struct verify_world *w = begin_udp(f, &s);

	w->outside.count = 0;
	check(f, w);
	assert_non_null(strstr(w->mapping.proof, "no STUN server is known here"));
	w->natd.config.stun.count = 0;
	w->mapping.mapped_ms++;
	w->mapping.proof[0] = '\0';
	check(f, w);
	assert_non_null(strstr(w->mapping.proof, "name a STUN server"));
	finish_udp(f, w, &s);
}

/* Proved again at each recheck; one datagram that is lost does not end it, two in a row do. */
static void a_udp_proof_is_renewed_and_falls(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct fake_stun s;
	struct verify_world *w = begin_udp(f, &s);
	char other[ADDR_TEXT_BYTES];
	unsigned changes;
	uint64_t first_ms;

	check(f, w);
	first_ms = w->mapping.proven_ms;
	run_for(f, RECHECK_MS + 2000);
	assert_in_range(w->mapping.proven_ms, first_ms + RECHECK_MS, first_ms + RECHECK_MS + 2000);
	/* From the other port: a NAT may remember who came in before. */
	addr_format(&s.behaviour.places[1][0], other);
	assert_non_null(strstr(w->mapping.proof, other));
	first_ms = w->mapping.proven_ms;
	s.deaf_to_changes = true;
	run_for(f, RECHECK_MS + 1500); /* one has failed */
	assert_int_equal(w->mapping.state, MAPPING_VERIFIED);
	s.deaf_to_changes = false;
	run_for(f, 5000);
	assert_int_equal(w->mapping.state, MAPPING_VERIFIED);
	assert_true(w->mapping.proven_ms > first_ms + RECHECK_MS);
	changes = s.changes;
	s.deaf_to_changes = true;
	while (s.changes == changes)
		run_for(f, 100);
	run_for(f, 2000); /* another one has failed, which is the first in a row again */
	assert_int_equal(w->mapping.state, MAPPING_VERIFIED);
	s.deaf_to_changes = false;
	run_for(f, 5000);
	s.deaf_to_changes = true;
	w->mapping.step = MAPPING_RENEWING; /* the engine does no more than tell */
	run_for(f, RECHECK_MS + 8000);
	assert_int_equal(w->mapping.state, MAPPING_MAPPED);
	assert_non_null(strstr(w->mapping.proof, "other address did not arrive"));
	assert_true(w->mapping.unproven_ms > first_ms + 2 * RECHECK_MS);
	w->mapping.step = MAPPING_HELD;
	finish_udp(f, w, &s);
}

/* However often is looked: what came in a moment ago may come in because of that. */
static void a_udp_proof_is_not_renewed_within_a_minute(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct fake_stun s;
	struct verify_world *w = begin_udp(f, &s);

	w->natd.config.recheck_ms = 10000;
	check(f, w);
	run_for(f, 55000);
	assert_int_equal(s.changes, 1);
	run_for(f, 10000);
	assert_int_equal(s.changes, 2);
	finish_udp(f, w, &s);
}

/* A server that is silent says nothing about the mapping: its proof counts for a day. */
static void a_silent_server_does_not_end_a_proof_at_once(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct fake_stun s;
	struct verify_world *w = begin_udp(f, &s);

	check(f, w);
	s.deaf = true;
	run_for(f, PORTMAP_PROOF_MS - 2 * RECHECK_MS);
	assert_int_equal(w->mapping.state, MAPPING_VERIFIED);
	run_for(f, 10 * RECHECK_MS);
	assert_int_equal(w->mapping.state, MAPPING_MAPPED);
	assert_non_null(strstr(w->mapping.proof, "does not answer"));
	finish_udp(f, w, &s);
}

/* A network that goes ends a check that is under way, and frees the port. */
static void a_network_that_goes_ends_the_check(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct fake_stun s;
	struct verify_world *w = begin_udp(f, &s);

	s.deaf = true;
	look_now(f, w);
	assert_int_equal(s.requests, 1);
	w->mapping.state = MAPPING_REQUESTED;
	verify_forget(w->natd.verify);
	run_for(f, 500);
	assert_int_equal(s.requests, 1);
	assert_string_equal(w->mapping.proof, "");
	finish_udp(f, w, &s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(a_connection_from_outside_is_proof),
		RING_TEST(a_hairpin_is_no_proof),
		RING_TEST(a_hairpin_by_the_address_of_before_is_no_proof),
		RING_TEST(what_did_not_need_the_mapping_is_no_proof),
		RING_TEST(a_neighbour_with_a_public_address_is_no_proof),
		RING_TEST(earlier_connections_are_no_proof),
		RING_TEST(too_many_earlier_connections),
		RING_TEST(what_cannot_be_seen_is_told),
		RING_TEST(a_kernel_that_was_silent_at_first),
		RING_TEST(what_this_host_connects_to_is_no_visit),
		RING_TEST(visits_that_were_short_are_proof),
		RING_TEST(ends_that_are_no_proof),
		RING_TEST(a_proof_is_as_old_as_the_last_visit),
		RING_TEST(it_is_looked_at_again),
		RING_TEST(a_datagram_from_elsewhere_is_proof),
		RING_TEST(no_datagram_from_elsewhere_is_none),
		RING_TEST(an_other_address_that_is_dead_shows_nothing),
		RING_TEST(other_ends_of_the_udp_check),
		RING_TEST(an_answer_from_the_usual_address_is_no_proof),
		RING_TEST(what_is_no_answer_is_no_proof),
		RING_TEST(a_port_in_use_is_left_alone),
		RING_TEST(without_a_server_it_is_told),
		RING_TEST(a_udp_proof_is_renewed_and_falls),
		RING_TEST(a_udp_proof_is_not_renewed_within_a_minute),
		RING_TEST(a_stun_server_on_this_side_proves_nothing),
		RING_TEST(a_silent_server_does_not_end_a_proof_at_once),
		RING_TEST(a_network_that_goes_ends_the_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
