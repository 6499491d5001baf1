/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stun: 'postern stun', our external address and what the NAT between does, as STUN servers see it.
 *
 * Each HOST is looked up (SRV first where no port is given, RFC 8489 section 8.1), and one address
 * of each family is asked over UDP and TCP, all side by side. With several servers one more socket
 * asks them all, so that their answers can be compared.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/container.h"
#include "ctl/nat/nat.h"
#include "ctl/nat/questions.h"
#include "ctl/terminal/show.h"
#include "ctl/nat/stun_report.h"
#include "stun/client/round.h"
#include "stun/client/stream.h"
#include "stun/client/survey.h"

#define STUN_PORT      3478
#define HOSTS_MAX      8u
#define PLACES_MAX     STUN_ROUND_MAX
#define SRV_HOSTS_MAX  2u /* of what one name offers, the best */
#define TCP_TIMEOUT_MS 10000

static const struct option_row stun_options[] = {
	{"--nat", NULL, false,
	 "find out how the NAT maps and filters (RFC 5780), and what that means"},
	{"--lifetime", "SECONDS", false, "look for so long how long the NAT keeps an idle binding"},
	{"--json", NULL, false, "print JSON"},
	{NULL, NULL, false, NULL},
};

struct stun_command;

/* One address of one server. */
struct stun_place {
	struct stun_command *command;
	char server[ADDR_HOST_BYTES];
	struct addr address;
	struct stun_survey survey;
	struct stun_stream stream;
	const char *udp_error; /* the survey could not begin */
};

struct host {
	struct stun_command *command;
	char name[ADDR_HOST_BYTES];
	char error[128];
	struct addr found[2]; /* IPv4, IPv6; len 0: none */
};

struct stun_command {
	struct questions questions;
	bool nat;
	uint32_t lifetime_s;
	struct host hosts[HOSTS_MAX * SRV_HOSTS_MAX];
	size_t host_count;
	struct stun_place places[PLACES_MAX];
	size_t place_count;
	struct stun_round rounds[2]; /* by family, as in host.found */
};

/* ---- names ---- */

static void keep_addresses(struct host *h, const struct addr *addresses, size_t count)
{
	for (size_t i = count; i-- > 0;) /* the first of each family stays */
		h->found[addresses[i].sa.sa_family == AF_INET6] = addresses[i];
}

static void stun_resolved(void *owner, const struct addr *addresses, size_t count,
			  const char *error)
{
	struct host *h = owner;

	if (error)
		snprintf(h->error, sizeof(h->error), "%s", error);
	keep_addresses(h, addresses, error ? 0 : count);
	questions_answered(&h->command->questions);
}

static void resolve_host(struct stun_command *c, struct host *h, const struct endpoint *e)
{
	struct addr literal;

	h->command = c;
	snprintf(h->name, sizeof(h->name), "%s", e->host);
	if (addr_from_literal(e->host, e->port, &literal))
		keep_addresses(h, &literal, 1);
	else if (resolve_start(&c->questions.resolver, e->host, e->port, stun_resolved, h))
		questions_asked(&c->questions);
	else
		snprintf(h->error, sizeof(h->error), "out of memory");
}

/* The SRV records of a name; without any, the name itself at STUN's port. */
static void stun_services_found(void *owner, const struct endpoint *hosts, size_t count,
				const char *error)
{
	struct host *h = owner;
	struct stun_command *c = h->command;
	struct endpoint plain = {.port = STUN_PORT};

	if (error) {
		snprintf(plain.host, sizeof(plain.host), "%s", h->name);
		resolve_host(c, h, &plain);
	} else {
		resolve_host(c, h, &hosts[0]);
		if (count > 1)
			resolve_host(c, &c->hosts[c->host_count++], &hosts[1]);
	}
	questions_answered(&c->questions);
}

/* "HOST", "HOST:PORT", a literal with or without a port. */
static bool add_host(struct stun_command *c, const char *word)
{
	struct host *h = &c->hosts[c->host_count];
	char service[ADDR_HOST_BYTES + 16];
	struct endpoint e = {.port = STUN_PORT};
	struct addr literal;

	if (addr_from_literal(word, STUN_PORT, &literal))
		snprintf(e.host, sizeof(e.host), "%s", word);
	else if (!endpoint_parse(word, &e) && !addr_host_name_ok(word))
		return false;
	c->host_count++;
	if (e.host[0]) {
		resolve_host(c, h, &e);
		return true;
	}
	h->command = c;
	snprintf(h->name, sizeof(h->name), "%s", word);
	snprintf(service, sizeof(service), "_stun._udp.%s", word);
	if (resolve_services_start(&c->questions.resolver, service, stun_services_found, h))
		questions_asked(&c->questions);
	else
		snprintf(h->error, sizeof(h->error), "out of memory");
	return true;
}

/* ---- questions ---- */

static void stun_survey_done(struct stun_survey *s)
{
	questions_answered(&container(s, struct stun_place, survey)->command->questions);
}

static void stun_stream_done(struct stun_stream *s)
{
	questions_answered(&container(s, struct stun_place, stream)->command->questions);
}

static void add_place(struct stun_command *c, const struct host *h, const struct addr *address)
{
	struct stun_place *p = &c->places[c->place_count];
	int error;

	if (c->place_count == PLACES_MAX)
		return;
	c->place_count++;
	p->command = c;
	p->address = *address;
	snprintf(p->server, sizeof(p->server), "%s", h->name);
	p->survey.ring = p->stream.ring = c->questions.ring;
	p->survey.done = stun_survey_done;
	p->survey.discovery.server = p->stream.server = *address;
	p->survey.discovery.nat = c->nat;
	p->survey.discovery.lifetime_max_s = c->lifetime_s;
	error = stun_survey_start(&p->survey);
	if (error)
		p->udp_error = strerror(-error);
	else
		questions_asked(&c->questions);
	p->stream.done = stun_stream_done;
	p->stream.timeout_ms = TCP_TIMEOUT_MS;
	error = stun_stream_start(&p->stream);
	if (error)
		snprintf(p->stream.why, sizeof(p->stream.why), "%s", strerror(-error));
	else
		questions_asked(&c->questions);
}

static void stun_round_done(struct stun_round *r)
{
	/* rounds[0] or rounds[1]: which is told by the family that it asked */
	size_t which = r->entries[0].server.sa.sa_family == AF_INET6;

	questions_answered(&container(r - which, struct stun_command, rounds)->questions);
}

/* Several servers of one family. */
static void start_round(struct stun_command *c, size_t which)
{
	struct stun_round *r = &c->rounds[which];

	for (size_t i = 0; i < c->place_count; i++)
		if ((c->places[i].address.sa.sa_family == AF_INET6) == (which == 1))
			r->entries[r->count++].server = c->places[i].address;
	r->ring = c->questions.ring;
	r->pace = stun_pace_datagram;
	r->done = stun_round_done;
	if (r->count < 2 || stun_round_start(r))
		r->count = 0;
	else
		questions_asked(&c->questions);
}

static void ask_all(struct stun_command *c)
{
	for (size_t i = 0; i < c->host_count; i++) {
		const struct host *h = &c->hosts[i];

		for (size_t family = 0; family < 2; family++)
			if (h->found[family].len)
				add_place(c, h, &h->found[family]);
	}
	start_round(c, 0);
	start_round(c, 1);
}

/* ---- the result ---- */

static json_t *place_result(const struct stun_command *c, const struct stun_place *p)
{
	json_t *udp, *tcp = json_object();
	char text[ADDR_TEXT_BYTES];

	if (p->udp_error) {
		udp = json_pack("{s:n, s:{s:s}}", "external", "why", "external", p->udp_error);
	} else {
		udp = stun_report_findings(&p->survey.discovery.found, c->nat);
	}
	if (p->stream.external.len) {
		addr_format(&p->stream.external, text);
		json_object_set_new(tcp, "external", json_string(text));
	} else {
		json_object_set_new(tcp, "external", json_null());
		json_object_set_new(tcp, "why", json_string(p->stream.why));
	}
	addr_format(&p->address, text);
	return json_pack("{s:s, s:s, s:o, s:o}", "server", p->server, "address", text, "udp", udp,
			 "tcp", tcp);
}

static void set_verdict(const struct stun_command *c, json_t *result, size_t which, const char *key)
{
	const struct stun_round *r = &c->rounds[which];
	struct addr externals[STUN_ROUND_MAX];
	struct stun_verdict v;

	if (r->count == 0)
		return;
	for (size_t i = 0; i < r->count; i++)
		externals[i] = r->entries[i].external;
	stun_verdict_compare(externals, r->count, &v);
	json_object_set_new(result, key, stun_report_verdict(&v));
}

static json_t *whole_result(const struct stun_command *c)
{
	json_t *servers = json_array(), *result = json_object();

	for (size_t i = 0; i < c->place_count; i++)
		json_array_append_new(servers, place_result(c, &c->places[i]));
	json_object_set_new(result, "servers", servers);
	set_verdict(c, result, 0, "ipv4");
	set_verdict(c, result, 1, "ipv6");
	return result;
}

static bool any_address(const struct stun_command *c)
{
	for (size_t i = 0; i < c->place_count; i++)
		if (c->places[i].stream.external.len ||
		    (!c->places[i].udp_error && c->places[i].survey.discovery.found.external.len))
			return true;
	return false;
}

static void tell_names(const struct stun_command *c)
{
	for (size_t i = 0; i < c->host_count; i++)
		if (c->hosts[i].error[0])
			complain("%s: %s; check the name, and this host's DNS", c->hosts[i].name,
				 c->hosts[i].error);
}

/* ---- the command ---- */

static bool read_arguments(const struct arguments *a, struct stun_command *c)
{
	const char *lifetime = arguments_text(a, "--lifetime", NULL);
	char *end;
	unsigned long s = lifetime ? strtoul(lifetime, &end, 10) : 0;

	if (lifetime && (*end || end == lifetime || s < 30 || s > STUN_LIFETIME_MAX_S)) {
		complain_usage(a->command, "--lifetime takes seconds, 30 to %u",
			       STUN_LIFETIME_MAX_S);
		return false;
	}
	c->lifetime_s = (uint32_t)s;
	c->nat = s > 0 || arguments_flag(a, "--nat");
	return true;
}

static enum status stun_command_ask(const struct arguments *a, struct stun_command *c)
{
	enum status status = STATUS_FAILED;
	json_t *result;

	for (size_t i = 0; i < a->word_count; i++)
		if (!add_host(c, a->words[i])) {
			complain_usage(a->command,
				       "'%s' is no server; write HOST, HOST:PORT or [IPV6]:PORT",
				       a->words[i]);
			return STATUS_USAGE;
		}
	if (!questions_wait(&c->questions))
		return STATUS_FAILED;
	tell_names(c);
	ask_all(c);
	if (c->place_count == 0 || !questions_wait(&c->questions))
		return STATUS_FAILED;
	result = whole_result(c);
	if (arguments_flag(a, "--json"))
		show_json(stdout, result);
	else
		stun_report_print(result);
	json_decref(result);
	if (any_address(c))
		status = STATUS_OK;
	return status;
}

static enum status stun_command_run(const struct arguments *a)
{
	struct stun_command *c = calloc(1, sizeof(*c));
	enum status status;
	char why[256];

	if (!c || !questions_open(&c->questions, why, sizeof(why))) {
		complain("cannot begin: %s", c ? why : "out of memory");
		free(c);
		return STATUS_FAILED;
	}
	status = read_arguments(a, c) ? stun_command_ask(a, c) : STATUS_USAGE;
	questions_close(&c->questions);
	free(c);
	return status;
}

const struct command stun_commands[] = {
	{"stun", "HOST[:PORT] ...", 1, HOSTS_MAX,
	 "Asks STUN servers for our external address, and what the NAT does.", stun_options,
	 stun_command_run},
	{.name = NULL},
};
