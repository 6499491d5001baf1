/* SPDX-License-Identifier: Apache-2.0 */
/*
 * duties: how gateways are asked for mappings, and what comes of their answers.
 *
 * A gateway here is a child on loopback that expects commands in an order and answers each as told;
 * its exit status is 0 when all came and nothing else.
 *
 * links: upnp/driver/worker_duties.c upnp/driver/worker_inspect.c upnp/driver/igd.c
 * links: upnp/driver/exchange.c upnp/reply.c upnp/location.c core/addr.c
 * links: portmap/gateway/driver.c upnp/ssdp.c core/parse/text.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "upnp/driver/worker.h"
#include "core/clock.h"

/* A command's name, perhaps with an argument after a blank, and the answer: a UPnP error, or 0 and
 * its results. */
struct step {
	const char *action, *argument;
	int error;
	const char *results;
};

#define ENTRY(client, port, text, lease)                                                           \
	"<NewInternalPort>" port "</NewInternalPort><NewInternalClient>" client                    \
	"</NewInternalClient><NewEnabled>1</NewEnabled><NewPortMappingDescription>" text           \
	"</NewPortMappingDescription><NewLeaseDuration>" lease "</NewLeaseDuration>"
#define ASK	"GetSpecificPortMappingEntry"
#define ADD	"#AddPortMapping"
#define ADD_ANY "#AddAnyPortMapping"
#define OURS	ENTRY("127.0.0.1", "443", "Postern 3f9a1c tcp 443", "600")
#define THEIRS	ENTRY("192.168.1.9", "443", "Postern 3f9a1c tcp 443", "600")
#define OFF                                                                                        \
	"<NewInternalPort>443</NewInternalPort><NewInternalClient>127.0.0.1</NewInternalClient>"   \
	"<NewEnabled>%s</NewEnabled><NewPortMappingDescription>Postern 3f9a1c tcp 443"             \
	"</NewPortMappingDescription><NewLeaseDuration>600</NewLeaseDuration>"
#define OTHER ENTRY("127.0.0.1", "443", "a game", "600")

static pid_t gateway;
static struct igd igd;

static void answer_step(int fd, const struct step *s)
{
	const char *name = s->action[0] == '#' ? s->action + 1 : s->action;
	char request[8192], body[2048], head[256];
	size_t have = 0;
	ssize_t n;

	while (have < sizeof(request) - 1 && !memmem(request, have, "</s:Envelope>", 13)) {
		n = recv(fd, request + have, sizeof(request) - 1 - have, 0);
		if (n <= 0)
			_exit(2);
		have += (size_t)n;
	}
	request[have] = '\0';
	if (!strstr(request, s->action) || (s->argument && !strstr(request, s->argument))) {
		dprintf(2, "expected %s %s, got:\n%s\n", s->action, s->argument, request);
		_exit(3);
	}
	if (s->error)
		snprintf(body, sizeof(body), "<s:Fault><errorCode>%d</errorCode></s:Fault>",
			 s->error);
	else
		snprintf(body, sizeof(body), "<u:%sResponse>%s</u:%sResponse>", name,
			 s->results ? s->results : "", name);
	snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n",
		 s->error ? 500 : 200, strlen(body));
	(void)!send(fd, head, strlen(head), MSG_NOSIGNAL);
	(void)!send(fd, body, strlen(body), MSG_NOSIGNAL);
	close(fd);
}

static struct upnp_request start(const char *type, const struct step *steps, size_t count)
{
	struct upnp_request r = {.transport = PORTMAP_TCP, .external_port = 8443, .lease_s = 3600};
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct addr a;

	assert_true(addr_from_literal("127.0.0.1", 0, &r.source));
	assert_true(addr_from_literal("127.0.0.1", 443, &r.internal));
	a = r.source;
	assert_int_equal(bind(server, &a.sa, a.len), 0);
	assert_int_equal(listen(server, 16), 0);
	assert_int_equal(getsockname(server, &a.sa, &a.len), 0);
	r.service.control.host = a;
	strcpy(r.service.control.path, "/c");
	snprintf(r.service.type, sizeof(r.service.type), "urn:schemas-upnp-org:service:%s", type);
	strcpy(r.description, "Postern 3f9a1c tcp 443");
	igd.exchange.source = r.source;
	igd.exchange.due_ms = (int64_t)clock_ms(CLOCK_MONOTONIC) + 10000;
	gateway = fork();
	assert_true(gateway >= 0);
	if (gateway == 0) {
		struct pollfd p = {.fd = server, .events = POLLIN};
		for (size_t i = 0; i < count; i++) {
			if (poll(&p, 1, 10000) != 1)
				_exit(4);
			answer_step(accept(server, NULL, NULL), &steps[i]);
		}
		_exit(0);
	}
	close(server);
	return r;
}

static void all_came(void)
{
	int status;

	assert_int_equal(waitpid(gateway, &status, 0), gateway);
	assert_int_equal(status, 0);
}

#define START(type, ...)                                                                           \
	const struct step steps[] = {__VA_ARGS__};                                                 \
	struct upnp_answer a = {.ok = false};                                                      \
	struct upnp_request r = start(type, steps, sizeof(steps) / sizeof(steps[0]))

static void expect_mapped(const struct upnp_answer *a, uint16_t port, uint32_t lease_s)
{
	all_came();
	assert_true(a->ok);
	assert_int_equal(a->external_port, port);
	assert_int_equal(a->lease_s, lease_s);
}

static void expect_failed(const struct upnp_answer *a, enum portmap_failure failure)
{
	all_came();
	assert_false(a->ok);
	assert_int_equal(a->failure, failure);
	assert_true(a->why[0]);
}

static void test_a_free_port(void **state)
{
	START("WANIPConnection:1", {ASK, "<NewExternalPort>8443<", 714, NULL},
	      {ADD, "<NewLeaseDuration>3600<", 0, NULL}, {ASK, NULL, 0, OURS});
	worker_map(&igd, &r, &a);
	expect_mapped(&a, 8443, 600); /* less than asked for */
	assert_string_equal(a.shown, "Postern 3f9a1c tcp 443");
}

static void test_renewal(void **state)
{
	START("WANIPConnection:2", {ASK, NULL, 0, OURS}, {ADD, NULL, 0, NULL},
	      {ASK, NULL, 0, OURS});
	r.granted_s = 600; /* and no more than that at a time */
	worker_map(&igd, &r, &a);
	expect_mapped(&a, 8443, 600);
}

#define LEFT(n) ENTRY("127.0.0.1", "443", "Postern 3f9a1c tcp 443", n)
#define DELETE	"DeletePortMapping"

static void test_a_renewal_that_extends_nothing(void **state)
{
	START("WANIPConnection:1", {ASK, NULL, 0, LEFT("20")}, {ADD, NULL, 0, NULL},
	      {ASK, NULL, 0, LEFT("20")}, {DELETE, "<NewExternalPort>8443<", 0, NULL},
	      {ADD, "<NewLeaseDuration>3600<", 0, NULL}, {ASK, NULL, 0, LEFT("40")});
	r.granted_s = 40;
	worker_map(&igd, &r, &a);
	expect_mapped(&a, 8443, 40);
}

static void test_718_on_our_own(void **state)
{
	START("WANIPConnection:1", {ASK, NULL, 0, LEFT("20")}, {ADD, NULL, 718, NULL},
	      {DELETE, "<NewExternalPort>8443<", 0, NULL}, {ADD, NULL, 0, NULL},
	      {ASK, NULL, 0, LEFT("3600")});
	worker_map(&igd, &r, &a);
	expect_mapped(&a, 8443, 3600);
}

static void test_718_that_stays(void **state)
{
	START("WANIPConnection:1", {ASK, NULL, 0, LEFT("20")}, {ADD, NULL, 718, NULL},
	      {DELETE, NULL, 0, NULL}, {ADD, NULL, 718, NULL});
	worker_map(&igd, &r, &a);
	expect_failed(&a, PORTMAP_CONFLICT);
}

#define ASTRAY ENTRY("127.0.0.1", "8443", "Postern 3f9a1c tcp 443", "0")

/* The port inside is the one outside, whatever was asked for. */
static void test_what_leads_elsewhere_is_taken_back(void **state)
{
	START("WANIPConnection:1", {ASK, NULL, 714, NULL}, {ADD, NULL, 0, NULL},
	      {ASK, NULL, 0, ASTRAY}, {DELETE, "<NewExternalPort>8443<", 0, NULL},
	      {ASK, NULL, 714, NULL});
	worker_map(&igd, &r, &a);
	expect_failed(&a, PORTMAP_MISDIRECTED);
	assert_int_equal(a.inside.len, 0);
	assert_non_null(strstr(a.why, "leads port 8443 to port 8443 inside, not 443"));
}

static void test_what_is_not_taken_back_is_told(void **state)
{
	static const struct step refusals[][2] = {
		{{DELETE, NULL, 606, NULL}}, {{DELETE, NULL, 0, NULL}, {ASK, NULL, 0, ASTRAY}}};

	for (size_t i = 0; i < 2; i++) {
		const struct step *s = refusals[i];
		const struct step all[] = {{ASK, NULL, 714, NULL},
					   {ADD, NULL, 0, NULL},
					   {ASK, NULL, 0, ASTRAY},
					   s[0],
					   s[1]};
		struct upnp_answer a = {.ok = false};
		struct upnp_request r = start("WANIPConnection:1", all, i == 0 ? 4 : 5);

		worker_map(&igd, &r, &a);
		expect_failed(&a, PORTMAP_MISDIRECTED);
		assert_int_equal(addr_port(&a.inside), 8443);
		assert_int_equal(a.external_port, 8443);
		assert_true(a.shown[0] != '\0'); /* by which it is known again */
	}
}

/* Another client under our text is of our request; under another text it was quicker. */
static void test_another_client_than_asked_for(void **state)
{
	START("WANIPConnection:1", {ASK, NULL, 714, NULL}, {ADD, NULL, 0, NULL},
	      {ASK, NULL, 0, THEIRS}, {DELETE, NULL, 0, NULL}, {ASK, NULL, 714, NULL});
	worker_map(&igd, &r, &a);
	expect_failed(&a, PORTMAP_MISDIRECTED);
	assert_non_null(strstr(a.why, "192.168.1.9:443"));
}

static void test_a_quicker_host_keeps_its_port(void **state)
{
	START("WANIPConnection:1", {ASK, NULL, 714, NULL}, {ADD, NULL, 0, NULL},
	      {ASK, NULL, 0, ENTRY("192.168.1.9", "443", "a game", "600")});
	worker_map(&igd, &r, &a);
	expect_failed(&a, PORTMAP_CONFLICT);
}

/* A natd that ended without a word left it: it is asked for anew, and goes in the end. */
static void test_what_we_left_astray_before(void **state)
{
	START("WANIPConnection:1", {ASK, NULL, 0, ASTRAY}, {ADD, NULL, 0, NULL},
	      {ASK, NULL, 0, ASTRAY}, {DELETE, NULL, 0, NULL}, {ASK, NULL, 714, NULL},
	      {ASK, NULL, 0, ASTRAY}, {DELETE, NULL, 0, NULL});
	worker_map(&igd, &r, &a);
	assert_int_equal(a.failure, PORTMAP_MISDIRECTED);
	worker_unmap(&igd, &r, &a);
	all_came();
	assert_true(a.ok);
}

static void test_anothers_is_left_alone(void **state)
{
	START("WANIPConnection:1", {ASK, NULL, 0, THEIRS});
	worker_map(&igd, &r, &a);
	expect_failed(&a, PORTMAP_CONFLICT);
}

static void test_another_program_of_ours_is_left_alone(void **state)
{
	START("WANIPConnection:1", {ASK, NULL, 0, OTHER});
	worker_map(&igd, &r, &a);
	expect_failed(&a, PORTMAP_CONFLICT);
	assert_non_null(strstr(a.why, "a game"));
}

static void test_another_protocols_of_ours_is_taken_over(void **state)
{
	START("WANIPConnection:1", {ASK, NULL, 0, OTHER}, {ADD, NULL, 0, NULL},
	      {ASK, NULL, 0, OURS});
	r.moved = true;
	worker_map(&igd, &r, &a);
	expect_mapped(&a, 8443, 600);
}

static void test_what_moved_and_is_anothers_by_now_stays(void **state)
{
	START("WANIPConnection:1", {ASK, NULL, 0, THEIRS});
	r.moved = true;
	worker_map(&igd, &r, &a);
	expect_failed(&a, PORTMAP_CONFLICT);
}

static void test_what_may_not_be_seen_is_anothers(void **state)
{
	START("WANIPConnection:2", {ASK, NULL, 606, NULL});
	worker_map(&igd, &r, &a);
	expect_failed(&a, PORTMAP_CONFLICT);
}

static void test_permanent_leases(void **state)
{
	START("WANIPConnection:1", {ASK, NULL, 714, NULL},
	      {ADD, "<NewLeaseDuration>3600<", 725, NULL}, {ADD, "<NewLeaseDuration>0<", 0, NULL},
	      {ASK, NULL, 0, ENTRY("127.0.0.1", "443", "Postern 3f9a1c tcp 443", "0")});
	worker_map(&igd, &r, &a);
	expect_mapped(&a, 8443, 0);
}

static void test_402_means_that_too(void **state)
{
	START("WANIPConnection:1", {ASK, NULL, 714, NULL}, {ADD, NULL, 402, NULL},
	      {ADD, "<NewLeaseDuration>0<", 402, NULL});
	worker_map(&igd, &r, &a);
	expect_failed(&a, PORTMAP_REFUSED);
}

static void test_another_port_by_version_2(void **state)
{
	START("WANIPConnection:2", {ASK, NULL, 714, NULL},
	      {ADD_ANY, NULL, 0, "<NewReservedPort>8444</NewReservedPort>"},
	      {ASK, "<NewExternalPort>8444<", 0, OURS});
	worker_map(&igd, &r, &a);
	expect_mapped(&a, 8444, 600);
}

static void test_the_same_port_inside(void **state)
{
	START("WANIPConnection:1", {ASK, NULL, 714, NULL}, {ADD, NULL, 724, NULL},
	      {ASK, "<NewExternalPort>443<", 714, NULL}, {ADD, "<NewExternalPort>443<", 0, NULL},
	      {ASK, NULL, 0, OURS});
	worker_map(&igd, &r, &a);
	expect_mapped(&a, 443, 600);
}

static void test_the_same_port_inside_is_anothers(void **state)
{
	START("WANIPConnection:1", {ASK, NULL, 714, NULL}, {ADD, NULL, 724, NULL},
	      {ASK, "<NewExternalPort>443<", 0, THEIRS});
	worker_map(&igd, &r, &a);
	expect_failed(&a, PORTMAP_CONFLICT);
}

static void test_refusals(void **state)
{
	static const struct {
		int error;
		enum portmap_failure failure;
	} cases[] = {{718, PORTMAP_CONFLICT},	  {729, PORTMAP_CONFLICT},
		     {606, PORTMAP_REFUSED},	  {501, PORTMAP_TRANSIENT},
		     {728, PORTMAP_NO_RESOURCES}, {726, PORTMAP_UNSUPPORTED},
		     {727, PORTMAP_UNSUPPORTED},  {899, PORTMAP_REFUSED}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		START("WANIPConnection:1", {ASK, NULL, 714, NULL},
		      {ADD, NULL, cases[i].error, NULL});
		worker_map(&igd, &r, &a);
		expect_failed(&a, cases[i].failure);
	}
}

static void test_secure_mode(void **state)
{
	START("WANIPConnection:1", {ASK, NULL, 714, NULL}, {ADD, NULL, 718, NULL});
	assert_true(addr_from_literal("192.168.1.9", 443, &r.internal));
	worker_map(&igd, &r, &a);
	expect_failed(&a, PORTMAP_REFUSED);
}

static void test_a_lie_is_not_believed(void **state)
{
	START("WANIPConnection:1", {ASK, NULL, 714, NULL}, {ADD, NULL, 0, NULL},
	      {ASK, NULL, 714, NULL});
	worker_map(&igd, &r, &a);
	expect_failed(&a, PORTMAP_MALFORMED);
}

static void test_nor_is_one_of_a_permanent_lease(void **state)
{
	START("WANIPConnection:1", {ASK, NULL, 714, NULL}, {ADD, NULL, 725, NULL},
	      {ADD, "<NewLeaseDuration>0<", 0, NULL}, {ASK, NULL, 714, NULL});
	worker_map(&igd, &r, &a);
	expect_failed(&a, PORTMAP_MALFORMED);
}

/* An entry that is switched off forwards nothing; asking for it again switches it on. */
static void test_what_is_switched_off_is_no_mapping(void **state)
{
	static const char *const no[] = {"0", "false", "No"}, *const yes[] = {"1", "true", "yes"};
	char off[512], on[512];

	for (size_t i = 0; i < 3; i++) {
		snprintf(off, sizeof(off), OFF, no[i]);
		snprintf(on, sizeof(on), OFF, yes[i]);
		START("WANIPConnection:1", {ASK, NULL, 714, NULL}, {ADD, "<NewEnabled>1<", 0, NULL},
		      {ASK, NULL, 0, off}, {ASK, NULL, 0, off}, {ASK, NULL, 0, off},
		      {ADD, "<NewEnabled>1<", 0, NULL}, {ASK, NULL, 0, on});
		worker_map(&igd, &r, &a);
		assert_false(a.ok);
		assert_int_equal(a.failure, PORTMAP_REFUSED);
		assert_non_null(strstr(a.why, "switched off"));
		worker_look(&igd, &r, &a);
		assert_true(a.ok);
		assert_false(a.there);
		worker_map(&igd, &r, &a);
		expect_mapped(&a, 8443, 600);
	}
}

/* What a gateway says whose rules allow ports from 1024 up, and no others. */
static void test_low_ports_have_their_sentence(void **state)
{
	static const struct {
		int error;
		uint16_t port;
		bool told;
	} cases[] = {{606, 443, true},	 {718, 443, true},   {501, 1023, true},
		     {606, 1024, false}, {718, 8443, false}, {728, 443, false}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		START("WANIPConnection:1", {ASK, NULL, 714, NULL},
		      {ADD, NULL, cases[i].error, NULL});
		r.external_port = cases[i].port;
		worker_map(&igd, &r, &a);
		all_came();
		assert_false(a.ok);
		assert_int_equal(strstr(a.why, "below 1024") != NULL, cases[i].told);
	}
	/* One that shows whose the port is needs no guess. */
	START("WANIPConnection:1", {ASK, NULL, 0, OURS}, {ADD, NULL, 718, NULL},
	      {DELETE, NULL, 0, NULL}, {ADD, NULL, 718, NULL});
	r.external_port = 443;
	worker_map(&igd, &r, &a);
	expect_failed(&a, PORTMAP_CONFLICT);
	assert_null(strstr(a.why, "below 1024"));
}

/* A description that is cut so short could be any client's. */
static void test_a_beginning_of_ours_is_anothers(void **state)
{
	START("WANIPConnection:1", {ASK, NULL, 0, ENTRY("127.0.0.1", "443", "Post", "600")},
	      {ASK, NULL, 0, ENTRY("127.0.0.1", "443", "Post", "600")});
	worker_map(&igd, &r, &a);
	assert_false(a.ok);
	assert_int_equal(a.failure, PORTMAP_CONFLICT);
	worker_unmap(&igd, &r, &a);
	all_came();
}

/* Cut, replaced and dropped descriptions are known again by what was shown. */
static void test_descriptions_of_the_gateways_own(void **state)
{
	static const char *const shown[] = {"Postern 3f9a", "UPnP", ""};
	char entry[512];

	for (size_t i = 0; i < 3; i++) {
		snprintf(entry, sizeof(entry), ENTRY("127.0.0.1", "443", "%s", "600"), shown[i]);
		START("WANIPConnection:1", {ASK, NULL, 714, NULL}, {ADD, NULL, 0, NULL},
		      {ASK, NULL, 0, entry}, {ASK, NULL, 0, entry},
		      {"DeletePortMapping", NULL, 0, NULL});
		worker_map(&igd, &r, &a);
		assert_true(a.ok);
		memcpy(r.shown, a.shown, sizeof(r.shown));
		worker_unmap(&igd, &r, &a);
		all_came();
		assert_true(a.ok);
	}
}

/* Another host here runs the same program: what is its, by its tag, is not taken back as ours. */
static void test_another_hosts_text_is_its_own(void **state)
{
	static const char *const shown[] = {"Postern 0b2d4e tcp 443", "Postern 3",
					    "Postern tcp 443"};
	char entry[512];

	for (size_t i = 0; i < 3; i++) {
		snprintf(entry, sizeof(entry), ENTRY("192.168.1.9", "443", "%s", "600"), shown[i]);
		START("WANIPConnection:1", {ASK, NULL, 714, NULL}, {ADD, NULL, 0, NULL},
		      {ASK, NULL, 0, entry}, {ASK, NULL, 0, entry});
		worker_map(&igd, &r, &a);
		assert_false(a.ok);
		assert_int_equal(a.failure, PORTMAP_CONFLICT);
		worker_unmap(&igd, &r, &a);
		all_came();
	}
}

static void test_only_ours_is_deleted(void **state)
{
	static const struct step asked[] = {{ASK, NULL, 0, THEIRS},
					    {ASK, NULL, 0, OTHER},
					    {ASK, NULL, 714, NULL},
					    {ASK, NULL, 606, NULL}};

	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		START("WANIPConnection:1", asked[i]);
		worker_unmap(&igd, &r, &a);
		all_came();
		assert_true(a.ok);
	}
	START("WANIPConnection:1", {ASK, NULL, 0, OURS}, {"DeletePortMapping", NULL, 714, NULL});
	worker_unmap(&igd, &r, &a);
	all_came();
	assert_true(a.ok);
}

static void test_pinholes(void **state)
{
	START("WANIPv6FirewallControl:1",
	      {"AddPinhole", "<LeaseTime>3600<", 0, "<UniqueID>7</UniqueID>"},
	      {"UpdatePinhole", "<UniqueID>7<", 704, NULL},
	      {"AddPinhole", NULL, 0, "<UniqueID>8</UniqueID>"},
	      {"UpdatePinhole", "<UniqueID>8<", 402, NULL}, /* miniupnpd, restarted */
	      {"AddPinhole", NULL, 0, "<UniqueID>1</UniqueID>"},
	      {"DeletePinhole", "<UniqueID>1<", 704, NULL});
	worker_pinhole(&igd, &r, &a);
	assert_true(a.ok);
	assert_string_equal(a.uid, "7");
	memcpy(r.uid, a.uid, sizeof(r.uid));
	worker_pinhole(&igd, &r, &a);
	assert_true(a.ok);
	assert_string_equal(a.uid, "8");
	memcpy(r.uid, a.uid, sizeof(r.uid));
	worker_pinhole(&igd, &r, &a);
	assert_true(a.ok);
	assert_string_equal(a.uid, "1");
	memcpy(r.uid, a.uid, sizeof(r.uid));
	worker_unpinhole(&igd, &r, &a);
	all_came();
	assert_true(a.ok);
}

/* Two services, of which one may be up; a gateway that does not say is not one without an address.
 */
static void test_which_service_has_the_address(void **state)
{
	static const char none[] = "<NewExternalIPAddress>0.0.0.0</NewExternalIPAddress>",
			  some[] = "<NewExternalIPAddress>45.0.0.10</NewExternalIPAddress>";
	static const struct {
		struct step steps[2];
		bool ok;
		enum portmap_failure failure;
	} cases[] = {
		{{{"GetExternalIPAddress", NULL, 0, none}, {"GetExternalIPAddress", NULL, 0, some}},
		 true,
		 PORTMAP_CONFLICT},
		{{{"GetExternalIPAddress", NULL, 501, NULL},
		  {"GetExternalIPAddress", NULL, 606, NULL}},
		 false,
		 PORTMAP_NO_EXTERNAL},
		{{{"GetExternalIPAddress", NULL, 401, NULL},
		  {"GetExternalIPAddress", NULL, 606, NULL}},
		 false,
		 PORTMAP_REFUSED},
		{{{"GetExternalIPAddress", NULL, 606, NULL},
		  {"GetExternalIPAddress", NULL, 602, NULL}},
		 false,
		 PORTMAP_UNSUPPORTED},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		START("WANIPConnection:1", cases[i].steps[0], cases[i].steps[1]);
		struct igd_description d = {.connections = {r.service, {.type = ""}, r.service}};

		a.ok = true;
		worker_inspect_mappings(&igd, &d, &a);
		all_came();
		assert_int_equal(a.ok, cases[i].ok);
		if (!a.ok)
			assert_int_equal(a.failure, cases[i].failure);
	}
}

static void low_pinholes_have_their_sentence(void)
{
	static const uint16_t ports[] = {443, 1023, 1024, 8443};

	for (size_t i = 0; i < 4; i++) {
		START("WANIPv6FirewallControl:1", {"AddPinhole", NULL, 606, NULL});
		addr_set_port(&r.internal, ports[i]);
		worker_pinhole(&igd, &r, &a);
		expect_failed(&a, PORTMAP_REFUSED);
		assert_int_equal(strstr(a.why, "below 1024 by UPnP") != NULL, ports[i] < 1024);
	}
}

static void pinholes_of_others_are_refused_in_other_words(void)
{
	START("WANIPv6FirewallControl:1", {"AddPinhole", NULL, 606, NULL});
	assert_true(addr_from_literal("2001:db8::9", 443, &r.internal));
	assert_true(addr_from_literal("2001:db8::2", 0, &r.source));
	worker_pinhole(&igd, &r, &a);
	expect_failed(&a, PORTMAP_REFUSED);
	assert_non_null(strstr(a.why, "for the host that asks"));
}

/* The gateway's rules, told by its status or by its refusal: what to switch on. */
static void test_pinholes_that_may_not_be_made(void **state)
{
	static const struct {
		const char *status;
		enum portmap_failure failure;
		const char *told;
	} cases[] = {{"<FirewallEnabled>1</FirewallEnabled>"
		      "<InboundPinholeAllowed>0</InboundPinholeAllowed>",
		      PORTMAP_REFUSED, "independent port sharing"},
		     {"<FirewallEnabled>true</FirewallEnabled>"
		      "<InboundPinholeAllowed>false</InboundPinholeAllowed>",
		      PORTMAP_REFUSED, "independent port sharing"},
		     {"<FirewallEnabled>0</FirewallEnabled>"
		      "<InboundPinholeAllowed>0</InboundPinholeAllowed>",
		      PORTMAP_UNNEEDED, "no pinhole is needed"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		START("WANIPv6FirewallControl:1", {"GetFirewallStatus", NULL, 0, cases[i].status});
		struct igd_description d = {.pinholes = r.service};

		a.ok = true;
		worker_inspect_pinholes(&igd, &d, &a);
		expect_failed(&a, cases[i].failure);
		assert_non_null(strstr(a.why, cases[i].told));
	}
	START("WANIPv6FirewallControl:1", {"AddPinhole", NULL, 606, NULL});
	worker_pinhole(&igd, &r, &a);
	expect_failed(&a, PORTMAP_REFUSED);
	assert_non_null(strstr(a.why, "independent port sharing"));
	low_pinholes_have_their_sentence();
	pinholes_of_others_are_refused_in_other_words();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_free_port),
		cmocka_unit_test(test_renewal),
		cmocka_unit_test(test_a_renewal_that_extends_nothing),
		cmocka_unit_test(test_718_on_our_own),
		cmocka_unit_test(test_718_that_stays),
		cmocka_unit_test(test_what_leads_elsewhere_is_taken_back),
		cmocka_unit_test(test_what_is_not_taken_back_is_told),
		cmocka_unit_test(test_another_client_than_asked_for),
		cmocka_unit_test(test_a_quicker_host_keeps_its_port),
		cmocka_unit_test(test_what_we_left_astray_before),
		cmocka_unit_test(test_anothers_is_left_alone),
		cmocka_unit_test(test_another_program_of_ours_is_left_alone),
		cmocka_unit_test(test_another_protocols_of_ours_is_taken_over),
		cmocka_unit_test(test_what_moved_and_is_anothers_by_now_stays),
		cmocka_unit_test(test_what_may_not_be_seen_is_anothers),
		cmocka_unit_test(test_permanent_leases),
		cmocka_unit_test(test_402_means_that_too),
		cmocka_unit_test(test_another_port_by_version_2),
		cmocka_unit_test(test_the_same_port_inside),
		cmocka_unit_test(test_the_same_port_inside_is_anothers),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_secure_mode),
		cmocka_unit_test(test_a_lie_is_not_believed),
		cmocka_unit_test(test_nor_is_one_of_a_permanent_lease),
		cmocka_unit_test(test_what_is_switched_off_is_no_mapping),
		cmocka_unit_test(test_low_ports_have_their_sentence),
		cmocka_unit_test(test_a_beginning_of_ours_is_anothers),
		cmocka_unit_test(test_descriptions_of_the_gateways_own),
		cmocka_unit_test(test_another_hosts_text_is_its_own),
		cmocka_unit_test(test_only_ours_is_deleted),
		cmocka_unit_test(test_which_service_has_the_address),
		cmocka_unit_test(test_pinholes),
		cmocka_unit_test(test_pinholes_that_may_not_be_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
