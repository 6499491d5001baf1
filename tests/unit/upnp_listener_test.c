/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upnp_listener_test: announcements by multicast on loopback; of a flood so much at a time.
 *
 * links: upnp/driver/listener.c upnp/ssdp.c upnp/location.c core/addr.c core/parse/text.c
 * links: core/ring.c core/ring_epoll.c core/ring_uring.c core/timer.c tests/support/ring_fixture.c
 */
#include "tests/support/ring_fixture.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/loopback.h"
#include "upnp/driver/listener.h"

#define GATEWAY "urn:schemas-upnp-org:device:InternetGatewayDevice:1"

static unsigned heard;
static struct ssdp_message last;
static struct addr last_from;

/* Other tests may announce on this interface at the same time: only ours count. */
static void listener_heard(struct upnp_listener *l, const struct addr *from,
			   const struct ssdp_message *m)
{
	struct addr ours = test_loopback(1, 0);

	if (!addr_same_host(from, &ours))
		return;
	heard++;
	last = *m;
	last_from = *from;
}

static void announce(const char *target, const char *nts, unsigned boot)
{
	const struct ip_mreqn out = {.imr_ifindex = (int)if_nametoindex("lo")};
	struct addr from = test_loopback(1, 0), place = test_loopback(1, 5000), group;
	char text[512], at[ADDR_TEXT_BYTES];
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), len;

	addr_format(&place, at);
	len = snprintf(text, sizeof(text),
		       "NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNT: %s\r\n"
		       "NTS: ssdp:%s\r\nLOCATION: http://%s/root.xml\r\n"
		       "BOOTID.UPNP.ORG: %u\r\nUSN: uuid:1::%s\r\n\r\n",
		       target, nts, at, boot, target);
	assert_true(addr_from_literal("239.255.255.250", SSDP_PORT, &group));
	assert_int_equal(bind(fd, &from.sa, from.len), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof(out)), 0);
	assert_int_equal(sendto(fd, text, (size_t)len, 0, &group.sa, group.len), len);
	close(fd);
}

static void start(struct ring_fixture *f, struct upnp_listener *l)
{
	heard = 0;
	*l = (struct upnp_listener){.ring = f->r, .heard = listener_heard};
	assert_int_equal(upnp_listener_start(l, AF_INET, if_nametoindex("lo")), 0);
}

static void stop(struct ring_fixture *f, struct upnp_listener *l)
{
	while (!upnp_listener_stop(l))
		run_for(f, 1);
	assert_true(upnp_listener_stop(l));
}

static void a_gateways_announcements_are_heard(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct upnp_listener l;

	start(f, &l);
	announce(GATEWAY, "alive", 7);
	run_for(f, 20);
	assert_int_equal(heard, 1);
	assert_int_equal(last.kind, SSDP_ALIVE);
	assert_int_equal(last.boot, 7);
	assert_int_equal(addr_port(&last.location.host), 5000);
	announce(GATEWAY, "byebye", 7);
	run_for(f, 20);
	assert_int_equal(heard, 2);
	assert_int_equal(last.kind, SSDP_BYEBYE);
	announce("urn:schemas-upnp-org:device:MediaServer:1", "alive", 7);
	announce(GATEWAY, "nonsense", 7);
	run_for(f, 20);
	assert_int_equal(heard, 2);
	stop(f, &l);
	announce(GATEWAY, "alive", 8);
	run_for(f, 20);
	assert_int_equal(heard, 2);
}

/* More than a burst: the rest after a pause, and nothing of it is lost. */
static void a_flood_is_read_in_bursts(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct upnp_listener l;

	start(f, &l);
	for (unsigned i = 0; i < 3 * LISTENER_BURST; i++)
		announce(GATEWAY, "alive", i);
	run_for(f, LISTENER_PAUSE_MS / 5);
	assert_in_range(heard, 1, LISTENER_BURST);
	run_for(f, 6 * LISTENER_PAUSE_MS);
	assert_int_equal(heard, 3 * LISTENER_BURST);
	announce(GATEWAY, "alive", 999); /* one that comes later is heard at once again */
	run_for(f, 20);
	assert_int_equal(last.boot, 999);
	for (unsigned i = 0; i < 2 * LISTENER_BURST; i++)
		announce(GATEWAY, "alive", i);
	run_for(f, LISTENER_PAUSE_MS / 5);
	stop(f, &l); /* in a pause */
	run_for(f, 2 * LISTENER_PAUSE_MS);
}

static void what_was_never_started_is_stopped(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct upnp_listener l = {.ring = f->r, .heard = listener_heard};

	assert_true(upnp_listener_stop(&l));
	assert_true(upnp_listener_start(&l, AF_INET, 123456) < 0); /* no such interface */
	assert_true(upnp_listener_stop(&l));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(a_gateways_announcements_are_heard),
		RING_TEST(a_flood_is_read_in_bursts),
		RING_TEST(what_was_never_started_is_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
