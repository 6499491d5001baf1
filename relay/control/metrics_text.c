/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_text: counts as Prometheus reads them. */
#include "relay/control/metrics_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/parse/reason.h"

struct metric {
	const char *name, *type, *help;
	uint64_t value;
};

static void write_metric(FILE *f, const struct metric *m)
{
	fprintf(f, "# HELP postern_%s %s\n# TYPE postern_%s %s\npostern_%s %" PRIu64 "\n", m->name,
		m->help, m->name, m->type, m->name, m->value);
}

/* Every reason has its line from the start: a count that appears late looks like a jump. */
static void write_refusals(FILE *f, const uint64_t *refused)
{
	fputs("# HELP postern_refused_total What was refused or ended early, by reason\n"
	      "# TYPE postern_refused_total counter\n",
	      f);
#define X(number, name, sentence)                                                                  \
	if ((number) != REASON_OK)                                                                 \
		fprintf(f, "postern_refused_total{reason=\"" #name "\"} %" PRIu64 "\n",            \
			refused[number]);
	REASONS(X)
#undef X
}

static void write_stun(FILE *f, const struct metrics_stun *stun, size_t count)
{
	fputs("# HELP postern_stun_total What came for STUN, by what became of it\n"
	      "# TYPE postern_stun_total counter\n",
	      f);
	for (size_t i = 0; i < count; i++)
		fprintf(f, "postern_stun_total{over=\"%s\",result=\"%s\"} %" PRIu64 "\n",
			stun[i].over, stun[i].result, stun[i].count);
}

static void write_places(FILE *f, const struct metrics_place *places, size_t count)
{
	fputs("# HELP postern_places_used Open connections, by what they have proved\n"
	      "# TYPE postern_places_used gauge\n",
	      f);
	for (size_t i = 0; i < count; i++)
		fprintf(f, "postern_places_used{class=\"%s\"} %" PRIu64 "\n", places[i].class,
			places[i].used);
	fputs("# HELP postern_places_limit How many of them there may be\n"
	      "# TYPE postern_places_limit gauge\n",
	      f);
	for (size_t i = 0; i < count; i++)
		fprintf(f, "postern_places_limit{class=\"%s\"} %" PRIu64 "\n", places[i].class,
			places[i].most);
}

char *metrics_text(const struct metrics_values *v, size_t *len)
{
	const struct metric metrics[] = {
		{"links", "gauge", "Agents signed in", v->tables.links},
		{"legs", "gauge", "Idle and opening legs", v->tables.legs},
		{"meetings", "gauge", "Sessions asked for and not yet begun", v->tables.meetings},
		{"sessions", "gauge", "Running sessions", v->sessions},
		{"sessions_total", "counter", "Sessions begun", v->sessions_total},
		{"connections", "gauge", "Open connections of all kinds", v->connections},
		{"connections_limit", "gauge", "The limit of open connections",
		 v->connection_limit},
		{"memory_bytes", "gauge", "What peers make the relay keep", v->memory_bytes},
		{"memory_limit_bytes", "gauge", "The limit of it: limits.memory",
		 v->memory_limit_bytes},
		{"accepted_total", "counter", "Connections accepted", v->accepted},
		{"handshakes_total", "counter", "TLS handshakes begun", v->handshakes},
		{"bytes_total", "counter", "Bytes copied between legs, both ways", v->bytes},
		{"draining", "gauge", "1 while no new work is taken", v->draining},
		{"nat_connected", "gauge", "1 while the NAT helper on this host tells its state",
		 v->nat_connected},
		{"config_revision", "gauge", "The configuration in force", v->revision},
		{"certificate_expiry_seconds", "gauge",
		 "When the relay's certificate expires, in seconds of the epoch",
		 v->certificate_expires},
	};
	const struct metric front = {
		"front_certificate_expiry_seconds", "gauge",
		"When tls.certificate_file or its chain expires, in seconds of the epoch",
		v->front_expires};
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	if (!f)
		return NULL;
	fprintf(f,
		"# HELP postern_build_info The running version\n# TYPE postern_build_info gauge\n"
		"postern_build_info{version=\"%s\"} 1\n",
		v->version);
	for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++)
		write_metric(f, &metrics[i]);
	if (v->front_expires)
		write_metric(f, &front);
	write_refusals(f, v->refused);
	write_places(f, v->places, v->place_count);
	write_stun(f, v->stun, v->stun_count);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
