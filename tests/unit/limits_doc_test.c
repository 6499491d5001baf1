/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docs/limits.md has a row for each limit of the relay's configuration, and its figures are those
 * of the code. Runs at the top of the source tree.
 * links: core/key_file.c
 * links: core/engine/revocations.c
 * links: core/conf/rows.c
 * links: relay/config/stun.c relay/config/policy.c relay/policy/index.c
 * links: relay/policy/source.c relay/policy/time.c relay/config/config.c core/conf/conf.c
 * links: core/conf/bind.c core/conf/error.c core/conf/value.c core/addr.c
 * links: core/log*.c core/parse/wire.c
 * links: core/memory.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/engine/inner.h"
#include "agent/relays/channel.h"
#include "agent/relays/leg.h"
#include "agent/session/session.h"
#include "core/acceptor.h"
#include "core/engine/keyring.h"
#include "core/engine/proving.h"
#include "core/engine/signed_revocations.h"
#include "core/program/resolve.h"
#include "portmap/control.h"
#include "portmap/hops.h"
#include "portmap/outside.h"
#include "relay/config/config.h"
#include "relay/control/control_internal.h"
#include "relay/front/conn.h"
#include "relay/ledger/buckets.h"
#include "relay/ledger/ledger.h"
#include "relay/rendezvous/rendezvous.h"
#include "relay/session/flow.h"
#include "relay/signer/made.h"

#define PAGE	  "docs/limits.md"
#define PEM(kind) "|\n    -----BEGIN " kind "-----\n    MA==\n    -----END " kind "-----\n"
#define LEAST                                                                                                          \
	"name: front\nlisten: [{address: '0.0.0.0:443'}]\nidentity:\n  ca: " PEM("CERTIFICATE") "  certificate: " PEM( \
		"CERTIFICATE") "  key: " PEM("PRIVATE KEY") "  tag_keys: "                                             \
							    "7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a"                     \
							    "7a7a7a7a7a7a7a7a7a7a7a7a7a7a\n"

static char page[65536];
static struct relay_config defaults;

static int set_up(void **state)
{
	struct conf_errors errors = {.file = "least"};
	struct conf_node *root = conf_parse(LEAST, strlen(LEAST), &errors);
	FILE *f = fopen(PAGE, "r");

	if (!f || !root || !relay_config_bind(root, &defaults, &errors))
		return -1;
	page[fread(page, 1, sizeof(page) - 1, f)] = '\0';
	fclose(f);
	conf_node_free(root);
	return 0;
}

static int tear_down(void **state)
{
	relay_config_free(&defaults);
	return 0;
}

/* ---- rows ---- */

/* A row's column, from 0, of the row that begins at row. */
static const char *column_of(const char *row, unsigned column, size_t *len)
{
	const char *at = row + 2, *end;

	for (; column > 0; column--) {
		at = strstr(at, " | ");
		assert_non_null(at);
		at += 3;
	}
	end = strstr(at, " |");
	assert_non_null(end);
	*len = (size_t)(end - at);
	return at;
}

/* The figure of the row whose bound begins so has this in it. */
static void says(const char *bound, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void says(const char *bound, const char *format, ...)
{
	char begin[256], figure[128];
	const char *row, *column;
	va_list args;
	size_t len;

	va_start(args, format);
	vsnprintf(figure, sizeof(figure), format, args);
	va_end(args);
	snprintf(begin, sizeof(begin), "\n| %s", bound);
	row = strstr(page, begin);
	if (!row)
		fail_msg(PAGE " has no row \"%s\"", bound);
	column = column_of(row + 1, 1, &len);
	if (!memmem(column, len, figure, strlen(figure)))
		fail_msg(PAGE " says of \"%s\": \"%.*s\", and not \"%s\"", bound, (int)len, column,
			 figure);
}

/* 10000 as people write it: 10,000. Good for a few calls. */
static const char *thousands(uint64_t n)
{
	static char texts[8][32];
	static unsigned next;
	char *text = texts[next++ % 8];

	if (n < 1000)
		snprintf(text, sizeof(texts[0]), "%llu", (unsigned long long)n);
	else
		snprintf(text, sizeof(texts[0]), "%llu,%03llu", (unsigned long long)n / 1000,
			 (unsigned long long)n % 1000);
	return text;
}

#define S(ms)  ((unsigned)((ms) / 1000))
#define KIB(n) ((unsigned)((n) >> 10))
#define MIB(n) ((unsigned)((n) >> 20))

/* ---- what the page says ---- */

/* In the third column of some row stands `limits.KEY`, or `KEY` behind another. */
static void every_limit_has_a_row(void **state)
{
	char *schema = NULL, *rest;
	size_t size, keys = 0;
	FILE *f = open_memstream(&schema, &size);

	conf_describe(f, relay_config_fields());
	fclose(f);
	for (char *line = strtok_r(schema, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char whole[64], alone[64];
		bool found = false;

		if (strncmp(line, "limits.", 7) != 0)
			continue;
		line[strcspn(line, "\t")] = '\0';
		snprintf(whole, sizeof(whole), "`%s`", line);
		snprintf(alone, sizeof(alone), "`%s`", line + 7);
		for (const char *row = page; (row = strstr(row, "\n| ")) && !found; row++) {
			size_t len;
			const char *setting = column_of(row + 1, 2, &len);

			found = memmem(setting, len, whole, strlen(whole)) ||
				(memmem(setting, len, "`limits.", 8) &&
				 memmem(setting, len, alone, strlen(alone)));
		}
		if (!found)
			fail_msg(PAGE " has no row for %s", line);
		keys++;
	}
	assert_true(keys > 20);
	free(schema);
}

static void the_figures_of_settings(void **state)
{
	const struct relay_limits *l = &defaults.limits;
	const unsigned b = BUCKETS_BURST_S;

	says("memory that peers make", "%u MiB, counted", MIB(l->memory_bytes));
	says("memory that peers make", "at %u MiB the oldest", MIB(l->memory_bytes / 4 * 3));
	says("unproven connections of one", "%s;", thousands(l->per_source));
	says("handshakes a second, of one", "%u, and %u at once",
	     (unsigned)l->handshakes_per_source, (unsigned)l->handshakes_per_source * b);
	says("requests, and sign-ins that fail", "%u and %u", (unsigned)l->requests_per_source,
	     (unsigned)l->sign_ins_per_source);
	says("handshakes, requests, failed sign-ins", "%u, %u, %u", (unsigned)l->handshakes,
	     (unsigned)l->requests, (unsigned)l->sign_ins);
	says("what they can keep from an address", "%u handshakes a second",
	     (unsigned)l->handshakes_per_source);
	says("public sessions of one IPv4", "%s,", thousands(l->public_per_source));
	says("a public session without a byte", "%u h", S(l->public_idle_ms) / 3600);
	says("a session between agents without a byte", "%s",
	     l->session_idle_ms == 0 ? "for ever" : "a time");
	says("from accepting to the end", "%u s in all", S(l->hello_ms));
	assert_int_equal(l->handshake_ms, l->hello_ms);
	assert_int_equal(l->first_ms, l->hello_ms);
	says("between two requests", "%u s; %u s", S(l->http_idle_ms), S(l->first_ms));
	says("a ClientHello, with", "%u KiB", KIB(l->client_hello_bytes));
	says("a public client's wait", "%u s", S(l->open_ms));
	says("an asker's wait", "%u s", S(l->open_ms));
	says("where STUN is for anyone: answers", "%u a second, and %u at once; %s networks",
	     (unsigned)defaults.stun.rate, (unsigned)defaults.stun.burst,
	     thousands(defaults.stun.prefixes));
	says("where STUN is for anyone: over", "%u s", S(l->http_idle_ms));
	says("legs, idle and opening", "%u of its lasting", (unsigned)l->legs);
	says("links of all certificates", "%s,", thousands(l->agents));
	says("sessions of one agent", "%s,", thousands(l->sessions));
	says("services that one agent", "%s,", thousands(l->services));
	says("a session whose line is dead", "%u s", S(ALIVE_PATIENCE_MS + 2 * ALIVE_ROUND_MS));
	says("a link on which nothing comes", "%u s", 3 * S(l->ping_ms));
	says("bytes of sessions that slow", "half of %u MiB", MIB(l->buffer_bytes));
	says("sign-ins a second of one name", "%u, and %u at once",
	     (unsigned)l->sign_ins_per_source, (unsigned)l->sign_ins_per_source * b);
	says("legs a second of one name", "%s, and %s at once",
	     thousands(l->handshakes_per_source * BUCKETS_NAME_MORE),
	     thousands(l->handshakes_per_source * BUCKETS_NAME_MORE * b));
	says("handshakes at the signer", "(%u s)", S(l->handshake_ms));
}

static void the_figures_of_the_code(void **state)
{
	says("no descriptor left", "after 0.%u s", ACCEPTOR_PAUSE_MS / 100);
	says("no descriptor left", "%u each", ACCEPTOR_DROPS);
	says("connections at the front door", "%u for its control socket",
	     LOCAL_CONNECTIONS_MAX + SCRAPERS_MAX);
	says("those of an IPv4 /24", "%u times, %u times", LEDGER_WIDER,
	     LEDGER_WIDER * LEDGER_WIDER);
	says("what the padding of a public", "%u records of %u KiB", ENVELOPE_PADDED,
	     KIB(ENVELOPE_PADDING));
	says("links |", "%u lasting ones", RENDEZVOUS_LASTING);
	says("links |", "%u that only ask", RENDEZVOUS_TRANSIENTS);
	says("legs, idle and opening", "%u of each link that only asks", RENDEZVOUS_TRANSIENT_LEGS);
	says("answers that a link or a leg", "%u KiB of what others", KIB(OUTPUT_MOST));
	says("bytes of sessions that slow", "%u KiB of each", KIB(FLOW_PRESSED_BYTES));
	says("a leap of the wall clock", "%u s", S(ENTITLED_LOOK_MS));
	says("PROVE, handed on", "%u a second of one name, %u at once", PROVING_SECOND,
	     PROVING_ONCE);
	says("PROVE, looked at", "%u of one session at once, then one in %u s", PROVING_AGAIN,
	     PROVING_EACH_S);
	says("PROVE, looked at", "%u a second of one link, %s at once",
	     PROVING_SECOND * PROVING_NAMES, thousands(PROVING_ONCE * PROVING_NAMES));
	says("what goes under one key", "%u GiB", (unsigned)(INNER_REKEY_BYTES >> 30));
	says("what goes under one key", "%u h", S(INNER_REKEY_MS) / 3600);
	says("calls of a console", "%u under way", CALLER_PENDING_MAX);
	says("a configuration, by however many", "%u MiB of text", MIB(CONF_FILE_MAX));
	says("a configuration, by however many", "%s values", thousands(CONF_NODES_MAX));
	says("output of a console", "%u MiB, and %u KiB", MIB(CALLER_OUTPUT_MAX), KIB(OUTPUT_MOST));
	says("a line of a console", "%u MiB", MIB(JSONRPC_LINE_MAX));
	says("signed revocations that a relay keeps", "%s of", thousands(REVOCATIONS_SIGNED_MAX));
	says("signed revocations that a relay keeps", "%u of one", SIGNED_REVOCATIONS_OF_ONE);
	says("signed revocations that an agent keeps", "%s of", thousands(REVOCATIONS_SIGNED_MAX));
	says("signed revocations that an agent keeps", "%u of one", SIGNED_REVOCATIONS_OF_ONE);
	says("offers before the other agent", "%u of one relay", AGENT_OFFERS_MAX);
	says("offers of a console", "%u for each", AGENT_CONSOLE_SESSIONS_MAX);
	says("legs that it makes an agent dial", "%u at a time", LEGS_DIALLING);
	says("what an agent keeps of what", "%u KiB, then", KIB(CHANNEL_OUTPUT_MAX));
	says("what an agent keeps of what", "from %u KiB", KIB(CHANNEL_OUTPUT_PAUSE));
	says("the enciphered start", "%u MiB", MIB(ENVELOPE_SEALED_MAX));
	says("how often its words", "%u times a second", 1000 / AGENT_JUDGE_MS);
	says("revocations by its word", "%s,", thousands(REVOCATIONS_LIST_MAX));
	says("connections to a control socket", "%u of a relay's, %u of the NAT",
	     LOCAL_CONNECTIONS_MAX, CONTROL_CONNECTIONS_MAX);
	says("deletions of what it leads elsewhere", "%u after the first one",
	     PORTMAP_UNWANTED_MAX);
	says("deletions of what it leads elsewhere", "more than %u mappings", PORTMAP_MAPPINGS_MAX);
	says("how long a protocol is passed over", "%u min, doubling to %u min",
	     S(PORTMAP_MUTE_MS) / 60, S(PORTMAP_MUTE_MAX_MS) / 60);
	says("restarts that one protocol", "one in %u s is believed, doubling to %u min",
	     S(PORTMAP_RESTART_MS), S(PORTMAP_RESTART_MAX_MS) / 60);
	says("a mapping that a proof calls dead", "doubling to %u min",
	     S(PORTMAP_DEAD_MAX_MS) / 60);
	says("datagrams by which routers behind it",
	     "%u to each of %u hops, %u ms apart, every %u h", HOPS_SENDINGS, HOPS_MAX,
	     HOPS_WAIT_MS, S(OUTSIDE_LOOK_MS) / 3600);
	says("mappings that other programs ask",
	     "%u in all, %u of one user; a place is free again "
	     "%u s",
	     ASKS_MAX, ASKS_OF_USER, S(ASKS_REST_MS));
	says("mappings of earlier addresses", "%u; one without a lease for %u days", FORMERS_MAX,
	     (unsigned)(FORMERS_AGE_S / 86400));
	says("groups of a user that are looked at", "%u", ASKS_GROUPS_MAX);
	says("scrapes of the metrics", "%u at a time", SCRAPERS_MAX);
	says("keys that it can have made", "%u files", MADE_SLOTS);
	says("names in a request", "%u KiB", KIB(SIGNING_HOSTS_BYTES));
	says("keys that a signer holds", "%u;", KEYRING_MAX);
	says("names whose addresses are kept", "%u, each for its time to live and %u s",
	     RESOLVE_CACHE_NAMES, RESOLVE_CACHE_MOST_S);
	says("addresses of a name that are tried", "%u", RESOLVE_ADDRESSES_MAX);
	says("A waits for AAAA", "%u ms, and not at all for %u min", RESOLVE_PATIENCE_MS,
	     S(RESOLVE_SLOW_MS) / 60);
	says("a server that was silent", "last for %u min", S(RESOLVE_SILENT_MS) / 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_limit_has_a_row),
		cmocka_unit_test(the_figures_of_settings),
		cmocka_unit_test(the_figures_of_the_code),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
