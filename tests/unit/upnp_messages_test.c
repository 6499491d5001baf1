/* SPDX-License-Identifier: Apache-2.0 */
/*
 * messages: what natd and the UPnP worker tell each other survives the line, and nothing else does.
 * links: upnp/messages.c upnp/location.c core/addr.c core/memory.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "upnp/messages.h"

static struct addr at(const char *text)
{
	struct addr a;

	memset(&a, 0, sizeof(a));
	assert_true(addr_parse(text, &a));
	return a;
}

static struct location url(const char *text)
{
	struct location l;

	assert_true(location_parse(text, strlen(text), &l));
	return l;
}

static struct upnp_request request(enum upnp_duty duty)
{
	struct upnp_request r;

	memset(&r, 0, sizeof(r));
	r.duty = duty;
	r.number = 7;
	r.wait_ms = 3000;
	r.source = at("192.168.1.2:0");
	return r;
}

static struct upnp_request full_request(enum upnp_duty duty)
{
	struct upnp_request r = request(duty);

	strcpy(r.service.type, "urn:schemas-upnp-org:service:WANIPConnection:2");
	r.service.control = url("http://192.168.1.1:5000/ctl");
	r.transport = PORTMAP_UDP;
	r.internal = at("192.168.1.2:443");
	return r;
}

static void same_request(const struct upnp_request *r)
{
	struct upnp_request back;
	size_t len;
	char *line = upnp_request_line(r, &len);

	assert_non_null(line);
	assert_int_equal(line[len - 1], '\n');
	assert_true(upnp_request_read(line, len - 1, &back));
	assert_memory_equal(&back, r, sizeof(back));
	free(line);
}

static void test_requests(void **state)
{
	struct upnp_request r = request(UPNP_DISCOVER);

	r.gateway = at("192.168.1.1:0");
	r.prefix = 24;
	r.index = 3;
	same_request(&r);
	r = request(UPNP_INSPECT);
	r.location = url("http://[fe80::1]:5000/a");
	r.location.host.v6.sin6_scope_id = 4;
	r.pinholes = true;
	same_request(&r);
	r = full_request(UPNP_MAP);
	r.external_port = 8443;
	r.lease_s = 3600;
	r.fixed = true;
	r.moved = true;
	strcpy(r.description, "Postern front");
	strcpy(r.shown, "Postern");
	same_request(&r);
	r = full_request(UPNP_UNMAP);
	r.external_port = 8443;
	same_request(&r);
	r = full_request(UPNP_PINHOLE);
	r.lease_s = 60;
	same_request(&r);
	r = full_request(UPNP_UNPINHOLE);
	strcpy(r.uid, "65535");
	same_request(&r);
	r = full_request(UPNP_LOOK);
	r.external_port = 8443;
	strcpy(r.shown, "Postern");
	same_request(&r);
}

static void same_answer(enum upnp_duty duty, const struct upnp_answer *a)
{
	static struct upnp_answer back;
	size_t len;
	char *line = upnp_answer_line(duty, a, &len);

	assert_non_null(line);
	assert_true(upnp_answer_read(duty, line, len - 1, &back));
	assert_memory_equal(&back, a, sizeof(back));
	free(line);
}

static void test_answers(void **state)
{
	static struct upnp_answer a, empty;

	a = empty;
	a.number = 9;
	a.failure = PORTMAP_CONFLICT;
	strcpy(a.why, "the external port is another's");
	for (unsigned i = 0; i < UPNP_DUTIES; i++)
		same_answer((enum upnp_duty)i, &a);

	a = empty;
	a.number = 9;
	a.ok = true;
	same_answer(UPNP_DISCOVER, &a);
	same_answer(UPNP_UNMAP, &a);
	same_answer(UPNP_UNPINHOLE, &a);
	for (size_t i = 0; i < UPNP_DEVICES_MAX; i++) {
		a.devices[i].location = url("http://192.168.1.1:5000/root.xml");
		a.devices[i].from = at("192.168.1.1:0");
		a.devices[i].has_boot = i > 0;
		a.devices[i].boot = (uint32_t)i;
		a.devices[i].meaning = (enum ssdp_meaning)(i % (SSDP_GATEWAY + 1));
		memset(a.devices[i].server, 's', sizeof(a.devices[i].server) - 1);
	}
	a.device_count = UPNP_DEVICES_MAX;
	same_answer(UPNP_DISCOVER, &a);

	a = empty;
	a.number = 9;
	a.ok = true;
	strcpy(a.mappings.type, "urn:x");
	a.mappings.control = url("http://192.168.1.1:5000/ctl");
	a.external = at("45.0.0.10:0");
	strcpy(a.about, "Router (X 1)");
	same_answer(UPNP_INSPECT, &a);

	a = empty;
	a.number = 9;
	a.ok = true;
	a.external_port = 443;
	a.lease_s = 0;
	strcpy(a.shown, "Postern");
	same_answer(UPNP_MAP, &a);

	for (unsigned there = 0; there < 2; there++) {
		a = empty;
		a.number = 9;
		a.ok = true;
		a.there = there;
		same_answer(UPNP_LOOK, &a);
	}
	a = empty;
	a.number = 9;
	a.ok = true;
	assert_true(addr_from_literal("45.0.0.10", 0, &a.external));
	same_answer(UPNP_ADDRESS, &a);
}

static void refused(enum upnp_duty duty, const char *line)
{
	static struct upnp_answer a, before;

	memset(&a, 0xa5, sizeof(a));
	before = a;
	if (upnp_answer_read(duty, line, strlen(line), &a))
		fail_msg("taken: %s", line);
	assert_memory_equal(&a, &before, sizeof(a));
}

static void test_wrong_answers(void **state)
{
	static const char *const of_map[] = {
		"",
		"[]",
		"{}",
		"{\"n\":1,\"ok\":true}",
		"{\"n\":0,\"ok\":true,\"lease_s\":1,\"external_port\":1,\"shown\":\"\"}",
		"{\"n\":1,\"ok\":1,\"lease_s\":1,\"external_port\":1,\"shown\":\"\"}",
		"{\"n\":1,\"ok\":true,\"lease_s\":-1,\"external_port\":1,\"shown\":\"\"}",
		"{\"n\":1,\"ok\":true,\"lease_s\":1,\"external_port\":0,\"shown\":\"\"}",
		"{\"n\":1,\"ok\":true,\"lease_s\":1,\"external_port\":65536,\"shown\":\"\"}",
		"{\"n\":1,\"ok\":true,\"lease_s\":1.5,\"external_port\":1,\"shown\":\"\"}",
		"{\"n\":1,\"ok\":true,\"lease_s\":1,\"external_port\":1,\"shown\":\"a\\u0000b\"}",
		"{\"n\":1,\"ok\":true,\"lease_s\":1,\"external_port\":1,\"shown\":\"\",\"x\":1}",
		"{\"n\":1,\"n\":1,\"ok\":true,\"lease_s\":1,\"external_port\":1,\"shown\":\"\"}",

		"{\"n\":1,\"ok\":false,\"failure\":7,\"why\":\"\"}",
		"{\"n\":1,\"ok\":false,\"failure\":0}",
	};

	for (size_t i = 0; i < sizeof(of_map) / sizeof(of_map[0]); i++)
		refused(UPNP_MAP, of_map[i]);
	/* A byte too long. */
	refused(UPNP_MAP, "{\"n\":1,\"ok\":true,\"lease_s\":1,\"external_port\":1,\"shown\":"
			  "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}");
	refused(UPNP_INSPECT, "{\"n\":1,\"ok\":true,\"mappings\":\"urn:x\",\"mappings_at\":\"\","
			      "\"mappings_at_zone\":0,\"pinholes\":\"\",\"pinholes_at\":\"\","
			      "\"pinholes_at_zone\":0,\"external\":\"\",\"about\":\"\"}");
	refused(UPNP_INSPECT, "{\"n\":1,\"ok\":true,\"mappings\":\"urn:x\","
			      "\"mappings_at\":\"http://router/\","
			      "\"mappings_at_zone\":0,\"pinholes\":\"\",\"pinholes_at\":\"\","
			      "\"pinholes_at_zone\":0,\"external\":\"\",\"about\":\"\"}");
	refused(UPNP_DISCOVER, "{\"n\":1,\"ok\":true,\"devices\":[{}]}");
	refused(UPNP_DISCOVER, "{\"n\":1,\"ok\":true,\"devices\":[1,2,3,4,5,6,7,8,9]}");
	refused(UPNP_DISCOVER, "{\"n\":1,\"ok\":true,\"devices\":{}}");
}

static void test_wrong_requests(void **state)
{
	struct upnp_request r = full_request(UPNP_UNPINHOLE), back;
	size_t len;
	char *line;

	r.internal.len = 0; /* none to delete */
	assert_null(upnp_request_line(&r, &len));
	r = full_request(UPNP_UNPINHOLE);
	line = upnp_request_line(&r, &len);
	assert_non_null(line);
	memcpy(strstr(line, "unpinhole"), "unpinhola", 9);
	assert_false(upnp_request_read(line, len - 1, &back));
	free(line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_wrong_answers),
		cmocka_unit_test(test_wrong_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
