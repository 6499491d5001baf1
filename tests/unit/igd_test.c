/* SPDX-License-Identifier: Apache-2.0 */
/*
 * igd: descriptions of gateways, honest and not.
 * links: upnp/driver/igd.c upnp/driver/exchange.c upnp/reply.c upnp/location.c core/addr.c
 * links: upnp/ssdp.c core/parse/text.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "upnp/driver/igd.h"

#define SERVICE(type, control)                                                                     \
	"<service><serviceType>urn:schemas-upnp-org:service:" type "</serviceType>"                \
	"<SCPDURL>/s.xml</SCPDURL><controlURL>" control "</controlURL>"                            \
	"<eventSubURL>/e</eventSubURL></service>"
#define DSLFORUM(type, control)                                                                    \
	"<service>\n<serviceType>urn:dslforum-org:service:" type "</serviceType>"                  \
	"<controlURL>" control "</controlURL></service>"
#define ROOT(base, services)                                                                       \
	"<?xml version=\"1.0\"?><root xmlns=\"urn:schemas-upnp-org:device-1-0\">" base             \
	"<device><friendlyName>Home &lt;box&gt;</friendlyName><modelName>X</modelName>"            \
	"<modelNumber>1</modelNumber><deviceList><device><friendlyName>WAN</friendlyName>"         \
	"<serviceList>" services "</serviceList></device></deviceList></device></root>"

static int describe(const char *xml, struct igd_description *d)
{
	static const char url[] = "http://192.168.1.1:5000/root.xml";
	struct location at;

	assert_true(location_parse(url, strlen(url), &at));
	return igd_read_description(xml, (int)strlen(xml), &at, d);
}

static void expect(const struct upnp_service *s, const char *type, const char *url)
{
	char text[LOCATION_TEXT_BYTES];

	assert_string_equal(s->type, type);
	location_format(&s->control, text);
	assert_string_equal(text, url);
}

static void test_a_description(void **state)
{
	struct igd_description d;

	assert_int_equal(describe(ROOT("", SERVICE("WANPPPConnection:1", "/ppp")
						   SERVICE("WANIPConnection:2", "ip")
							   SERVICE("WANIPv6FirewallControl:1",
								   "http://192.168.1.1:5001/6fc")),
				  &d),
			 0);
	expect(&d.connections[0], "urn:schemas-upnp-org:service:WANPPPConnection:1",
	       "http://192.168.1.1:5000/ppp");
	expect(&d.connections[1], "urn:schemas-upnp-org:service:WANIPConnection:2",
	       "http://192.168.1.1:5000/ip");
	expect(&d.pinholes, "urn:schemas-upnp-org:service:WANIPv6FirewallControl:1",
	       "http://192.168.1.1:5001/6fc");
	assert_non_null(strstr(d.about, "X 1"));
	assert_null(strpbrk(d.about, "<>&"));
}

static void test_commands_go_nowhere_else(void **state)
{
	static const char *const bad[] = {
		ROOT("", SERVICE("WANIPConnection:1", "http://127.0.0.1:22/x")),
		ROOT("", SERVICE("WANIPConnection:1", "http://192.168.1.2/x")),
		ROOT("", SERVICE("WANIPConnection:1", "http://router/x")),
		ROOT("", SERVICE("WANIPConnection:1", "https://192.168.1.1/x")),
		ROOT("", SERVICE("WANIPConnection:1", "http://192.168.1.1@10.0.0.1/x")),
		ROOT("", SERVICE("WANIPConnection:1", "")),
		ROOT("", SERVICE("WANIPConnection:1", "/a b")),
		ROOT("<URLBase>http://127.0.0.1:22</URLBase>", SERVICE("WANIPConnection:1", "/x")),
		ROOT("<URLBase>http://10.0.0.9/</URLBase>", SERVICE("WANIPConnection:1", "/x")),
		ROOT("<URLBase>x</URLBase>", SERVICE("WANIPConnection:1", "/x")),
		ROOT("", SERVICE("WANIPConnection:1\"", "/x")),
		ROOT("", DSLFORUM("WANIPConnection:1", "http://192.168.1.2/x")),
		ROOT("", DSLFORUM("WANIPConnection:1", "")),
		ROOT("", DSLFORUM("DeviceInfo:1", "/x")),
		ROOT("", SERVICE("Layer3Forwarding:1", "/x")),
		"not XML",
		"",
	};
	struct igd_description d, before;

	memset(&d, 0xa5, sizeof(d));
	before = d;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (describe(bad[i], &d) != -ENOENT)
			fail_msg("taken: %s", bad[i]);
		assert_memory_equal(&d, &before, sizeof(d));
	}
}

static void test_another_port_of_the_same_host(void **state)
{
	struct igd_description d;

	assert_int_equal(describe(ROOT("<URLBase>http://192.168.1.1:81/</URLBase>",
				       SERVICE("WANIPConnection:1", "/x")),
				  &d),
			 0);
	expect(&d.connections[0], "urn:schemas-upnp-org:service:WANIPConnection:1",
	       "http://192.168.1.1:81/x");
}

/* The services of TR-064, beside others or alone, under their own names. */
static void test_services_by_the_names_of_tr_064(void **state)
{
	struct igd_description d;

	assert_int_equal(describe(ROOT("", DSLFORUM("DeviceInfo:1",
						    "/info") DSLFORUM("WANPPPConnection:1", "/ppp")
						   DSLFORUM("WANIPConnection:1", "ip")
							   DSLFORUM("WANIPConnection:2", "/third")),
				  &d),
			 0);
	assert_string_equal(d.connections[0].type, "");
	expect(&d.connections[2], "urn:dslforum-org:service:WANPPPConnection:1",
	       "http://192.168.1.1:5000/ppp");
	expect(&d.connections[3], "urn:dslforum-org:service:WANIPConnection:1",
	       "http://192.168.1.1:5000/ip");
	/* Those of UPnP come first. */
	assert_int_equal(describe(ROOT("<URLBase>http://192.168.1.1:81</URLBase>",
				       DSLFORUM("WANIPConnection:1", "/dsl")
					       SERVICE("WANIPConnection:1", "/upnp")),
				  &d),
			 0);
	expect(&d.connections[0], "urn:schemas-upnp-org:service:WANIPConnection:1",
	       "http://192.168.1.1:81/upnp");
	expect(&d.connections[2], "urn:dslforum-org:service:WANIPConnection:1",
	       "http://192.168.1.1:81/dsl");
	assert_string_equal(d.connections[3].type, "");
}

static void test_a_service_without_an_end_is_none(void **state)
{
	struct igd_description d;

	assert_int_equal(describe("<serviceList><service", &d), -ENOENT);
	assert_int_equal(describe("<service><serviceType>urn:dslforum-org:service:"
				  "WANIPConnection:1</serviceType><controlURL>/x</controlURL>",
				  &d),
			 -ENOENT);
	assert_int_equal(describe(ROOT("", "<service id=\"1\"><serviceType>"
					   "urn:dslforum-org:service:WANIPConnection:1"
					   "</serviceType><controlURL>/x</controlURL></service>"),
				  &d),
			 0);
	expect(&d.connections[2], "urn:dslforum-org:service:WANIPConnection:1",
	       "http://192.168.1.1:5000/x");
}

/* What is no answer by its code alone, and what is one. */
static void test_codes_of_http(void **state)
{
	static const struct {
		unsigned http;
		int code;
	} cases[] = {{200, IGD_OK},
		     {401, IGD_NOT_AUTHORIZED},
		     {403, IGD_NOT_AUTHORIZED},
		     {404, IGD_INVALID_ACTION},
		     {302, -EPROTO},
		     {503, -EPROTO}};
	static struct exchange e;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		strcpy((char *)e.bytes, "<u:GetExternalIPAddressResponse/>");
		e.reply =
			(struct upnp_reply){.code = cases[i].http, .len = strlen((char *)e.bytes)};
		assert_int_equal(igd_read_answer(&e, "GetExternalIPAddress", NULL, 0),
				 cases[i].code);
	}
}

static void test_plain_texts(void **state)
{
	char text[8] = "untouch";

	igd_plain("a<b>&\"'\xc3\xa4\n", text, sizeof(text));
	assert_string_equal(text, "a_b____");
	igd_plain("", text, sizeof(text));
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_description),
		cmocka_unit_test(test_commands_go_nowhere_else),
		cmocka_unit_test(test_another_port_of_the_same_host),
		cmocka_unit_test(test_services_by_the_names_of_tr_064),
		cmocka_unit_test(test_a_service_without_an_end_is_none),
		cmocka_unit_test(test_codes_of_http),
		cmocka_unit_test(test_plain_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
