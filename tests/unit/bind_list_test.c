/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bind_list_test: what a configuration has bound, and for what.
 * links: relay/config/bind_list.c core/addr.c core/listening.c core/log*.c
 * links: core/memory.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/listening.h"
#include "relay/config/bind_list.h"

#define NONE BIND_NO_PLACE

static struct addr at(const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return a;
}

/* A configuration that listens on 443 of any address, and by a proxy on 8443. */
struct scene {
	struct relay_listen listen[2];
	struct addr stun[2];
	struct relay_config c;
};

static void scene_make(struct scene *s)
{
	*s = (struct scene){.listen = {{at("0.0.0.0:443"), false}, {at("0.0.0.0:8443"), true}},
			    .stun = {at("0.0.0.0:3478"), at("[::]:3478")}};
	s->c.listen = (struct conf_array){s->listen, 2, true};
	s->c.stun.enabled = true;
}

static void assert_binds(const struct relay_config *c, const char *expected)
{
	static const char *const kinds[] = {"tls", "stun", "udp"};
	char said[1024] = "", text[ADDR_TEXT_BYTES];
	struct bind_list d;
	size_t n = 0;

	assert_true(bind_list_make(c, &d));
	for (size_t i = 0; i < d.count; i++) {
		const struct bind_address *at = &d.items[i];

		addr_format(&at->address, text);
		n += (size_t)snprintf(said + n, sizeof(said) - n, "%s %s %s%s", kinds[at->kind],
				      text, at->key, at->proxy_protocol ? " proxy" : "");
		if (at->kind == BIND_UDP && !at->anyone)
			n += (size_t)snprintf(said + n, sizeof(said) - n, " links");
		if (at->optional)
			n += (size_t)snprintf(said + n, sizeof(said) - n, " optional");
		if (at->place != NONE)
			n += (size_t)snprintf(said + n, sizeof(said) - n, " place=%u", at->place);
		n += (size_t)snprintf(said + n, sizeof(said) - n, "\n");
	}
	assert_string_equal(said, expected);
	bind_list_free(&d);
}

static void udp_beside_tcp_unless_by_a_proxy(void **state)
{
	struct scene s;

	scene_make(&s);
	assert_binds(&s.c, "tls 0.0.0.0:443 listen[0].address\n"
			   "tls 0.0.0.0:8443 listen[1].address proxy\n"
			   "udp 0.0.0.0:443 listen[0].address\n");
}

/* The same socket, but for those that are signed in; what is there for anyone stays so. */
static void udp_for_links_where_stun_is_off(void **state)
{
	struct scene s;

	scene_make(&s);
	s.c.stun.enabled = false;
	s.c.stun.links = s.c.stun.links_asked = true;
	s.c.stun.listen = (struct conf_array){s.stun, 1, true};
	assert_binds(&s.c, "tls 0.0.0.0:443 listen[0].address\n"
			   "tls 0.0.0.0:8443 listen[1].address proxy\n"
			   "udp 0.0.0.0:443 listen[0].address links\n"
			   "stun 0.0.0.0:3478 stun.listen[0]\n"
			   "udp 0.0.0.0:3478 stun.listen[0]\n");
}

/* What is there by default may be missing; not once it is asked for, in any way. */
static void only_the_defaults_port_is_optional(void **state)
{
	struct scene s;

	scene_make(&s);
	s.c.stun.links = true;
	assert_binds(&s.c, "tls 0.0.0.0:443 listen[0].address\n"
			   "tls 0.0.0.0:8443 listen[1].address proxy\n"
			   "udp 0.0.0.0:443 listen[0].address\n");
	s.c.stun.enabled = false;
	assert_binds(&s.c, "tls 0.0.0.0:443 listen[0].address\n"
			   "tls 0.0.0.0:8443 listen[1].address proxy\n"
			   "udp 0.0.0.0:443 listen[0].address links optional\n");
	s.listen[0].address = at("45.0.0.1:443");
	s.c.stun.behaviour.address = at("45.0.0.1:443");
	s.c.stun.behaviour.other = at("45.0.0.2:3478");
	assert_binds(&s.c, "tls 45.0.0.1:443 listen[0].address\n"
			   "tls 0.0.0.0:8443 listen[1].address proxy\n"
			   "udp 45.0.0.1:443 listen[0].address place=0\n"
			   "udp 45.0.0.1:3478 stun.behaviour place=1\n"
			   "udp 45.0.0.2:443 stun.behaviour place=2\n"
			   "udp 45.0.0.2:3478 stun.behaviour place=3\n");
}

static void stun_on_ports_of_its_own(void **state)
{
	struct scene s;

	scene_make(&s);
	s.c.stun.listen = (struct conf_array){s.stun, 2, true};
	assert_binds(&s.c, "tls 0.0.0.0:443 listen[0].address\n"
			   "tls 0.0.0.0:8443 listen[1].address proxy\n"
			   "udp 0.0.0.0:443 listen[0].address\n"
			   "stun 0.0.0.0:3478 stun.listen[0]\n"
			   "udp 0.0.0.0:3478 stun.listen[0]\n"
			   "stun [::]:3478 stun.listen[1]\n"
			   "udp [::]:3478 stun.listen[1]\n");
}

/* Two of its four sockets are asked for anyway. */
static void four_places(void **state)
{
	struct scene s;

	scene_make(&s);
	s.listen[0].address = at("45.0.0.2:443");
	s.stun[0] = at("45.0.0.1:3478");
	s.c.stun.listen = (struct conf_array){s.stun, 1, true};
	s.c.stun.behaviour.address = at("45.0.0.1:3478");
	s.c.stun.behaviour.other = at("45.0.0.2:443");
	assert_binds(&s.c, "tls 45.0.0.2:443 listen[0].address\n"
			   "tls 0.0.0.0:8443 listen[1].address proxy\n"
			   "udp 45.0.0.2:443 listen[0].address place=3\n"
			   "stun 45.0.0.1:3478 stun.listen[0]\n"
			   "udp 45.0.0.1:3478 stun.listen[0] place=0\n"
			   "udp 45.0.0.1:443 stun.behaviour place=1\n"
			   "udp 45.0.0.2:3478 stun.behaviour place=2\n");
}

static void switched_off_the_front_door_has_no_udp(void **state)
{
	struct scene s;

	scene_make(&s);
	s.c.stun.enabled = false;
	assert_binds(&s.c, "tls 0.0.0.0:443 listen[0].address\n"
			   "tls 0.0.0.0:8443 listen[1].address proxy\n");
	/* What is named for it serves it. */
	s.stun[0] = at("45.0.0.1:3478");
	s.c.stun.listen = (struct conf_array){s.stun, 1, true};
	assert_binds(&s.c, "tls 0.0.0.0:443 listen[0].address\n"
			   "tls 0.0.0.0:8443 listen[1].address proxy\n"
			   "stun 45.0.0.1:3478 stun.listen[0]\n"
			   "udp 45.0.0.1:3478 stun.listen[0]\n");
}

static void found_by_protocol_and_address(void **state)
{
	struct addr shared = at("0.0.0.0:443"), tcp = at("0.0.0.0:8443");
	struct scene s;
	struct bind_list d;

	scene_make(&s);
	assert_true(bind_list_make(&s.c, &d));
	assert_ptr_equal(bind_list_find(&d, false, &shared), &d.items[0]);
	assert_ptr_equal(bind_list_find(&d, true, &shared), &d.items[2]);
	assert_ptr_equal(bind_list_find(&d, false, &tcp), &d.items[1]);
	assert_null(bind_list_find(&d, true, &tcp));
	bind_list_free(&d);
}

static void complaints_say_what_helps(void **state)
{
	char why[512];
	struct scene s;
	struct bind_list d;

	scene_make(&s);
	assert_true(bind_list_make(&s.c, &d));
	bind_complain(&d.items[0], EADDRINUSE, why, sizeof(why));
	assert_string_equal(why, "listen[0].address: cannot listen on 0.0.0.0:443: Address already "
				 "in use; another program, or another relay, listens there: stop "
				 "it ('ss -ltnp' names it), or use another port");
	bind_complain(&d.items[0], EACCES, why, sizeof(why));
	assert_non_null(strstr(why, "Permission denied; a port below 1024 takes root, or"));
	bind_complain(&d.items[0], EADDRNOTAVAIL, why, sizeof(why));
	assert_non_null(strstr(why, "; this host has no such address: use one of its own"));
	bind_complain(&d.items[0], EMFILE, why, sizeof(why));
	assert_string_equal(why, "listen[0].address: cannot listen on 0.0.0.0:443: Too many open "
				 "files");
	bind_complain(&d.items[2], EADDRINUSE, why, sizeof(why));
	assert_string_equal(why, "listen[0].address: cannot answer STUN on 0.0.0.0:443 (UDP): "
				 "Address already in use; stop what else uses that UDP port "
				 "('ss -lunp' names it); or set stun.enabled: false");
	bind_complain(&d.items[2], EACCES, why, sizeof(why));
	assert_non_null(strstr(why, "Permission denied; a port below 1024 takes root, or"));
	d.items[2].anyone = false;
	bind_complain(&d.items[2], EADDRINUSE, why, sizeof(why));
	assert_non_null(strstr(why, "('ss -lunp' names it); or set stun.links: false"));
	d.items[2].optional = true;
	bind_complain(&d.items[2], EADDRINUSE, why, sizeof(why));
	assert_non_null(strstr(why, "names it); going without, and trying again: agents are not "
				    "told by this relay where their datagrams come from; "
				    "stun.links: false stops the trying"));
	bind_list_free(&d);
}

/* Sockets of the kernel, since what is asked of it is what it lets pass. */
static void a_second_relay_is_noticed(void **state)
{
	struct bind_address items[] = {{.kind = BIND_UDP, .key = "udp"},
				       {.kind = BIND_TLS, .key = "first"},
				       {.kind = BIND_STUN, .key = "second"}};
	struct bind_list d = {.items = items, .count = 3};
	struct addr any = at("127.0.0.1:0");
	char why[256] = "";
	int first = listening_open(&any, true), worker;

	assert_true(first >= 0);
	items[2].address.len = sizeof(items[2].address);
	assert_int_equal(getsockname(first, &items[2].address.sa, &items[2].address.len), 0);
	items[0].address = items[2].address; /* UDP is not asked for */
	items[1].address = any;
	worker = listening_open(&items[2].address, true); /* the kernel lets it */
	assert_true(worker >= 0);
	assert_int_equal(bind_list_probe(&d, 0, why, sizeof(why)), -EADDRINUSE);
	assert_non_null(strstr(why, "second: cannot listen on 127.0.0.1:"));
	assert_int_equal(close(first), 0);
	assert_int_equal(bind_list_probe(&d, 0, why, sizeof(why)), -EADDRINUSE);
	assert_int_equal(close(worker), 0);
	assert_int_equal(bind_list_probe(&d, 0, why, sizeof(why)), 0);
}

static void *close_soon(void *fd)
{
	(void)poll(NULL, 0, 100);
	close(*(int *)fd);
	return NULL;
}

static void a_predecessor_that_lets_go_is_waited_for(void **state)
{
	struct bind_address item = {.kind = BIND_TLS, .key = "first"};
	struct bind_list d = {.items = &item, .count = 1};
	struct addr any = at("127.0.0.1:0");
	char why[256] = "";
	int first = listening_open(&any, true);
	pthread_t thread;

	assert_true(first >= 0);
	item.address.len = sizeof(item.address);
	assert_int_equal(getsockname(first, &item.address.sa, &item.address.len), 0);
	assert_int_equal(bind_list_probe(&d, 30, why, sizeof(why)), -EADDRINUSE);
	assert_int_equal(pthread_create(&thread, NULL, close_soon, &first), 0);
	assert_int_equal(bind_list_probe(&d, 10000, why, sizeof(why)), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_predecessor_that_lets_go_is_waited_for),
		cmocka_unit_test(udp_beside_tcp_unless_by_a_proxy),
		cmocka_unit_test(udp_for_links_where_stun_is_off),
		cmocka_unit_test(only_the_defaults_port_is_optional),
		cmocka_unit_test(stun_on_ports_of_its_own),
		cmocka_unit_test(four_places),
		cmocka_unit_test(switched_off_the_front_door_has_no_udp),
		cmocka_unit_test(found_by_protocol_and_address),
		cmocka_unit_test(complaints_say_what_helps),
		cmocka_unit_test(a_second_relay_is_noticed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
