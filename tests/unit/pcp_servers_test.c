/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcp_servers_test: the gateway's PCP server and the provider's behind it, as one.
 * links: natpmp/driver/pcp_servers.c natpmp/pcp.c core/addr.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "natpmp/driver/pcp_servers.h"

/* ---- a server's driver, and the engine ---- */

struct fake {
	struct portmap_driver driver; /* first */
	unsigned probes, maps, unmaps, forgets, stops, releases;
};

static struct fake gateway, provider;
static struct portmap_heard engine;
static struct pcp_servers *servers;
static unsigned available, unavailable, restarted, moved, mapped, failed, unmapped, stopped;
static enum portmap_failure failure;
static uint32_t waits_s;
static char told[PORTMAP_TEXT_BYTES];

#define COUNTS(name, field)                                                                        \
	static void name(struct portmap_driver *d)                                                 \
	{                                                                                          \
		((struct fake *)d)->field++;                                                       \
	}
COUNTS(fake_probe, probes)
COUNTS(fake_stop, stops)
COUNTS(fake_release, releases)

static void fake_map(struct portmap_driver *d, const struct portmap_request *r)
{
	((struct fake *)d)->maps++;
}

static void fake_unmap(struct portmap_driver *d, const struct portmap_request *r)
{
	((struct fake *)d)->unmaps++;
}

static void fake_forget(struct portmap_driver *d, uint32_t id)
{
	((struct fake *)d)->forgets++;
}

static void on_available(struct portmap_heard *h, enum portmap_protocol p, enum portmap_family f,
			 const struct portmap_gateway *g)
{
	assert_ptr_equal(h, &engine);
	available++;
	snprintf(told, sizeof(told), "%s", g->about);
}

static void on_unavailable(struct portmap_heard *h, enum portmap_protocol p, enum portmap_family f,
			   enum portmap_failure why, const char *text)
{
	assert_ptr_equal(h, &engine);
	assert_int_equal(f, PORTMAP_IPV4);
	unavailable++;
	failure = why;
	snprintf(told, sizeof(told), "%s", text);
}

static void on_restarted(struct portmap_heard *h, enum portmap_protocol p, enum portmap_family f,
			 const char *why)
{
	restarted++;
}

static void on_moved(struct portmap_heard *h, enum portmap_protocol p, const struct addr *external)
{
	moved++;
}

static void on_mapped(struct portmap_heard *h, enum portmap_protocol p, uint32_t id,
		      const struct addr *external, uint32_t lifetime_s)
{
	mapped++;
}

static void on_failed(struct portmap_heard *h, enum portmap_protocol p, uint32_t id,
		      const struct portmap_refusal *refusal)
{
	failed++;
	waits_s = refusal->wait_s;
	snprintf(told, sizeof(told), "%s", refusal->why);
}

static void on_unmapped(struct portmap_heard *h, enum portmap_protocol p, uint32_t id, bool ok)
{
	unmapped++;
}

static void on_stopped(struct portmap_driver *d)
{
	assert_ptr_equal(d, &servers->base);
	stopped++;
}

static void begin(bool with_provider)
{
	const struct portmap_driver plain = {.protocol = PORTMAP_PCP,
					     .families = {[PORTMAP_IPV4] = true},
					     .probe = fake_probe,
					     .map = fake_map,
					     .unmap = fake_unmap,
					     .forget = fake_forget,
					     .stop = fake_stop,
					     .release = fake_release};

	available = unavailable = restarted = moved = mapped = failed = unmapped = stopped = 0;
	engine = (struct portmap_heard){.available = on_available,
					.unavailable = on_unavailable,
					.restarted = on_restarted,
					.external_changed = on_moved,
					.mapped = on_mapped,
					.failed = on_failed,
					.unmapped = on_unmapped};
	servers = calloc(1, sizeof(*servers));
	assert_non_null(servers);
	pcp_servers_init(servers, &engine);
	gateway = (struct fake){.driver = plain};
	provider = gateway;
	gateway.driver.heard = &servers->gateway.heard;
	provider.driver.heard = &servers->provider.heard;
	pcp_servers_start(servers, &gateway.driver, with_provider ? &provider.driver : NULL);
	servers->base.stopped = on_stopped;
	assert_true(servers->base.families[PORTMAP_IPV4]);
	assert_false(servers->base.families[PORTMAP_IPV6]);
	assert_ptr_equal(pcp_servers_gateway(&servers->base), &gateway.driver);
}

static void end(void)
{
	unsigned of = servers->provider.driver ? 2 : 1;

	servers->base.stop(&servers->base);
	assert_int_equal(gateway.stops + provider.stops, of);
	gateway.driver.stopped(&gateway.driver);
	assert_int_equal(stopped, of == 1);
	if (of == 2)
		provider.driver.stopped(&provider.driver);
	assert_int_equal(stopped, 1);
	servers->base.release(&servers->base);
	assert_int_equal(gateway.releases + provider.releases, of);
}

static void is_there(struct fake *f)
{
	const struct portmap_gateway g = {.about = "PCP version 2"};

	f->driver.heard->available(f->driver.heard, PORTMAP_PCP, PORTMAP_IPV4, &g);
}

static void is_not_there(struct fake *f, enum portmap_failure why, const char *text)
{
	f->driver.heard->unavailable(f->driver.heard, PORTMAP_PCP, PORTMAP_IPV4, why, text);
}

static void map(void)
{
	const struct portmap_request r = {.id = 1};

	servers->base.map(&servers->base, &r);
}

static void probe(void)
{
	servers->base.probe(&servers->base);
}

/* ---- tests ---- */

static void test_the_anycast_addresses(void **state)
{
	char text[ADDR_TEXT_BYTES];
	struct addr a = pcp_servers_anycast(PORTMAP_IPV4);

	addr_format_host(&a, text);
	assert_string_equal(text, "192.0.0.9");
	a = pcp_servers_anycast(PORTMAP_IPV6);
	addr_format_host(&a, text);
	assert_string_equal(text, "2001:1::1");
}

/* A gateway that speaks PCP leaves nothing to ask of any other server. */
static void test_the_gateway_goes_before(void **state)
{
	begin(true);
	probe();
	is_there(&gateway);
	assert_int_equal(available, 1);
	assert_string_equal(told, "PCP version 2");
	is_there(&provider); /* unasked */
	assert_int_equal(available, 1);
	map();
	assert_int_equal(gateway.maps, 1);
	assert_int_equal(provider.probes + provider.maps, 0);
	/* Not connected is not absent. */
	is_not_there(&gateway, PORTMAP_NO_EXTERNAL, "not connected");
	assert_int_equal(unavailable, 1);
	assert_int_equal(provider.probes, 0);
	end();
	/* One that falls silent is told at once; the provider's may come in its place. */
	begin(true);
	probe();
	is_there(&gateway);
	is_not_there(&gateway, PORTMAP_SILENT, "no answer");
	assert_int_equal(unavailable, 1);
	assert_int_equal(provider.probes, 1);
	is_not_there(&provider, PORTMAP_SILENT, "no answer");
	assert_int_equal(unavailable, 1);
	is_there(&provider);
	assert_int_equal(available, 2);
	end();
}

static void test_where_the_gateway_has_none_the_provider_is_asked(void **state)
{
	const struct addr none = {.len = 0};

	begin(true);
	probe();
	assert_int_equal(provider.probes, 0);
	is_not_there(&gateway, PORTMAP_SILENT, "no answer");
	assert_int_equal(unavailable, 0); /* not before both are known */
	assert_int_equal(provider.probes, 1);
	is_there(&provider);
	assert_int_equal(available, 1);
	assert_non_null(strstr(told, "the provider's NAT"));
	map();
	assert_int_equal(provider.maps, 1);
	assert_int_equal(gateway.maps, 0);
	provider.driver.heard->mapped(provider.driver.heard, PORTMAP_PCP, 1, &none, 60);
	gateway.driver.heard->mapped(gateway.driver.heard, PORTMAP_PCP, 1, &none, 60);
	gateway.driver.heard->restarted(gateway.driver.heard, PORTMAP_PCP, PORTMAP_IPV4, "");
	assert_int_equal(mapped, 1);
	assert_int_equal(restarted, 0);
	/* Looked at again: the gateway first. */
	probe();
	assert_int_equal(gateway.probes, 2);
	is_not_there(&gateway, PORTMAP_SILENT, "no answer");
	is_there(&provider);
	assert_int_equal(available, 2);
	assert_int_equal(unavailable, 0);
	/* By now it speaks PCP: everything is asked for there. */
	probe();
	is_there(&gateway);
	assert_int_equal(restarted, 1);
	map();
	assert_int_equal(gateway.maps, 1);
	end();
}

static void test_where_neither_is_the_gateways_reason_is_told(void **state)
{
	begin(true);
	probe();
	is_not_there(&gateway, PORTMAP_UNSUPPORTED, "it speaks NAT-PMP");
	is_not_there(&provider, PORTMAP_SILENT, "no answer");
	assert_int_equal(unavailable, 1);
	assert_int_equal(failure, PORTMAP_UNSUPPORTED);
	assert_string_equal(told, "it speaks NAT-PMP");
	/* What is heard unasked of one that nobody waits for is no news. */
	is_not_there(&provider, PORTMAP_SILENT, "no answer");
	assert_int_equal(unavailable, 1);
	end();
}

static void test_without_a_way_to_the_provider(void **state)
{
	begin(false);
	probe();
	is_not_there(&gateway, PORTMAP_SILENT, "no answer");
	assert_int_equal(unavailable, 1);
	servers->base.forget(&servers->base, 1);
	assert_int_equal(gateway.forgets, 1);
	end();
}

static void test_the_provider_goes(void **state)
{
	begin(true);
	probe();
	is_not_there(&gateway, PORTMAP_SILENT, "no answer");
	is_there(&provider);
	is_not_there(&provider, PORTMAP_SILENT, "it fell silent");
	assert_int_equal(unavailable, 1);
	assert_string_equal(told, "it fell silent");
	end();
}

static void provider_refuses(const char *why)
{
	const struct portmap_refusal r = {.failure = PORTMAP_REFUSED, .wait_s = 7200, .why = why};

	provider.driver.heard->failed(provider.driver.heard, PORTMAP_PCP, 1, &r);
}

/* The provider's NAT sees the router: two NATs, which is said, and not asked again and again. */
static void test_behind_two_nats_that_is_told(void **state)
{
	begin(true);
	probe();
	is_not_there(&gateway, PORTMAP_SILENT, "no answer");
	is_there(&provider);
	map();
	provider_refuses("the gateway answered ADDRESS_MISMATCH: another NAT");
	assert_int_equal(failed, 1);
	assert_int_equal(waits_s, 0); /* others may be asked at once */
	assert_int_equal(unavailable, 1);
	assert_int_equal(failure, PORTMAP_UNSUPPORTED);
	assert_non_null(strstr(told, "two NATs"));
	probe();
	is_not_there(&gateway, PORTMAP_SILENT, "no answer");
	assert_int_equal(unavailable, 2);
	assert_non_null(strstr(told, "two NATs")); /* still */
	assert_int_equal(provider.probes, 1);
	/* Another refusal is the engine's to judge. */
	end();
	begin(true);
	probe();
	is_not_there(&gateway, PORTMAP_SILENT, "no answer");
	is_there(&provider);
	provider_refuses("the gateway answered NOT_AUTHORIZED: no");
	assert_int_equal(failed, 1);
	assert_int_equal(waits_s, 7200);
	assert_string_equal(told, "the provider's NAT answered NOT_AUTHORIZED: no");
	assert_int_equal(unavailable, 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_anycast_addresses),
		cmocka_unit_test(test_the_gateway_goes_before),
		cmocka_unit_test(test_where_the_gateway_has_none_the_provider_is_asked),
		cmocka_unit_test(test_where_neither_is_the_gateways_reason_is_told),
		cmocka_unit_test(test_without_a_way_to_the_provider),
		cmocka_unit_test(test_the_provider_goes),
		cmocka_unit_test(test_behind_two_nats_that_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
