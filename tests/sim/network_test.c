/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network_test: which of a host's default routes counts, which address of ours goes with it, and
 * when another one is noticed.
 *
 * links: portmap/network.c portmap/rtnetlink.c core/addr.c core/log*.c core/ring.c core/timer.c
 * links: tests/support/fake_kernel.c tests/support/ring_fixture_world.c tests/world/calls.c
 * links: tests/world/kernel.c tests/world/memory.c tests/world/packet.c tests/world/pipes.c
 * links: tests/world/ring_sim.c tests/world/store.c tests/world/stream.c
 * links: tests/world/stream_connect.c tests/world/world.c core/memory.c
 */
#include "tests/support/ring_fixture.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <unistd.h>

#include "portmap/network.h"
#include "portmap/rtnetlink.h"
#include "tests/support/fake_kernel.h"

#define V4 PORTMAP_IPV4
#define V6 PORTMAP_IPV6

static unsigned changes;

static void network_was_changed(struct network_watch *w)
{
	changes++;
}

/* A home: eth0 with IPv4 and IPv6, and a tunnel. */
static void home(void)
{
	fake_kernel_reset();
	fake_kernel.links[0] = (struct fake_link){.index = 2, .name = "eth0"};
	fake_kernel.links[1] = (struct fake_link){.index = 3, .name = "wlan0"};
	fake_kernel.links[2] = (struct fake_link){.index = 4, .name = "wg0", .tunnel = true};
	fake_kernel.addresses[0] = (struct fake_address){2, "192.168.1.7", 24, 0, 0};
	fake_kernel.addresses[1] = (struct fake_address){3, "10.0.0.7", 8, 0, 0};
	fake_kernel.addresses[2] = (struct fake_address){4, "10.9.9.1", 32, 0, 0};
	fake_kernel.routes[0] =
		(struct fake_route){.index = 2, .gateway = "192.168.1.1", .metric = 100};
}

static struct network_watch watch;

static void start(struct ring_fixture *f)
{
	changes = 0;
	watch = (struct network_watch){.ring = f->r,
				       .interface = watch.interface,
				       .gateway = watch.gateway,
				       .changed = network_was_changed};
	assert_int_equal(network_watch_start(&watch), 0);
}

static void stop(struct ring_fixture *f)
{
	while (!network_watch_stop(&watch))
		run_for(f, 1);
	assert_true(network_watch_stop(&watch));
	assert_int_equal(fake_kernel.open, 0);
	fake_kernel_close();
	watch.interface = NULL;
}

static void assert_place(enum portmap_family f, const char *gateway, const char *source,
			 unsigned prefix, unsigned index)
{
	const struct portmap_place *p = &watch.now.places[f];
	char text[ADDR_TEXT_BYTES];

	addr_format_host(&p->gateway, text);
	assert_string_equal(p->gateway.len > 0 ? text : "", gateway);
	addr_format_host(&p->source, text);
	assert_string_equal(text, source);
	assert_int_equal(p->prefix, prefix);
	assert_int_equal(p->index, index);
}

/* What the kernel has now, as a program that starts sees it. */
static void look(struct ring_fixture *f, const char *interface)
{
	watch.interface = interface;
	start(f);
}

static void the_lowest_metric_counts(void **state)
{
	struct ring_fixture *f = ring_fixture(state);

	home();
	fake_kernel.routes[1] =
		(struct fake_route){.index = 3, .gateway = "10.0.0.1", .metric = 50};
	fake_kernel.routes[2] =
		(struct fake_route){.index = 3, .gateway = "10.0.0.2", .metric = 60};
	look(f, NULL);
	assert_true(watch.now.up);
	assert_string_equal(watch.now.interface, "wlan0");
	assert_place(V4, "10.0.0.1", "10.0.0.7", 8, 3);
	assert_int_equal(watch.now.places[V6].gateway.len, 0);
	stop(f);
	fake_kernel.routes[1].metric = 100; /* the same: the first one stays */
	fake_kernel.routes[2].metric = 101;
	look(f, NULL);
	assert_place(V4, "192.168.1.1", "192.168.1.7", 24, 2);
	stop(f);
}

/* Whether a route is passed over, though its metric is the lowest. */
static void passes_over(struct ring_fixture *f, const struct fake_route *route)
{
	home();
	fake_kernel.routes[1] = *route;
	look(f, NULL);
	assert_place(V4, "192.168.1.1", "192.168.1.7", 24, 2);
	stop(f);
}

static void what_leads_to_no_router_is_passed_over(void **state)
{
	struct ring_fixture *f = ring_fixture(state);

	passes_over(f, &(struct fake_route){.index = 4, .gateway = "10.9.9.9", .metric = 1});
	passes_over(f, &(struct fake_route){.index = 3, .gateway = "10.0.0.1", .table = 51});
	passes_over(f, &(struct fake_route){
			       .index = 3, .gateway = "10.0.0.1", .type = RTN_UNREACHABLE});
	passes_over(f, &(struct fake_route){.index = 9, .gateway = "10.0.0.1"}); /* no link */
	home();
	fake_kernel.links[1].down = true;
	fake_kernel.routes[1] = (struct fake_route){.index = 3, .gateway = "10.0.0.1"};
	look(f, NULL);
	assert_int_equal(watch.now.places[V4].index, 2);
	stop(f);
}

/* Rules choose the table, and half of the internet is a longer prefix than all of it. */
static void the_kernels_own_way_counts(void **state)
{
	struct ring_fixture *f = ring_fixture(state);

	home();
	fake_kernel.routes[1] =
		(struct fake_route){.index = 3, .gateway = "10.0.0.1", .metric = 900, .table = 100};
	look(f, NULL);
	assert_place(V4, "192.168.1.1", "192.168.1.7", 24, 2);
	stop(f);
	fake_kernel.rules[0] = (struct fake_rule){.table = 100};
	look(f, NULL);
	assert_place(V4, "10.0.0.1", "10.0.0.7", 8, 3);
	assert_string_equal(watch.now.interface, "wlan0");
	stop(f);
	fake_kernel.routes[0].index = 0; /* the main table has no default route at all */
	look(f, NULL);
	assert_place(V4, "10.0.0.1", "10.0.0.7", 8, 3);
	stop(f);
	/* A rule that is for others: there is no way, but by that interface. */
	fake_kernel.rules[0].from = "192.0.2.1";
	look(f, NULL);
	assert_false(watch.now.up);
	stop(f);
	look(f, "wlan0");
	assert_place(V4, "10.0.0.1", "10.0.0.7", 8, 3);
	stop(f);
	home();
	fake_kernel.routes[1] =
		(struct fake_route){.index = 3, .gateway = "10.0.0.1", .metric = 900, .length = 1};
	look(f, NULL);
	assert_place(V4, "10.0.0.1", "10.0.0.7", 8, 3);
	stop(f);
}

/* Behind a VPN the home's gateway is another default route's, also of another table. What is sent
 * from our address there may go into the tunnel, or past it. */
static void a_vpn_is_passed_over_and_told(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	uint64_t number;

	for (unsigned half = 2; half-- > 0;) {
		home();
		fake_kernel.routes[2] =
			(struct fake_route){.index = 3, .gateway = "10.0.0.1", .metric = 500};
		fake_kernel.routes[1] = (struct fake_route){
			.index = 4, .metric = half ? 900 : 1, .length = (uint8_t)half};
		look(f, NULL);
		assert_true(watch.now.up);
		assert_false(watch.now.link[V4]);
		assert_place(V4, "192.168.1.1", "192.168.1.7", 24, 2);
		assert_string_equal(watch.now.interface, "eth0");
		assert_string_equal(watch.now.tunnel, "wg0");
		stop(f);
	}
	fake_kernel.routes[2] =
		(struct fake_route){.index = 2, .gateway = "192.168.1.1", .table = 100};
	fake_kernel.rules[0] = (struct fake_rule){.table = 100, .from = "192.168.1.7"};
	look(f, NULL);
	assert_place(V4, "192.168.1.1", "192.168.1.7", 24, 2);
	assert_string_equal(watch.now.tunnel, "");
	number = watch.now.number;
	fake_kernel.rules[0].table = 0;
	fake_kernel_changed();
	run_for(f, 300);
	assert_int_equal(changes, 1);
	assert_string_equal(watch.now.tunnel, "wg0");
	assert_int_equal(watch.now.number, number); /* the network is the same */
	stop(f);
	/* The main table's route before others, whatever the metrics. */
	fake_kernel.routes[2] =
		(struct fake_route){.index = 3, .gateway = "10.0.0.1", .table = 100};
	look(f, NULL);
	assert_place(V4, "192.168.1.1", "192.168.1.7", 24, 2);
	stop(f);
	fake_kernel.routes[0].index = 0;
	look(f, NULL);
	assert_place(V4, "10.0.0.1", "10.0.0.7", 8, 3);
	stop(f);
	/* The VPN itself was named: it is no detour. */
	look(f, "wg0");
	assert_place(V4, "", "10.9.9.1", 32, 4);
	assert_true(watch.now.link[V4]);
	assert_string_equal(watch.now.tunnel, "");
	stop(f);
}

/* A tap is an Ethernet device, and has a gateway: its kind tells it from a network card. */
static void a_vpn_by_tap_is_told(void **state)
{
	static const struct {
		const char *kind;
		bool told;
	} kinds[] = {{"tun", true}, {"gretap", true}, {"xfrm", true}, {"vlan", false}};
	struct ring_fixture *f = ring_fixture(state);

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		home();
		fake_kernel.links[2].tunnel = false;
		fake_kernel.links[2].kind = kinds[i].kind;
		fake_kernel.routes[1] = (struct fake_route){
			.index = 4, .gateway = "10.9.9.9", .metric = 1, .length = 1};
		look(f, NULL);
		assert_string_equal(watch.now.interface, kinds[i].told ? "eth0" : "wg0");
		assert_string_equal(watch.now.tunnel, kinds[i].told ? "wg0" : "");
		stop(f);
	}
}

/* PPPoE, a modem: the line is a link, and no gateway is there. */
static void a_link_without_a_gateway_is_a_way_out(void **state)
{
	struct ring_fixture *f = ring_fixture(state);

	home();
	fake_kernel.routes[0] = (struct fake_route){.index = 4};
	look(f, NULL);
	assert_true(watch.now.up);
	assert_true(watch.now.link[V4]);
	assert_false(watch.now.link[V6]);
	assert_place(V4, "", "10.9.9.1", 32, 4);
	assert_string_equal(watch.now.interface, "wg0");
	assert_string_equal(watch.now.tunnel, "");
	assert_true(network_still_there(&watch, &watch.now));
	fake_kernel.routes[0] = (struct fake_route){.index = 4, .gateway = "10.9.9.9"};
	fake_kernel_changed();
	run_for(f, 300);
	assert_int_equal(changes, 1);
	assert_false(watch.now.link[V4]);
	assert_place(V4, "10.9.9.9", "10.9.9.1", 32, 4);
	/* And one of Ethernet; another default route of another interface is another line. */
	fake_kernel.routes[0] = (struct fake_route){.index = 3};
	fake_kernel.routes[1] =
		(struct fake_route){.index = 2, .gateway = "192.168.1.1", .metric = 100};
	fake_kernel_changed();
	run_for(f, 300);
	assert_int_equal(changes, 2);
	assert_true(watch.now.link[V4]);
	assert_place(V4, "", "10.0.0.7", 8, 3);
	fake_kernel.routes[1] = (struct fake_route){.index = 3, .gateway = "10.0.0.1", .metric = 9};
	fake_kernel_changed(); /* a gateway on the same link */
	run_for(f, 300);
	assert_false(watch.now.link[V4]);
	assert_place(V4, "10.0.0.1", "10.0.0.7", 8, 3);
	fake_kernel.routes[1].index = 0;
	/* It may have no address of its own. */
	fake_kernel.addresses[1].index = 9;
	fake_kernel.routes[0].preferred = "45.0.0.7";
	fake_kernel_changed();
	run_for(f, 300);
	assert_place(V4, "", "45.0.0.7", 32, 3);
	fake_kernel.routes[0].preferred = NULL;
	fake_kernel_changed();
	run_for(f, 300);
	assert_false(watch.now.up);
	assert_false(watch.now.link[V4]);
	stop(f);
}

/* Of routes that say no more than a nexthop object's number, also that of a group. */
static void nexthop_objects_are_followed(void **state)
{
	struct ring_fixture *f = ring_fixture(state);

	for (uint32_t id = 7; id <= 8; id++) {
		home();
		fake_kernel.routes[0].nexthop = id;
		fake_kernel.nexthops[0] = (struct fake_nexthop){.id = 8, .members = {7, 5}};
		fake_kernel.nexthops[1] =
			(struct fake_nexthop){.id = 7, .index = 2, .gateway = "192.168.1.1"};
		look(f, NULL);
		assert_place(V4, "192.168.1.1", "192.168.1.7", 24, 2);
		stop(f);
		fake_kernel.routes[1] = (struct fake_route){.index = 4, .metric = 1}; /* a VPN */
		look(f, NULL);
		assert_place(V4, "192.168.1.1", "192.168.1.7", 24, 2);
		assert_string_equal(watch.now.tunnel, "wg0");
		stop(f);
	}
	fake_kernel.nexthops[1].id = 0; /* it is gone: the tunnel is all there is */
	look(f, NULL);
	assert_place(V4, "", "10.9.9.1", 32, 4);
	stop(f);
}

/* A named interface counts alone, a tunnel as well. */
static void a_named_interface_counts_alone(void **state)
{
	struct ring_fixture *f = ring_fixture(state);

	home();
	fake_kernel.routes[1] =
		(struct fake_route){.index = 4, .gateway = "10.9.9.9", .metric = 500};
	look(f, "wg0");
	assert_string_equal(watch.now.interface, "wg0");
	assert_place(V4, "10.9.9.9", "10.9.9.1", 32, 4);
	network_watch_pin(&watch, NULL);
	run_for(f, 20);
	assert_int_equal(changes, 1);
	assert_string_equal(watch.now.interface, "eth0");
	network_watch_pin(&watch, "wlan0"); /* which has no route */
	run_for(f, 20);
	assert_int_equal(changes, 2);
	assert_false(watch.now.up);
	assert_false(watch.now.missing);
	assert_string_equal(watch.now.others, "");
	stop(f);
}

/* A slip in its name: there is none, and which there are is told, also when that changes. */
static void a_named_interface_may_be_missing(void **state)
{
	struct ring_fixture *f = ring_fixture(state);

	home();
	fake_kernel.links[3] = (struct fake_link){.index = 1, .name = "lo"};
	look(f, "ehh0");
	assert_true(watch.now.missing);
	assert_false(watch.now.up);
	assert_string_equal(watch.now.others, "eth0, wlan0, wg0");
	fake_kernel.links[2].name = NULL;
	fake_kernel_changed();
	run_for(f, 300);
	assert_int_equal(changes, 1);
	assert_string_equal(watch.now.others, "eth0, wlan0");
	fake_kernel.links[2].name = "ehh0"; /* it comes */
	fake_kernel_changed();
	run_for(f, 300);
	assert_int_equal(changes, 2);
	assert_false(watch.now.missing);
	/* One of many may not be among those that were read. */
	for (unsigned i = 0; i < FAKE_MAX; i++)
		fake_kernel.links[i] = (struct fake_link){.index = i + 2, .name = "veth0"};
	network_watch_pin(&watch, "ehh0");
	run_for(f, 20);
	assert_false(watch.now.missing);
	stop(f);
}

/* Another gateway than the route's, on the route's interface; of its family alone. */
static void a_named_gateway_is_asked_in_place_of_the_routes(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct addr named;

	home();
	assert_true(addr_from_literal("192.168.77.254", 0, &named));
	look(f, NULL);
	assert_false(watch.now.pair);
	assert_false(addr_same_host(&watch.now.places[V4].gateway, &named));
	watch.gateway = named;
	network_watch_pin(&watch, NULL);
	run_for(f, 20);
	assert_int_equal(changes, 1);
	assert_true(addr_equal(&watch.now.places[V4].gateway, &named));
	assert_true(watch.now.places[V4].source.len > 0);
	assert_true(addr_from_literal("fe80::77", 0, &watch.gateway));
	network_watch_pin(&watch, NULL);
	run_for(f, 20);
	assert_false(addr_same_host(&watch.now.places[V4].gateway, &named));
	if (watch.now.places[V6].gateway.len > 0)
		assert_int_equal(watch.now.places[V6].gateway.v6.sin6_scope_id,
				 watch.now.places[V6].index);
	watch.gateway.len = 0;
	stop(f);
}

/* It is on a link of this host: there it is asked, with a default route elsewhere and with none. */
static void a_named_gateway_needs_no_default_route(void **state)
{
	struct ring_fixture *f = ring_fixture(state);

	for (int with = 0; with < 2; with++) {
		home();
		fake_kernel.routes[with] = (struct fake_route){
			.index = 3, .to = "10.0.0.0", .length = 8, .preferred = "10.0.0.7"};
		if (!with)
			memset(&fake_kernel.routes[1], 0,
			       sizeof(fake_kernel.routes) - sizeof(fake_kernel.routes[0]));
		assert_true(addr_from_literal("10.0.0.9", 0, &watch.gateway));
		look(f, NULL);
		assert_true(watch.now.up);
		assert_place(V4, "10.0.0.9", "10.0.0.7", 8, 3);
		assert_string_equal(watch.now.interface, "wlan0");
		/* Without one what comes in is answered nowhere. */
		assert_int_equal(watch.now.unanswered, !with);
		/* Of the interface that was named. */
		network_watch_pin(&watch, "eth0");
		run_for(f, 20);
		assert_int_equal(watch.now.up, with);
		network_watch_pin(&watch, "wlan0");
		run_for(f, 20);
		assert_place(V4, "10.0.0.9", "10.0.0.7", 8, 3);
		/* Without it the default route counts. */
		watch.gateway.len = 0;
		network_watch_pin(&watch, NULL);
		run_for(f, 20);
		assert_int_equal(watch.now.up, with);
		stop(f);
	}
}

static void an_end_of_a_pair_is_known(void **state)
{
	struct ring_fixture *f = ring_fixture(state);

	home();
	for (size_t i = 0; i < FAKE_MAX; i++)
		fake_kernel.links[i].pair = true;
	look(f, NULL);
	assert_true(watch.now.pair);
	stop(f);
}

/* Ours: what the route asks for, else what shares the gateway's subnet, else the first. */
static void our_address_goes_with_the_gateway(void **state)
{
	struct ring_fixture *f = ring_fixture(state);

	home();
	fake_kernel.addresses[0] = (struct fake_address){2, "10.1.1.1", 24, 0, 0};
	fake_kernel.addresses[3] = (struct fake_address){2, "192.168.1.7", 24, 0, 0};
	fake_kernel.addresses[4] = (struct fake_address){2, "192.168.1.8", 25, 0, 0};
	look(f, NULL);
	assert_place(V4, "192.168.1.1", "192.168.1.7", 24, 2);
	stop(f);
	fake_kernel.routes[0].preferred = "192.168.1.8";
	look(f, NULL);
	assert_place(V4, "192.168.1.1", "192.168.1.8", 25, 2);
	stop(f);
	fake_kernel.routes[0] = (struct fake_route){.index = 2, .gateway = "172.16.0.1"};
	look(f, NULL);
	assert_place(V4, "172.16.0.1", "10.1.1.1", 24, 2);
	stop(f);
	fake_kernel.addresses[0].index = fake_kernel.addresses[3].index =
		fake_kernel.addresses[4].index = 3;
	look(f, NULL); /* no address at all: no gateway that could be asked */
	assert_false(watch.now.up);
	assert_int_equal(watch.now.places[V4].gateway.len, 0);
	stop(f);
}

static void the_first_of_several_next_hops_counts(void **state)
{
	struct ring_fixture *f = ring_fixture(state);

	home();
	fake_kernel.routes[0].nexthops = true;
	look(f, NULL);
	assert_place(V4, "192.168.1.1", "192.168.1.7", 24, 2);
	stop(f);
	look(f, "eth0"); /* out of the table itself */
	assert_place(V4, "192.168.1.1", "192.168.1.7", 24, 2);
	stop(f);
}

/* Over IPv6: a global address that will stay. The link-local gateway has its zone. */
static void an_ipv6_address_that_stays_is_chosen(void **state)
{
	static const struct fake_address unfit[] = {
		{2, "2001:db8::1", 64, IFA_F_TEMPORARY, 0},
		{2, "2001:db8::2", 64, IFA_F_DEPRECATED, 0},
		{2, "2001:db8::3", 64, IFA_F_TENTATIVE, 0},
		{2, "2001:db8::4", 64, IFA_F_DADFAILED, 0},
		{2, "fd00::5", 64, 0, 0},
		{2, "fe80::6", 64, 0, RT_SCOPE_LINK},
		{3, "2001:db8::7", 64, 0, 0},
	};
	struct ring_fixture *f = ring_fixture(state);
	char text[NETWORK_GATEWAY6_BYTES];

	home();
	fake_kernel.routes[1] = (struct fake_route){.index = 2, .gateway = "fe80::1"};
	for (size_t i = 0; i < sizeof(unfit) / sizeof(unfit[0]); i++)
		fake_kernel.addresses[3 + i] = unfit[i];
	look(f, NULL);
	assert_int_equal(watch.now.places[V6].source.len, 0);
	assert_int_equal(watch.now.places[V6].gateway.len, 0);
	stop(f);
	fake_kernel.addresses[12] = (struct fake_address){2, "2001:db8::9", 64, 0, 0};
	look(f, NULL);
	assert_place(V6, "fe80::1%2", "2001:db8::9", 64, 2);
	assert_place(V4, "192.168.1.1", "192.168.1.7", 24, 2);
	stop(f);
	fake_kernel.routes[0].index = 0; /* IPv6 alone */
	fake_kernel.routes[1].index = 3;
	fake_kernel.addresses[12].index = 3;
	fake_kernel.addresses[9].index = 2;
	look(f, NULL);
	assert_true(watch.now.up);
	assert_string_equal(watch.now.interface, "wlan0");
	assert_place(V6, "fe80::1%3", "2001:db8::9", 64, 3);
	network_gateway6_text(&watch.now, text);
	assert_string_equal(text, "fe80::1%wlan0");
	stop(f);
}

/* Changes come in bursts, and are looked at once; what differs not is not told. */
static void changes_are_noticed(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	uint64_t number;

	home();
	look(f, NULL);
	number = watch.now.number;
	fake_kernel_changed();
	run_for(f, 300);
	assert_int_equal(changes, 0);
	fake_kernel.routes[0].gateway = "192.168.1.254";
	unsigned asked = fake_kernel.asked;
	for (int i = 0; i < 80; i++) { /* without a pause: the look is not put off */
		fake_kernel_changed();
		run_for(f, 5);
	}
	assert_int_equal(changes, 1);
	run_for(f, 300);
	assert_int_equal(changes, 1);
	assert_int_equal(watch.now.number, number + 1);
	assert_place(V4, "192.168.1.254", "192.168.1.7", 24, 2);
	assert_in_range(fake_kernel.asked - asked, 1, 24); /* not eighty looks */
	fake_kernel.addresses[0].text = "192.168.1.9";
	fake_kernel_changed();
	run_for(f, 300);
	assert_int_equal(changes, 2);
	fake_kernel.addresses[0].prefix = 23;
	fake_kernel_changed();
	run_for(f, 300);
	assert_int_equal(changes, 3);
	fake_kernel.ask_error = EBUSY; /* routes that cannot be read are none */
	fake_kernel_changed();
	run_for(f, 300);
	assert_int_equal(changes, 4);
	assert_false(watch.now.up);
	stop(f);
}

static void the_old_gateway_can_be_reached_or_not(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct network was;

	home();
	look(f, NULL);
	was = watch.now;
	assert_true(network_still_there(&watch, &was));
	fake_kernel.routes[0].index = 0; /* another route, the same interface */
	assert_true(network_still_there(&watch, &was));
	fake_kernel.addresses[0].text = "192.168.1.9";
	assert_false(network_still_there(&watch, &was));
	fake_kernel.addresses[0].text = "192.168.1.7";
	fake_kernel.links[0].down = true;
	assert_false(network_still_there(&watch, &was));
	fake_kernel.links[0].name = NULL;
	assert_false(network_still_there(&watch, &was));
	was.up = false;
	assert_false(network_still_there(&watch, &was));
	stop(f);
}

static bool on_link(const char *text)
{
	struct addr a;

	assert_true(addr_from_literal(text, 0, &a));
	return network_on_link(&watch.now, &a);
}

static void the_lan_is_what_shares_our_subnet(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	const struct addr none = {.len = 0};

	home();
	fake_kernel.addresses[0].prefix = 23;
	fake_kernel.routes[1] = (struct fake_route){.index = 2, .gateway = "fe80::1"};
	fake_kernel.addresses[3] = (struct fake_address){2, "2001:db8::9", 64, 0, 0};
	look(f, NULL);
	assert_true(on_link("192.168.0.1"));
	assert_true(on_link("192.168.1.255"));
	assert_false(on_link("192.168.2.1"));
	assert_true(on_link("2001:db8::ffff"));
	assert_false(on_link("2001:db8:0:1::1"));
	assert_true(on_link("fe80::77"));
	assert_false(network_on_link(&watch.now, &none));
	stop(f);
}

static void what_cannot_be_opened_is_told(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct network_watch w = {.ring = f->r, .changed = network_was_changed};

	fake_kernel_reset();
	fake_kernel.open_error = EMFILE;
	assert_int_equal(network_watch_start(&w), -EMFILE);
}

static int way(struct netlink *n, struct rtnetlink_route *out)
{
	const struct addr any = {.len = 0};
	struct addr far;

	assert_true(addr_from_literal(NETWORK_FAR4, 0, &far));
	return rtnetlink_way(n, &far, &any, 0, out);
}

/* Messages that are short, long, or of attributes that do not fit. */
static void malformed_messages_are_passed_over(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct nlmsghdr *head = (struct nlmsghdr *)fake_kernel.canned;
	static const uint16_t types[] = {RTM_NEWROUTE, RTM_NEWADDR};

	for (size_t t = 0; t < 2; t++) {
		/* A good message, cut, with its attributes' lengths going wrong. */
		for (unsigned len = NLMSG_HDRLEN; len < 64; len++) {
			for (unsigned fill = 0; fill < 256; fill += 85) {
				home();
				memset(fake_kernel.canned, (int)fill, sizeof(fake_kernel.canned));
				*head = (struct nlmsghdr){.nlmsg_len = len,
							  .nlmsg_type = types[t],
							  .nlmsg_flags = NLM_F_MULTI};
				fake_kernel.canned_len = len;
				struct netlink n;
				struct rtnetlink_route routes[4];
				struct rtnetlink_address list[4];
				assert_int_equal(rtnetlink_open(&n), 0);
				int count = rtnetlink_default_routes(&n, AF_INET, routes, 4);
				assert_int_equal(count, 1);
				count = rtnetlink_addresses(&n, AF_INET, 2, list, 4);
				assert_int_equal(count, 1);
				assert_int_equal(way(&n, routes), 0);
				assert_int_equal(routes[0].index, 2);
				netlink_close(&n);
			}
		}
	}
	home();
	look(f, NULL);
	assert_place(V4, "192.168.1.1", "192.168.1.7", 24, 2);
	stop(f);
}

/* A table with more than there is room for: the first ones. */
static void more_than_there_is_room_for_is_left_out(void **state)
{
	struct rtnetlink_route routes[2] = {{.index = 0}, {.index = 99}};
	struct rtnetlink_address list[2] = {{.prefix = 0}, {.prefix = 99}};
	struct netlink n;

	home();
	fake_kernel.routes[1] = (struct fake_route){.index = 3, .gateway = "10.0.0.1"};
	fake_kernel.addresses[3] = (struct fake_address){2, "192.168.1.8", 24, 0, 0};
	assert_int_equal(rtnetlink_open(&n), 0);
	assert_int_equal(rtnetlink_default_routes(&n, AF_INET, routes, 1), 1);
	assert_int_equal(routes[0].index, 2);
	assert_int_equal(routes[1].index, 99);
	assert_int_equal(rtnetlink_addresses(&n, AF_INET, 2, list, 1), 1);
	assert_int_equal(list[1].prefix, 99);
	netlink_close(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(the_lowest_metric_counts),
		RING_TEST(what_leads_to_no_router_is_passed_over),
		RING_TEST(the_kernels_own_way_counts),
		RING_TEST(a_vpn_is_passed_over_and_told),
		RING_TEST(a_vpn_by_tap_is_told),
		RING_TEST(a_link_without_a_gateway_is_a_way_out),
		RING_TEST(nexthop_objects_are_followed),
		RING_TEST(a_named_interface_counts_alone),
		RING_TEST(a_named_interface_may_be_missing),
		RING_TEST(a_named_gateway_is_asked_in_place_of_the_routes),
		RING_TEST(a_named_gateway_needs_no_default_route),
		RING_TEST(an_end_of_a_pair_is_known),
		RING_TEST(our_address_goes_with_the_gateway),
		RING_TEST(the_first_of_several_next_hops_counts),
		RING_TEST(an_ipv6_address_that_stays_is_chosen),
		RING_TEST(changes_are_noticed),
		RING_TEST(the_old_gateway_can_be_reached_or_not),
		RING_TEST(the_lan_is_what_shares_our_subnet),
		RING_TEST(what_cannot_be_opened_is_told),
		RING_TEST(malformed_messages_are_passed_over),
		RING_TEST(more_than_there_is_room_for_is_left_out),
	};

	return RING_TESTS_RUN(tests);
}
