/* SPDX-License-Identifier: Apache-2.0 */
/*
 * programs: relays and agents of a world.
 *
 * What their main() does around the loop is done here step by step, without isolation, without
 * threads and without a second process: the keeper and the signer serve their ends of the pairs
 * when they are asked, each in a program of its own.
 */
#include "tests/world/programs.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/config/load.h"
#include "core/container.h"
#include "core/memory.h"
#include "core/ring_internal.h"
#include "relay/control/control_internal.h"
#include "relay/front/conn.h"
#include "relay/session/link.h"
#include "relay/session/session.h"
#include "relay/signer/pair.h"
#include "tests/world/kernel_internal.h"
#include "tests/world/memory.h"
#include "tests/world/ring_sim.h"
#include "tests/world/store.h"

struct certs_ca world_ca;
struct certs_pair world_pairs[WHO_COUNT];

static const struct {
	const char *name;
	enum identity_role role;
} people[WHO_COUNT] = {
	[RELAY_A] = {"relay-a", IDENTITY_RELAY}, [RELAY_B] = {"relay-b", IDENTITY_RELAY},
	[HOME] = {"home", IDENTITY_AGENT},	 [LAPTOP] = {"laptop", IDENTITY_AGENT},
	[GUEST] = {"guest", IDENTITY_AGENT},	 [ADMIN] = {"admin", IDENTITY_CONSOLE},
};

const char *who_name(enum who who)
{
	return people[who].name;
}

/* Moves what one side of a handshake has for the other. */
static void carry(struct tls *from, struct tls *to)
{
	size_t len;
	const uint8_t *out = tls_output(from, &len);

	if (len > 0 && !tls_feed(to, out, len))
		world_broken("a handshake that warms the library up takes no bytes");
	tls_output_drop(from, len);
}

/*
 * BoringSSL makes a few things once, at their first use, and keeps them: they would count as what
 * the first program leaves behind. A handshake between two agents, read and exported from, and one
 * that garbage ends use all of them here, before there is a program.
 */
static void library_warm_up(void)
{
	char why[256];
	struct identity *id = identity_new(world_ca.pem, world_pairs[HOME].certificate,
					   world_pairs[HOME].key, time(NULL), why, sizeof(why));
	SSL_CTX *context[2] = {identity_inner_context(id, false), identity_inner_context(id, true)};
	uint8_t exported[TLS_EXPORT_BYTES], text[8];
	size_t n;

	for (unsigned garbage = 0; garbage < 2; garbage++) {
		struct tls *side[2] = {tls_new(context[0], false), tls_new(context[1], true)};

		for (unsigned i = 0; i < 2; i++)
			if (!side[i] || !identity_inner_at(tls_ssl(side[i]), time(NULL)))
				world_broken("no memory to warm the library up");
		for (unsigned turn = 0; turn < 4; turn++) {
			(void)!tls_handshake(side[turn % 2]);
			carry(side[turn % 2], side[1 - turn % 2]);
		}
		if (garbage && !tls_feed(side[0], (const uint8_t *)"garbage", 7))
			world_broken("no memory for garbage");
		if (!garbage && (!tls_export(side[0], TLS_EXPORT_HELLO, exported) ||
				 tls_write(side[1], exported, sizeof(exported)) != TLS_OK))
			world_broken("the library cannot be warmed up: %s", tls_error(side[0]));
		carry(side[1], side[0]);
		(void)!tls_read(side[0], text, sizeof(text), &n);
		tls_free(side[0]);
		tls_free(side[1]);
	}
	SSL_CTX_free(context[0]);
	SSL_CTX_free(context[1]);
	identity_free(id);
}

void programs_prepare(void)
{
	world_ca = certs_make_ca("Worlds");
	for (unsigned i = 0; i < WHO_COUNT; i++)
		world_pairs[i] = certs_make_pair(&world_ca, people[i].role, people[i].name, -86400,
						 90 * 86400);
	library_warm_up();
}

/* ---- configurations ---- */

void identity_yaml(enum who who, char *out, size_t room)
{
	certs_yaml(world_ca.pem, world_pairs[who].certificate, world_pairs[who].key, out, room);
}

static void write_config(const char *path, enum who who, const char *state_dir, const char *config)
{
	static char text[524288];
	char identity[8192];
	int n;

	identity_yaml(who, identity, sizeof(identity));
	n = snprintf(text, sizeof(text), "name: %s\nstate_dir: %s\n%s%s", people[who].name,
		     state_dir, identity, config);
	if (n < 0 || (size_t)n >= sizeof(text))
		world_broken("a configuration is too long");
	store_write(path, text, (size_t)n);
}

/* Nothing of the program's may be left; then it is taken away. */
static void check_program(struct k_program *p)
{
	char list[256];

	k_program_list(p, list, sizeof(list));
	world_check(p->open_count == 0, "descriptors", "%s left %zu open at its end:%s", p->name,
		    p->open_count, list);
	if (!world_check(p->memory_count == 0, "memory", "%s left %zu allocations of %zu bytes",
			 p->name, p->memory_count, p->memory_bytes) &&
	    world_verbose)
		memory_list(p, 10);
}

/* ---- the keeper ---- */

static bool keeper_turn(void *context)
{
	struct world_relay *r = context;
	struct k_program *was;
	bool served = false;

	if (r->keeper_dead || r->keeper_silent)
		return false;
	was = k_enter(r->keeper_program);
	while (!r->keeper_dead && k_file_get(r->server.fd) &&
	       (k_ready(k_file_get(r->server.fd)) & POLLIN)) {
		served = true;
		if (keeper_server_turn(&r->server))
			continue;
		r->keeper_dead = true;
		k_program_end(r->keeper_program);
	}
	k_enter(was);
	return served;
}

int world_give_descriptor(int fd, struct k_program *to)
{
	struct k_file *f = k_file_get(fd);
	struct k_program *was;
	int given;

	f->refs++;
	was = k_enter(to);
	given = k_install(f);
	k_enter(was);
	k_close(fd);
	return given;
}

static void keeper_begin(struct world_relay *r)
{
	char name[24];
	int pair[2];

	snprintf(name, sizeof(name), "keeper%u", r->program->index);
	r->keeper_program = k_program_new(name, r->host);
	if (k_packet_pair(pair, false))
		world_broken("no pair for the keeper");
	r->keeper = (struct keeper){.helper = {.fd = pair[0], .wait_ms = HELPER_WAIT_MS}};
	int theirs = world_give_descriptor(pair[1], r->keeper_program);
	k_enter(r->keeper_program);
	r->places.state_dir = k_store_open(r->state_dir, 0);
	keeper_server_begin(&r->server, theirs, &r->places);
	k_enter(r->program);
	r->keeper_dead = r->keeper_silent = false;
	world_turns_add(keeper_turn, r);
}

/* ---- the signer ---- */

static void signer_end(struct world_relay *r)
{
	struct k_program *was = k_enter(r->signer_program);

	signer_server_close(&r->signer_server);
	k_program_end(r->signer_program);
	k_enter(was);
	r->signer_dead = true;
}

static bool signer_turn(void *context)
{
	struct world_relay *r = context;
	struct signer_server *s = &r->signer_server;
	struct k_program *was;
	bool served = false;

	if (r->signer_dead || r->signer_silent)
		return false;
	was = k_enter(r->signer_program);
	for (size_t i = s->count; i-- > 0 && !r->signer_dead;) {
		if (!k_file_get(s->fds[i]) || !(k_ready(k_file_get(s->fds[i])) & POLLIN))
			continue;
		served = true;
		if (!signer_server_turn(s, i))
			signer_end(r);
	}
	k_enter(was);
	return served;
}

void world_signer_kill(struct world_relay *r)
{
	world_tell("the signer dies");
	signer_end(r);
}

static void signer_begin(struct world_relay *r)
{
	char name[24];
	int pair[2];

	snprintf(name, sizeof(name), "signer%u", r->program->index);
	r->signer_program = k_program_new(name, r->host);
	if (k_packet_pair(pair, false))
		world_broken("no pair for the signer");
	r->signer = (struct signer){.helper = {.fd = pair[0], .wait_ms = HELPER_WAIT_MS}};
	int theirs = world_give_descriptor(pair[1], r->signer_program);
	k_enter(r->signer_program);
	r->signer_places = (struct signer_places){
		.files = {{.real_dir = -1}, {.real_dir = -1}, {.real_dir = -1}}};
	for (size_t i = 0; i < SIGNING_FILES; i++)
		r->signer_places.files[i].dir = k_store_open("/etc", 0);
	snprintf(r->signer_places.files[SIGNING_CONFIG].path, 64, "%s", r->config_path);
	snprintf(r->signer_places.files[SIGNING_CONFIG].name, 256, "%s", r->config_path + 5);
	snprintf(r->signer_places.files[SIGNING_CERTIFICATE].name, 256, "fullchain.pem");
	snprintf(r->signer_places.files[SIGNING_KEY].name, 256, "privkey.pem");
	if (!signer_server_open(&r->signer_server, theirs, &r->signer_places))
		world_broken("no memory for the signer");
	k_enter(r->program);
	r->signer_dead = r->signer_silent = false;
	world_turns_add(signer_turn, r);
}

static bool signer_has_key(void *context, const uint8_t id[SIGNING_KEY_BYTES], enum signing_use use)
{
	return signer_has(context, id, use) == 0;
}

static void signer_has_state(void *context, const char *state_dir)
{
	char *text;

	if (signer_state(context, state_dir, &text))
		world_broken("the signer has no directory");
	memory_free(text);
}

/* ---- relays ---- */

void world_relay_write(struct world_relay *r, const char *config)
{
	write_config(r->config_path, r->who, r->state_dir, config);
}

static void relay_signal_came(struct signals *signals, int number)
{
	struct world_relay *r = container(signals, struct world_relay, signals);
	struct relay_control *ctl = r->relay.control;

	if (number == SIGHUP) {
		control_reload(ctl);
		return;
	}
	if (!r->stopping)
		control_drain(ctl, control_snapshot(ctl)->config.drain_ms, true);
	else
		ring_stop(r->relay.control_ring);
	r->stopping = true;
}

static bool relay_worker_ended(struct relay *relay, unsigned worker)
{
	return container(relay, struct world_relay, relay)->worker_ended;
}

static void relay_worker_failed(struct relay *relay, unsigned worker, const char *why)
{
	struct world_relay *r = container(relay, struct world_relay, relay);

	r->workers_failed++;
	world_check(r->may_fail, "serves", "%s takes its worker %u for lost: %s", who_name(r->who),
		    worker, why);
}

/* The program goes on: it has no process that could end. */
static const struct relay_watch relay_watch = {.ended = relay_worker_ended,
					       .failed = relay_worker_failed};

/* As main() does, on a machine with two cores. */
static unsigned relay_threads(const struct relay_config *c)
{
	unsigned n = c->threads > 0 ? (unsigned)c->threads : 2;

	return n < RELAY_WORKERS_MAX ? n : RELAY_WORKERS_MAX;
}

static void relay_open_all(struct world_relay *r)
{
	static const int numbers[] = {SIGTERM, SIGHUP, 0};
	struct relay_config config;
	struct configuring_start start;
	struct conf_errors errors = {0};
	struct signed_revocations signed_revocations = {.count = 0};
	struct control_setup setup = {.keeper = &r->keeper,
				      .signer = &r->signer,
				      .signed_revocations = &signed_revocations,
				      .path = r->config_path,
				      .start = &start,
				      .isolation = &r->isolation};
	struct load_source from = {.path = r->config_path,
				   .has_key = signer_has_key,
				   .state = signer_has_state,
				   .context = &r->signer};
	char why[PAIR_WHY_BYTES], *text = NULL;

	signer_begin(r);
	relay_begin(&r->relay);
	if (signer_read(&r->signer, SIGNING_CONFIG, &text, &from.len))
		world_broken("the relay's configuration cannot be read");
	from.text = text;
	if (!load_config(&from, &config, &start, &errors))
		world_broken("the relay's configuration: %s", errors.text);
	memory_free(text);
	conf_errors_free(&errors);
	log_set_level((enum log_level)config.log_level);
	if (signals_open(&r->signals, numbers))
		world_broken("the relay's signals");
	keeper_begin(r);
	if (config.tls.certificate_file) {
		const struct pair_paths paths = {config.tls.certificate_file, config.tls.key_file};

		setup.front_pem = pair_read(&r->signer, &paths, why);
		if (!setup.front_pem)
			world_broken("the relay does not start: %s", why);
	}
	load_signed_revocations(&config, &signed_revocations);
	setup.snap = snapshot_new(
		&config, &(struct snapshot_beside){setup.front_pem, &signed_revocations, NULL}, 1,
		why, sizeof(why));
	if (!setup.snap ||
	    relay_open(&r->relay, setup.snap, relay_threads(&setup.snap->config), why,
		       sizeof(why)) ||
	    relay_join_signer(&r->relay, &r->signer) ||
	    control_open(&r->relay, &setup, why, sizeof(why)) ||
	    control_follow_nat(r->relay.control))
		world_broken("the relay does not start: %s", why);
	r->signer_server.sealed = true;
	configuring_start_free(&start);
	signals_follow(&r->signals, r->relay.control_ring);
}

size_t world_relay_descriptors;

void world_relay_start(struct world_relay *r, enum who who, struct k_host *host, const char *config)
{
	char why[512];

	r->who = who;
	r->host = host;
	if (!r->program)
		r->program = k_program_new(people[who].name, host);
	if (world_relay_descriptors > 0)
		r->program->limit = world_relay_descriptors;
	snprintf(r->config_path, sizeof(r->config_path), "/etc/%s.yaml", people[who].name);
	snprintf(r->state_dir, sizeof(r->state_dir), "/var/%s", people[who].name);
	store_make_directory("/etc");
	store_make_directory(r->state_dir);
	if (config)
		world_relay_write(r, config);
	r->relay = (struct relay){0};
	r->signals = (struct signals){.came = relay_signal_came};
	r->stopping = false;
	k_enter(r->program);
	relay_open_all(r);
	for (unsigned i = 0; i < r->relay.worker_count; i++)
		if (relay_worker_open_ring(&r->relay.workers[i], why, sizeof(why)))
			world_broken("a worker's ring: %s", why);
	if (relay_ready(&r->relay, control_snapshot(r->relay.control), why, sizeof(why)))
		world_broken("the relay's limits: %s", why);
	for (unsigned i = 0; i < r->relay.worker_count; i++) {
		struct worker *w = &r->relay.workers[i];

		relay_worker_start(w);
		world_ring_add(w->ring, r->program);
	}
	world_ring_add(r->relay.control_ring, r->program);
	r->relay.watch = &relay_watch;
	r->may_fail = r->worker_ended = false;
	r->workers_failed = 0;
	control_watch(r->relay.control);
	k_enter(NULL);
	r->up = true;
}

/* What has been posted is delivered, so that only leaks are counted as such. The end of a process
 * does without. */
static void empty_inboxes(struct world_relay *r)
{
	bool more = true;

	for (unsigned rounds = 0; more && rounds < 100; rounds++) {
		more = false;
		for (unsigned i = 0; i <= r->relay.worker_count; i++) {
			struct ring *ring = i < r->relay.worker_count ? r->relay.workers[i].ring
								      : r->relay.control_ring;

			more = more || atomic_load(&ring->inbox);
			if (ring_turn(ring))
				world_broken("a ring fails at the end");
		}
	}
}

/* The loop of its main thread has ended. */
static void relay_over(struct world_relay *r)
{
	r->program->no_memory = 0;
	k_enter(r->program);
	empty_inboxes(r);
	for (unsigned i = 0; i < r->relay.worker_count; i++)
		world_ring_remove(r->relay.workers[i].ring);
	world_ring_remove(r->relay.control_ring);
	control_close(r->relay.control);
	signals_free(&r->signals);
	relay_close(&r->relay);
	k_enter(NULL);
	world_check(r->relay.memory.used == 0, "accounts",
		    "%lld bytes are charged when the relay has ended",
		    (long long)r->relay.memory.used);
	(void)keeper_turn(r);
	if (!r->keeper_dead)
		k_program_end(r->keeper_program);
	world_turns_remove(r);
	(void)signer_turn(r);
	if (!r->signer_dead)
		signer_end(r);
	world_turns_remove(r);
	r->up = false;
	check_program(r->program);
	check_program(r->keeper_program);
	check_program(r->signer_program);
}

static bool relay_has_left(void *context)
{
	struct world_relay *r = context;

	return world_ring_stopped(r->relay.control_ring);
}

void world_relay_kill(struct world_relay *r)
{
	if (!r->up)
		return;
	world_tell("the relay stops at once");
	/* Unless its main thread has ended by itself. */
	for (unsigned i = 0; i < 2 && !relay_has_left(r); i++)
		k_signal(r->program, SIGTERM);
	if (!world_until(relay_has_left, r, 10 * SECOND))
		world_check(false, "ends", "the relay does not stop at its second SIGTERM");
	relay_over(r);
}

void world_relay_stop(struct world_relay *r)
{
	uint64_t drain_us;

	if (!r->up)
		return;
	drain_us = control_snapshot(r->relay.control)->config.drain_ms * MS;
	world_tell("the relay is asked to stop");
	if (!r->stopping)
		k_signal(r->program, SIGTERM);
	if (!world_until(relay_has_left, r, drain_us + 5 * SECOND)) {
		world_check(false, "ends", "the relay does not stop after its drain's time");
		world_relay_kill(r);
		return;
	}
	relay_over(r);
}

static void list_connections(struct world_relay *r)
{
	for (unsigned i = 0; i < r->relay.worker_count; i++) {
		struct worker *w = &r->relay.workers[i];
		struct slab *table = &w->sessions->table;

		for (uint32_t n = 0; n < w->conns.high_water; n++) {
			struct conn *c = slab_at(&w->conns, n);

			if (c)
				k_trace("left: connection %s, descriptor %d", c->phase->name,
					c->fd);
		}
		for (uint32_t n = 0; n < table->high_water; n++) {
			struct session *s = slab_at(table, n);

			if (s)
				k_trace("left: session %s, flows %d and %d", s->service,
					s->flow[0].state, s->flow[1].state);
		}
	}
}

void world_relay_check_quiet(struct world_relay *r)
{
	struct relay_totals t;
	size_t conns = 0, sessions = 0, held = 0, lent = 0, pooled = 0;
	bool quiet;

	k_enter(r->program);
	t = relay_totals(&r->relay);
	k_enter(NULL);
	for (unsigned i = 0; i < r->relay.worker_count; i++) {
		struct worker *w = &r->relay.workers[i];

		conns += w->conns.used;
		sessions += w->sessions->table.used;
		held += w->sessions->held_bytes;
		lent += w->sessions->large.made - w->sessions->large.free_count;
		pooled += w->ring->pool_count - w->ring->pool_free;
	}
	quiet = world_check(t.connections == 0 && conns == 0, "accounts",
			    "%llu connections are counted and %zu are kept when all have left",
			    (unsigned long long)t.connections, conns);
	quiet &= world_check(t.sessions == 0 && sessions == 0, "accounts",
			     "%llu sessions are counted and %zu are kept when all have ended",
			     (unsigned long long)t.sessions, sessions);
	quiet &= world_check(t.tables.links == 0 && t.tables.legs == 0, "accounts",
			     "%zu links and %zu legs are counted when all have left",
			     t.tables.links, t.tables.legs);
	quiet &= world_check(held == 0 && lent == 0 && pooled == 0, "buffers",
			     "%zu bytes are held, %zu large and %zu small buffers lent", held, lent,
			     pooled);
	if (!quiet)
		list_connections(r);
}

/* ---- who is there ---- */

unsigned world_relay_sessions_of(const struct world_relay *r, const char *name)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->relay.worker_count; i++) {
		struct slab *table = &r->relay.workers[i].sessions->table;

		for (uint32_t k = 0; k < table->high_water; k++) {
			const struct session *s = slab_at(table, k);

			if (s && !s->ended &&
			    ((s->pair.from && strcmp(party_name(s->pair.from), name) == 0) ||
			     strcmp(party_name(s->pair.to), name) == 0))
				n++;
		}
	}
	return n;
}

bool world_relay_links(const struct world_relay *r, const char *name)
{
	bool linked = false;

	for (unsigned i = 0; i < r->relay.worker_count && !linked; i++) {
		struct slab *table = &r->relay.workers[i].conns;

		for (uint32_t k = 0; k < table->high_water && !linked; k++) {
			struct conn *c = slab_at(table, k);
			const char *agent = c ? link_agent(c) : NULL;

			linked = agent && strcmp(agent, name) == 0;
		}
	}
	return linked;
}

const char *world_relay_ending(const struct world_relay *r, const char **why)
{
	const struct records *audits = &r->relay.control->audits;
	const char *ending = "", *reason = "";

	for (uint64_t n = audits->count; n > 0 && audits->count - n < RECORDS_KEPT; n--) {
		const json_t *record = audits->kept[n % RECORDS_KEPT];
		const char *kind = json_string_value(json_object_get(record, "kind"));

		if (!kind || strcmp(kind, "session.closed") != 0)
			continue;
		ending = json_string_value(json_object_get(record, "ending"));
		reason = json_string_value(json_object_get(record, "reason"));
		break;
	}
	if (why)
		*why = reason ? reason : "";
	return ending ? ending : "";
}

unsigned world_agent_sessions_with(const struct world_agent *a, const char *name)
{
	unsigned n = 0;

	for (const struct agent_session *s = a->up ? a->agent.sessions.first : NULL; s; s = s->next)
		n += strcmp(s->peer, name) == 0;
	return n;
}

/* ---- agents ---- */

static void agent_signal_came(struct signals *s, int number)
{
	struct world_agent *a = container(s, struct world_agent, signals);

	if (number == SIGHUP)
		agent_control_reload(a->agent.control);
	else
		agent_stop(&a->agent);
}

static void agent_signals_over(struct signals *s)
{
	agent_worker_drop(&container(s, struct world_agent, signals)->agent.worker);
}

static void agent_is_stopping(struct agent *agent)
{
	signals_close(&container(agent, struct world_agent, agent)->signals);
}

void world_agent_write(struct world_agent *a, const char *config)
{
	write_config(a->config_path, a->who, a->state_dir, config);
}

void world_agent_start(struct world_agent *a, enum who who, struct k_host *host, const char *config)
{
	static const int numbers[] = {SIGTERM, SIGHUP, 0};
	static const struct agent_overrides overrides = {-1, -1};
	struct conf_errors errors = {0};
	char why[512];

	a->who = who;
	a->host = host;
	if (!a->program)
		a->program = k_program_new(people[who].name, host);
	snprintf(a->config_path, sizeof(a->config_path), "/etc/%s.yaml", people[who].name);
	snprintf(a->state_dir, sizeof(a->state_dir), "/var/%s", people[who].name);
	store_make_directory(a->state_dir);
	if (config)
		world_agent_write(a, config);
	k_enter(a->program);
	if (!agent_load(a->config_path, &a->config, &a->start, &a->state, &errors))
		world_broken("the agent's configuration: %s", errors.text);
	conf_errors_free(&errors);
	a->signals = (struct signals){.came = agent_signal_came, .closed = agent_signals_over};
	if (signals_open(&a->signals, numbers) ||
	    !agent_open(&a->agent, &a->config, a->config.engine, false, why, sizeof(why)))
		world_broken("the agent does not start: %s", why);
	a->agent.on_stop = agent_is_stopping;
	if (!agent_open_rest(&a->agent, &a->start, a->config_path, a->state, &overrides, why,
			     sizeof(why)))
		world_broken("the agent does not start: %s", why);
	agent_worker_hold(&a->agent.worker);
	signals_follow(&a->signals, a->agent.worker.ring);
	agent_start(&a->agent);
	world_ring_add(a->agent.worker.ring, a->program);
	k_enter(NULL);
	a->up = true;
}

static bool agent_has_left(void *context)
{
	return world_ring_stopped(((struct world_agent *)context)->agent.worker.ring);
}

static void agent_over(struct world_agent *a)
{
	k_enter(a->program);
	world_ring_remove(a->agent.worker.ring);
	if (agent_worker_idle(&a->agent.worker))
		agent_close(&a->agent);
	configuring_start_free(&a->start);
	agent_config_free(&a->config);
	k_enter(NULL);
	a->up = false;
}

void world_agent_stop(struct world_agent *a)
{
	bool idle;

	if (!a->up)
		return;
	world_tell("%s is asked to stop", people[a->who].name);
	a->program->no_memory = 0;
	k_signal(a->program, SIGTERM);
	if (!world_until(agent_has_left, a, 10 * SECOND))
		world_check(false, "ends", "%s does not stop at SIGTERM", people[a->who].name);
	idle = agent_worker_idle(&a->agent.worker);
	world_check(idle, "ends", "%s stops with %zu things under way", people[a->who].name,
		    a->agent.worker.held);
	const struct ring *ring = a->agent.worker.ring;
	world_check(!idle || ring->pool_free == ring->pool_count, "buffers",
		    "%s stops with %zu of its ring's buffers lent", people[a->who].name,
		    (size_t)(ring->pool_count - ring->pool_free));
	agent_over(a);
	if (idle)
		check_program(a->program);
	else
		k_program_end(a->program);
}

void world_agent_crash(struct world_agent *a)
{
	if (!a->up)
		return;
	world_tell("%s dies", people[a->who].name);
	world_ring_remove(a->agent.worker.ring);
	k_program_end(a->program);
	a->program = NULL;
	world_leaks(); /* its memory goes with the world's process */
	a->up = false;
}

bool world_agent_linked(const struct world_agent *a)
{
	for (size_t i = 0; a->up && i < a->agent.links.count; i++)
		if (link_state_usable(&a->agent.links.list[i]->state))
			return true;
	return false;
}
