/* SPDX-License-Identifier: Apache-2.0 */
/*
 * natd_program: what natd's main() does around the loop, without isolation. The kernel's netlink is
 * tests/support/fake_kernel.c; the rest of what natd calls is the simulated kernel's.
 */
#include "tests/world/natd_program.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/container.h"
#include "core/log.h"
#include "core/ring_internal.h"
#include "portmap/control.h"
#include "tests/support/fake_kernel.h"
#include "tests/world/memory.h"
#include "tests/world/store.h"

#define CONFIG	  "/etc/natd.yaml"
#define STATE_DIR "/var/natd"
#define CARD	  7u /* the interface's index */
/* Leaving, the drivers' end and what verify has under way, each at its longest. */
#define STOP_MOST (PORTMAP_LEAVE_MS + NATD_CLOSE_MS + 2000u)

/* ---- the network ---- */

/* One network card, our address, and a route through lan.way_out, told by fake_kernel. */
static void world_natd_network(struct world_natd *w)
{
	struct addr gateway;

	fake_kernel.links[0] = (struct fake_link){.index = CARD, .name = "eth0"};
	addr_format_host(&w->own, w->own_text);
	fake_kernel.addresses[0] = (struct fake_address){CARD, w->own_text, 24, 0, 0};
	fake_kernel.routes[0] = (struct fake_route){.index = 0};
	if (!lan.way_out)
		return;
	gateway = k_address(k_host_address(lan.way_out->host), 0);
	addr_format_host(&gateway, w->gateway_text);
	fake_kernel.routes[0] = (struct fake_route){.index = CARD, .gateway = w->gateway_text};
}

static void network_changed(struct world_natd *w)
{
	struct k_program *was = k_enter(w->program);

	world_natd_network(w);
	if (w->up)
		fake_kernel_changed();
	k_enter(was);
}

void world_natd_route(struct world_natd *w, struct lan_router *r)
{
	world_tell("the route leads %s", r ? r->program->name : "nowhere");
	lan.way_out = r;
	for (size_t i = 0; i < LAN_ROUTERS; i++)
		lan.routers[i].troubled_us = k_now_us;
	network_changed(w);
}

void world_natd_move(struct world_natd *w, const char *literal)
{
	world_tell("the host is %s from now on", literal);
	k_host_add_address(w->host, literal);
	w->own = k_address(literal, 0);
	for (size_t i = 0; i < LAN_ROUTERS; i++)
		lan.routers[i].troubled_us = k_now_us;
	network_changed(w);
}

/* ---- life ---- */

static void world_natd_signalled(struct signals *s, int number)
{
	struct world_natd *w = container(s, struct world_natd, signals);

	if (number == SIGHUP)
		natd_reload(&w->natd, &w->arguments, -1);
	else
		natd_stop(&w->natd);
}

static void world_natd_ended(struct natd *n)
{
	ring_stop(n->ring);
}

void world_natd_write(struct world_natd *w, const char *config)
{
	char text[2048];
	int n = snprintf(text, sizeof(text),
			 "upnp: false\nstun: ['stun:3478']\nsocket: " NATD_SOCKET
			 "\nstate_dir: " STATE_DIR "\n%s",
			 config);

	if (n < 0 || (size_t)n >= sizeof(text))
		world_broken("natd's configuration is too long");
	store_write(CONFIG, text, (size_t)n);
}

static void open_natd(struct world_natd *w)
{
	static const int numbers[] = {SIGTERM, SIGHUP, 0};
	struct ring_options options = {.entries = 128, .small_buffers = 16};
	struct conf_errors errors = {.file = NULL};
	struct natd *n = &w->natd;
	char why[512] = "";
	int listener = -1;

	if (!natd_config_load(&w->arguments, &n->config, &errors))
		world_broken("natd's configuration: %s", errors.text);
	conf_errors_free(&errors);
	log_set_level((enum log_level)n->config.log_level);
	options.engine = dice_chance(&world_dice, 500) ? RING_IO_URING : RING_EPOLL;
	if (signals_open(&w->signals, numbers) || !natd_prepare(n, why, sizeof(why)) ||
	    ring_open(&n->ring, &options, why, sizeof(why)))
		world_broken("natd does not start: %s", why);
	n->stopped = world_natd_ended;
	if (w->listens) {
		listener = natd_control_listen(NATD_SOCKET);
		if (listener < 0)
			world_broken("natd's socket: %s", strerror(-listener));
	}
	if (natd_open(n, listener))
		world_broken("natd does not open");
	signals_follow(&w->signals, n->ring);
	natd_start(n);
}

void world_natd_start(struct world_natd *w, struct k_host *host, const char *config)
{
	if (!w->program)
		w->program = k_program_new("natd", host);
	if (w->host != host)
		w->own = k_address(k_host_address(host), 0);
	w->host = host;
	w->arguments = (struct natd_arguments){.config = CONFIG};
	w->natd = (struct natd){.stage = NATD_AWAY};
	w->signals = (struct signals){.came = world_natd_signalled};
	store_make_directory("/etc");
	store_make_directory(STATE_DIR);
	if (config)
		world_natd_write(w, config);
	k_enter(w->program);
	fake_kernel.open = 0;
	world_natd_network(w);
	open_natd(w);
	world_ring_add(w->natd.ring, w->program);
	k_enter(NULL);
	w->up = true;
}

static bool natd_has_ended(void *context)
{
	return world_ring_stopped(((struct world_natd *)context)->natd.ring);
}

static void check_nothing_left(struct world_natd *w)
{
	char list[256];

	k_program_list(w->program, list, sizeof(list));
	world_check(w->program->open_count == 0, "descriptors", "natd left %zu open at its end:%s",
		    w->program->open_count, list);
	if (!world_check(w->program->memory_count == 0, "memory",
			 "natd left %zu allocations of %zu bytes", w->program->memory_count,
			 w->program->memory_bytes) &&
	    world_verbose)
		memory_list(w->program, 10);
}

void world_natd_stop(struct world_natd *w)
{
	if (!w->up)
		return;
	world_tell("natd is asked to stop");
	k_signal(w->program, SIGTERM);
	world_check(world_until(natd_has_ended, w, STOP_MOST * MS), "ends",
		    "natd does not stop at SIGTERM");
	world_check(w->natd.engine.mode == ENGINE_AWAY, "ends",
		    "natd stops while its engine has not left the network");
	k_enter(w->program);
	world_ring_remove(w->natd.ring);
	natd_close(&w->natd);
	ring_close(w->natd.ring);
	signals_free(&w->signals);
	fake_kernel_close(); /* the kernel's end of it */
	k_enter(NULL);
	w->up = false;
	check_nothing_left(w);
}

void world_natd_crash(struct world_natd *w)
{
	world_tell("natd dies");
	world_ring_remove(w->natd.ring);
	k_program_end(w->program);
	w->program = NULL; /* its memory goes with the world's process */
	w->up = false;
}

struct portmap_mapping *world_natd_mapping(struct world_natd *w, enum portmap_transport t,
					   uint16_t internal)
{
	for (struct portmap_mapping *m = w->natd.engine.mappings; m; m = m->next)
		if (m->want.transport == t && m->want.internal == internal)
			return m;
	return NULL;
}
