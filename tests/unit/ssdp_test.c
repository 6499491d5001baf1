/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssdp: searches, answers as gateways send them, announcements.
 * links: upnp/ssdp.c upnp/location.c core/addr.c core/parse/text.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "upnp/ssdp.h"

#define IGD "urn:schemas-upnp-org:device:InternetGatewayDevice:1"

static bool parse(const char *text, struct ssdp_message *out)
{
	return ssdp_parse((const uint8_t *)text, strlen(text), out);
}

static void test_an_answer(void **state)
{
	struct ssdp_message m;
	char url[LOCATION_TEXT_BYTES];

	assert_true(
		parse("HTTP/1.1 200 OK\r\nCACHE-CONTROL: no-cache, max-age = 120\r\nST: " IGD "\r\n"
		      "USN: uuid:1::" IGD "\r\nEXT:\r\nSERVER: Debian UPnP/1.1 MiniUPnPd/2.3.1\r\n"
		      "LOCATION: http://192.168.77.1:33537/rootDesc.xml\r\n"
		      "OPT: \"http://schemas.upnp.org/upnp/1/0/\"; ns=01\r\n01-NLS: 7\r\n"
		      "BOOTID.UPNP.ORG: 1795266351\r\nCONFIGID.UPNP.ORG: 1337\r\n\r\n",
		      &m));
	location_format(&m.location, url);
	assert_string_equal(url, "http://192.168.77.1:33537/rootDesc.xml");
	assert_int_equal(m.kind, SSDP_ANSWER);
	assert_string_equal(m.target, IGD);
	assert_string_equal(m.usn, "uuid:1::" IGD);
	assert_string_equal(m.server, "Debian UPnP/1.1 MiniUPnPd/2.3.1");
	assert_true(m.has_boot && m.has_config && !m.has_next_boot);
	assert_int_equal(m.boot, 1795266351);
	assert_int_equal(m.config, 1337);
	assert_int_equal(m.max_age_s, 120);
}

static void test_old_gateways(void **state)
{
	struct ssdp_message m;

	/* No blanks, no CR, no end, other case. */
	assert_true(parse("http/1.0 200 ok\nLocation:http://10.0.0.138/igd.xml\nst:" IGD, &m));
	assert_false(m.has_boot);
	assert_int_equal(addr_port(&m.location.host), 80);
}

static void test_announcements(void **state)
{
	struct ssdp_message m;

	assert_true(parse("NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNT: " IGD "\r\n"
			  "NTS: ssdp:alive\r\nLOCATION: http://10.0.0.1:5000/x\r\n"
			  "BOOTID.UPNP.ORG: 8\r\n\r\n",
			  &m));
	assert_int_equal(m.kind, SSDP_ALIVE);
	assert_int_equal(m.boot, 8);
	assert_true(parse("NOTIFY * HTTP/1.1\r\nNT: " IGD "\r\nNTS: ssdp:byebye\r\n\r\n", &m));
	assert_int_equal(m.kind, SSDP_BYEBYE);
	assert_true(parse("NOTIFY * HTTP/1.1\r\nNT: " IGD "\r\nNTS: ssdp:update\r\n"
			  "LOCATION: http://10.0.0.1:5000/x\r\nBOOTID.UPNP.ORG: 8\r\n"
			  "NEXTBOOTID.UPNP.ORG: 9\r\n\r\n",
			  &m));
	assert_int_equal(m.kind, SSDP_UPDATE);
	assert_int_equal(m.next_boot, 9);
}

static void test_what_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"M-SEARCH * HTTP/1.1\r\nST: " IGD "\r\nLOCATION: http://10.0.0.1/\r\n\r\n",
		"HTTP/1.1 404 Not Found\r\nST: " IGD "\r\nLOCATION: http://10.0.0.1/\r\n\r\n",
		"HTTP/1.1 200 OK\r\nST: " IGD "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nLOCATION: http://10.0.0.1/\r\n\r\n",
		"HTTP/1.1 200 OK\r\nST: " IGD "\r\nLOCATION: http://router/\r\n\r\n",
		"HTTP/1.1 200 OK\r\nST: " IGD "\r\nLOCATION: file:///etc/passwd\r\n\r\n",
		"HTTP/1.1 200 OK\r\nST: " IGD "\r\nLOCATION: http://10.0.0.1/\r\n"
		"LOCATION: http://10.0.0.2/\r\n\r\n",
		"HTTP/1.1 200 OK\r\nST: " IGD "\r\nST: x\r\nLOCATION: http://10.0.0.1/\r\n\r\n",
		"HTTP/1.1 200 OK\r\nST: a\x01z\r\nLOCATION: http://10.0.0.1/\r\n\r\n",
		"HTTP/1.1 200 OK\r\nST: " IGD "\r\nLOCATION: http://10.0.0.1/\r\n"
		"BOOTID.UPNP.ORG: 4294967296\r\n\r\n",
		"NOTIFY * HTTP/1.1\r\nNT: " IGD "\r\nLOCATION: http://10.0.0.1/\r\n\r\n",
		"NOTIFY * HTTP/1.1\r\nNT: " IGD "\r\nNTS: ssdp:alive\r\n\r\n",
		"NOTIFY * HTTP/1.1\r\nNT: " IGD "\r\nNTS: ssdp:wave\r\n"
		"LOCATION: http://10.0.0.1/\r\n\r\n",
	};
	struct ssdp_message m, before;

	memset(&m, 0xa5, sizeof(m));
	before = m;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse(bad[i], &m))
			fail_msg("taken: %s", bad[i]);
		assert_memory_equal(&m, &before, sizeof(m));
	}
	assert_false(ssdp_parse((const uint8_t *)"HTTP/1.1 200 OK\r\n\0", 18, &m));
}

static void test_long_texts(void **state)
{
	char text[1024] = "HTTP/1.1 200 OK\r\nLOCATION: http://10.0.0.1/\r\nSERVER: ";
	struct ssdp_message m;

	memset(text + strlen(text), 's', 300);
	strcat(text, "\r\nST: ");
	size_t used = strlen(text);
	memset(text + used, 't', SSDP_TARGET_BYTES - 1);
	assert_true(parse(text, &m));
	assert_int_equal(strlen(m.target), SSDP_TARGET_BYTES - 1);
	assert_int_equal(strlen(m.server), SSDP_SERVER_BYTES - 1);
	strcat(text, "t");
	assert_false(parse(text, &m));
}

static void test_a_search(void **state)
{
	char text[SSDP_SEARCH_BYTES];
	struct addr group, gateway;

	assert_true(addr_from_literal("239.255.255.250", SSDP_PORT, &group));
	assert_true(addr_from_literal("fe80::1%3", SSDP_PORT, &gateway));
	size_t len = ssdp_write_search(text, sizeof(text), "upnp:rootdevice", &group, 2);
	assert_int_equal(len, strlen(text));
	assert_string_equal(text, "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n"
				  "MAN: \"ssdp:discover\"\r\nMX: 2\r\nST: upnp:rootdevice\r\n\r\n");
	assert_true(ssdp_write_search(text, sizeof(text), "x", &gateway, 0) > 0);
	assert_string_equal(text, "M-SEARCH * HTTP/1.1\r\nHOST: [fe80::1]:1900\r\n"
				  "MAN: \"ssdp:discover\"\r\nST: x\r\n\r\n");
	assert_int_equal(ssdp_write_search(text, 20, "x", &group, 0), 0);
}

static void test_targets(void **state)
{
	static const struct {
		const char *target;
		enum ssdp_meaning meaning;
	} cases[] = {
		{IGD, SSDP_GATEWAY},
		{"urn:schemas-upnp-org:service:WANIPConnection:2", SSDP_GATEWAY},
		{"urn:schemas-upnp-org:service:WANPPPConnection:1", SSDP_GATEWAY},
		{"urn:schemas-upnp-org:service:WANIPv6FirewallControl:1", SSDP_GATEWAY},
		{"urn:dslforum-org:device:InternetGatewayDevice:1", SSDP_GATEWAY_DSLFORUM},
		{"urn:dslforum-org:service:WANPPPConnection:1", SSDP_GATEWAY_DSLFORUM},
		{"urn:dslforum-org:service:DeviceInfo:1", SSDP_OTHER},
		{"upnp:rootdevice", SSDP_ANY_DEVICE},
		{"ssdp:all", SSDP_ANY_DEVICE},
		{"urn:schemas-upnp-org:device:MediaServer:1", SSDP_OTHER},
		{"uuid:6d6e7570-0000-4000-8000-000000000001", SSDP_OTHER},
		{"", SSDP_OTHER},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(ssdp_meaning(cases[i].target), cases[i].meaning);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_answer),     cmocka_unit_test(test_old_gateways),
		cmocka_unit_test(test_announcements), cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_long_texts),    cmocka_unit_test(test_a_search),
		cmocka_unit_test(test_targets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
