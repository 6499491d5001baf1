/* SPDX-License-Identifier: Apache-2.0 */
/* nat_trial: a natd that lives until it has an answer. */
#include "ctl/nat/trial.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "agent/worker/connector.h"
#include "core/clock.h"
#include "core/container.h"
#include "core/log.h"
#include "core/conf/conf.h"
#include "ctl/terminal/arguments.h"
#include "portmap/engine/engine.h"
#include "portmap/natd.h"
#include "portmap/outside.h"
#include "portmap/report.h"

#define LOOK_MS	  20u
#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

struct trial {
	struct natd natd; /* first: it is large */
	struct timer look;
	uint64_t until_ms;
	json_t *result;
};

static volatile sig_atomic_t interrupted;

static void trial_take_signal(int number)
{
	interrupted = 1;
}

/* ---- the one mapping ---- */

/* A UDP port that no program has bound, above those that natd leaves alone; 0: none. */
static uint16_t free_port(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint16_t port = 0;

	if (fd < 0)
		return 0;
	if (bind(fd, (struct sockaddr *)&at, len) == 0 &&
	    getsockname(fd, (struct sockaddr *)&at, &len) == 0)
		port = ntohs(at.sin_port);
	close(fd);
	return port;
}

static bool make_config(const struct endpoint *stun, size_t count, struct natd_config *out)
{
	char servers[NATD_STUN_MAX][ENDPOINT_TEXT_BYTES], map[32];
	struct natd_arguments a = {.maps = {map}, .map_count = 1};
	struct conf_errors errors = {.file = NULL};
	bool ok;

	snprintf(map, sizeof(map), "udp:%u:any", free_port());
	for (size_t i = 0; i < count && i < NATD_STUN_MAX; i++) {
		endpoint_text(&stun[i], servers[i]);
		a.stun[a.stun_count++] = servers[i];
	}
	ok = natd_config_load(&a, out, &errors);
	if (ok)
		out->lifetime_ms = NAT_TRIAL_LIFETIME_S * 1000;
	else
		complain("the gateway cannot be asked: %s", errors.text ? errors.text : "");
	conf_errors_free(&errors);
	return ok;
}

/* ---- waiting ---- */

static bool has_gateway(const struct natd *n, enum portmap_family f)
{
	return n->network.places[f].gateway.len > 0;
}

/* Nothing better is to be expected. */
static bool trial_settled(const struct natd *n, const struct portmap_mapping *m)
{
	if (!has_gateway(n, m->want.family))
		return true;
	if (m->state == MAPPING_MAPPED)
		return m->proof[0] != '\0';
	/* What may pass was tried more than once. */
	return m->step != MAPPING_ASKING && (m->state != MAPPING_REQUESTED || m->rounds > 1);
}

static bool all_settled(const struct natd *n)
{
	if (n->stage == NATD_AWAY)
		return true; /* there is no network */
	if (n->stage != NATD_HERE || portmap_engine_probing(&n->engine) ||
	    outside_is_busy(n->outside))
		return false;
	for (const struct portmap_mapping *m = n->engine.mappings; m; m = m->next)
		if (!trial_settled(n, m))
			return false;
	return true;
}

static json_t *trial_found(const struct natd *n)
{
	json_t *mappings = json_array();

	for (const struct portmap_mapping *m = n->engine.mappings; m; m = m->next)
		if (has_gateway(n, m->want.family))
			json_array_append_new(mappings,
					      report_mapping(n, m, clock_ms(CLOCK_BOOTTIME)));
	return json_pack("{s:o, s:o, s:o, s:o}", "network", report_network(n), "external",
			 report_external(n), "protocols", report_protocols(n), "mappings",
			 mappings);
}

static void trial_timer_fired(struct timer *t, uint64_t ring_now_ms)
{
	struct trial *trial = container(t, struct trial, look);
	struct natd *n = &trial->natd;

	if (!interrupted && !all_settled(n) && clock_ms(CLOCK_BOOTTIME) < trial->until_ms) {
		ring_timer_set(n->ring, t, LOOK_MS);
		return;
	}
	if (!interrupted)
		trial->result = trial_found(n);
	natd_stop(n);
}

/* ---- life ---- */

static void trial_stopped(struct natd *n)
{
	ring_stop(n->ring);
}

static void trial_run(struct trial *t)
{
	const struct sigaction action = {.sa_handler = trial_take_signal};
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction before[LENGTH(numbers)];
	struct natd *n = &t->natd;
	int error;

	for (size_t i = 0; i < LENGTH(numbers); i++)
		sigaction(numbers[i], &action, &before[i]);
	t->until_ms = clock_ms(CLOCK_BOOTTIME) + NAT_TRIAL_MS;
	t->look.fire = trial_timer_fired;
	natd_start(n);
	ring_timer_set(n->ring, &t->look, LOOK_MS);
	error = ring_run(n->ring);
	if (error)
		complain("the event ring failed: %s", strerror(-error));
	else if (interrupted)
		complain("interrupted; what was mapped to try it is deleted");
	for (size_t i = 0; i < LENGTH(numbers); i++)
		sigaction(numbers[i], &before[i], NULL);
}

json_t *nat_trial(const struct endpoint *stun, size_t count)
{
	const struct ring_options options = {.engine = RING_EPOLL, .small_buffers = 16};
	struct trial *t = calloc(1, sizeof(*t));
	json_t *result = NULL;
	struct natd *n;
	char why[256];
	int error;

	if (!t) {
		complain("out of memory");
		return NULL;
	}
	n = &t->natd;
	if (!make_config(stun, count, &n->config)) {
		free(t);
		return NULL;
	}
	log_set_level(LOG_LEVEL_ERROR); /* the page says it all */
	RAND_bytes(n->nonces.key, sizeof(n->nonces.key));
	error = natd_start_upnp(n); /* before rings */
	if (error)
		complain("UPnP cannot be tried: its process cannot be started: %s",
			 strerror(-error));
	if (ring_open(&n->ring, &options, why, sizeof(why)) < 0) {
		complain("the gateway cannot be asked: %s", why);
		natd_config_free(&n->config);
		free(t);
		return NULL;
	}
	n->stopped = trial_stopped;
	error = natd_open(n, -1);
	if (error) {
		complain("the network cannot be looked at: %s", strerror(-error));
	} else {
		trial_run(t);
		result = t->result;
		natd_close(n);
		ring_close(n->ring);
	}
	free(t);
	return result;
}
