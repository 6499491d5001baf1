/* SPDX-License-Identifier: Apache-2.0 */
/* nat_behaviour: servers looked up and surveyed side by side. */
#include "ctl/nat/behaviour.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/worker/connector.h"
#include "core/container.h"
#include "ctl/nat/questions.h"
#include "ctl/nat/stun_report.h"
#include "stun/client/survey.h"

/* 5.75 s: a person waits for the page, and a server that is far away answers within one. */
static const struct stun_pace pace = {.rto_ms = 250, .sends = 5, .last_rto = 8};

struct behaviour;

struct server {
	struct behaviour *behaviour;
	struct endpoint endpoint;
	struct addr address; /* IPv4; len 0: none */
	struct stun_survey survey;
	char error[128]; /* why it was not asked */
};

struct behaviour {
	struct questions questions;
	struct addr source; /* len 0: as the system chooses */
	unsigned index;
	struct server servers[NAT_BEHAVIOUR_SERVERS_MAX];
	size_t count;
};

bool nat_behaviour_server(const char *word, struct endpoint *out)
{
	struct endpoint e = {.port = NAT_BEHAVIOUR_PORT};
	struct addr literal;

	if (addr_from_literal(word, NAT_BEHAVIOUR_PORT, &literal) || addr_host_name_ok(word)) {
		if (strlen(word) >= sizeof(e.host))
			return false;
		memcpy(e.host, word, strlen(word) + 1);
	} else if (!endpoint_parse(word, &e)) {
		return false;
	}
	*out = e;
	return true;
}

static void behaviour_resolved(void *owner, const struct addr *addresses, size_t count,
			       const char *error)
{
	struct server *s = owner;

	if (error)
		snprintf(s->error, sizeof(s->error), "%s; check the name, and this host's DNS",
			 error);
	for (size_t i = 0; !error && i < count && s->address.len == 0; i++)
		if (addresses[i].sa.sa_family == AF_INET)
			s->address = addresses[i];
	questions_answered(&s->behaviour->questions);
}

static void behaviour_look_up(struct behaviour *b)
{
	for (size_t i = 0; i < b->count; i++) {
		struct server *s = &b->servers[i];

		if (addr_from_literal(s->endpoint.host, s->endpoint.port, &s->address)) {
			if (s->address.sa.sa_family != AF_INET)
				s->address.len = 0;
		} else if (resolve_start(&b->questions.resolver, s->endpoint.host, s->endpoint.port,
					 behaviour_resolved, s)) {
			questions_asked(&b->questions);
		} else {
			snprintf(s->error, sizeof(s->error), "out of memory");
		}
	}
}

static void behaviour_surveyed(struct stun_survey *survey)
{
	questions_answered(&container(survey, struct server, survey)->behaviour->questions);
}

static void behaviour_survey(struct behaviour *b)
{
	for (size_t i = 0; i < b->count; i++) {
		struct server *s = &b->servers[i];
		int error;

		if (s->address.len == 0) {
			if (!s->error[0])
				snprintf(s->error, sizeof(s->error),
					 "the server has no IPv4 address");
			continue;
		}
		s->survey.ring = b->questions.ring;
		s->survey.done = behaviour_surveyed;
		s->survey.source = b->source;
		s->survey.index = b->index;
		s->survey.discovery.server = s->address;
		s->survey.discovery.pace = pace;
		s->survey.discovery.nat = true;
		error = stun_survey_start(&s->survey);
		if (error)
			snprintf(s->error, sizeof(s->error), "%s", strerror(-error));
		else
			questions_asked(&b->questions);
	}
}

/* How much a server told. */
static unsigned worth(const struct server *s)
{
	const struct stun_findings *f = &s->survey.discovery.found;

	if (s->error[0])
		return 0;
	return 1u + f->answered + (f->external.len > 0) +
	       (f->mapping != STUN_MAPPING_UNKNOWN ? 2u : 0u) +
	       (f->filtering != STUN_FILTERING_UNKNOWN ? 2u : 0u);
}

static json_t *best_findings(const struct behaviour *b)
{
	const struct server *best = &b->servers[0];
	char text[ENDPOINT_TEXT_BYTES];
	json_t *out;

	for (size_t i = 1; i < b->count; i++)
		if (worth(&b->servers[i]) > worth(best))
			best = &b->servers[i];
	if (best->error[0])
		return json_pack("{s:n, s:n, s:{s:s}}", "server", "external", "why", "external",
				 best->error);
	out = stun_report_findings(&best->survey.discovery.found, true);
	endpoint_text(&best->endpoint, text);
	json_object_set_new(out, "server", json_string(text));
	return out;
}

/* The same way as the gateway is asked, so that one NAT is told of. */
static void behaviour_leave_by(struct behaviour *b, const json_t *network)
{
	const char *interface = json_string_value(json_object_get(network, "interface"));
	const char *address = json_string_value(json_object_get(network, "address"));

	if (!interface || !address || !addr_from_literal(address, 0, &b->source))
		return;
	b->index = if_nametoindex(interface);
	if (b->index == 0)
		b->source.len = 0;
}

json_t *nat_behaviour_ask(const struct endpoint *servers, size_t count, const json_t *network)
{
	struct behaviour *b = calloc(1, sizeof(*b));
	json_t *out = NULL;
	char why[256];

	if (!b || !questions_open(&b->questions, why, sizeof(why))) {
		free(b);
		return NULL;
	}
	b->count = count < NAT_BEHAVIOUR_SERVERS_MAX ? count : NAT_BEHAVIOUR_SERVERS_MAX;
	for (size_t i = 0; i < b->count; i++) {
		b->servers[i].behaviour = b;
		b->servers[i].endpoint = servers[i];
	}
	behaviour_leave_by(b, network);
	behaviour_look_up(b);
	if (questions_wait(&b->questions)) {
		behaviour_survey(b);
		if (questions_wait(&b->questions))
			out = best_findings(b);
	}
	questions_close(&b->questions);
	free(b);
	return out;
}
