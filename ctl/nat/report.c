/* SPDX-License-Identifier: Apache-2.0 */
/* nat_report: pages of rows, the table of mappings, and sentences for events. */
#include "ctl/nat/report.h"

#include <string.h>
#include <time.h>

#include "ctl/nat/conclude.h"
#include "ctl/terminal/show.h"
#include "ctl/terminal/units.h"

#define TEXT_BYTES     640u
#define MAPPINGS_SHOWN 2u /* by a probe, whose page is one screen */

/* ---- values ---- */

/* Printable, cut to room; "" where there is none. */
static const char *text(const json_t *object, const char *key, char *out, size_t room)
{
	static const struct show_column as_text = {"", "", SHOW_TEXT, NULL};

	return show_value(json_object_get(object, key), &as_text, out, room);
}

static bool is(const json_t *object, const char *key, const char *word)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value && strcmp(value, word) == 0;
}

/* ---- the network and the gateway ---- */

static bool is_up(const json_t *of)
{
	return json_is_true(json_object_get(json_object_get(of, "network"), "up"));
}

static void network_sentence(const json_t *network, char *out, size_t room)
{
	char interface[64], address[64], gateway[64], address6[64], gateway6[64], tunnel[64];
	int used;

	if (!json_is_true(json_object_get(network, "up"))) {
		snprintf(out, room, "there is none that leads out");
		return;
	}
	text(network, "interface", interface, sizeof(interface));
	text(network, "address", address, sizeof(address));
	text(network, "gateway", gateway, sizeof(gateway));
	text(network, "tunnel", tunnel, sizeof(tunnel));
	text(network, "address6", address6, sizeof(address6));
	text(network, "gateway6", gateway6, sizeof(gateway6));
	used = snprintf(out, room, "%s", interface);
	if (address[0])
		used += snprintf(out + used, room - (size_t)used, ": %s, %s%s", address,
				 gateway[0] ? "gateway " : "a link without a gateway", gateway);
	if (tunnel[0])
		used += snprintf(out + used, room - (size_t)used, "; VPN %s", tunnel);
	if (address6[0])
		snprintf(out + used, room - (size_t)used, "%s %s, %s%s", address[0] ? ";" : ":",
			 address6, gateway6[0] ? "gateway " : "a link without a gateway", gateway6);
}

static void protocol_name(const json_t *protocol, char *out, size_t room)
{
	char name[32];

	text(protocol, "protocol", name, sizeof(name));
	snprintf(out, room, "%s%s", name, is(protocol, "family", "ipv6") ? " IPv6" : "");
}

/* How the gateway calls itself: UPnP tells a name, the others only that they are there. */
static void put_protocol(const struct page *p, const json_t *protocol)
{
	char name[64], about[256], why[256], shown[TEXT_BYTES];

	const char *own = json_string_value(json_object_get(protocol, "protocol"));
	size_t len = own ? strlen(own) : 0;

	protocol_name(protocol, name, sizeof(name));
	text(protocol, "about", about, sizeof(about));
	if (len > 0 && strncmp(about, own, len) == 0) { /* it is in the row already */
		len += strspn(about + len, " ");
		memmove(about, about + len, strlen(about + len) + 1);
	}
	text(protocol, "why", why, sizeof(why));
	snprintf(shown, sizeof(shown), "%s", is(protocol, "state", "available") ? about : why);
	if (is(protocol, "state", "available"))
		page_marked_row(p, name, SHOW_GOOD, shown[0] ? "yes:" : "yes", shown);
	else if (is(protocol, "state", "unavailable"))
		page_marked_row(p, name, SHOW_DIM, "no:", shown);
	else
		page_marked_row(p, name, SHOW_WARN, "not known:", "it has not answered yet");
	if (text(protocol, "note", why, sizeof(why))[0])
		page_row(p, "", why);
}

static void put_gateway(const struct page *p, const json_t *of)
{
	const json_t *protocol;
	char shown[TEXT_BYTES];
	size_t i;

	page_title(p, "Gateway");
	network_sentence(json_object_get(of, "network"), shown, sizeof(shown));
	page_row(p, "network", shown);
	json_array_foreach(json_object_get(of, "protocols"), i, protocol)
	{
		put_protocol(p, protocol);
	}
}

/* ---- outside ---- */

struct nat_verdict {
	const char *key, *name;
	enum show_style style;
};

static struct nat_verdict verdict_of(const json_t *external)
{
	static const struct nat_verdict verdicts[] = {
		{"no_nat", "no NAT:", SHOW_GOOD},
		{"one_nat", "one NAT:", SHOW_GOOD},
		{"plausible", "plausible:", SHOW_WARN},
		{"double_nat", "double NAT:", SHOW_BAD},
		{"cgnat", "CGNAT:", SHOW_BAD},
		{"offline", "offline:", SHOW_BAD},
		{"filtered", "kept out:", SHOW_BAD},
		{"several_exits", "several ways out:", SHOW_WARN},
		{"vpn", "VPN:", SHOW_BAD},
		{"ipv6_only", "IPv6 only:", SHOW_WARN},
		{"blocked", "blocked:", SHOW_BAD},
	};

	for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++)
		if (is(external, "verdict", verdicts[i].key))
			return verdicts[i];
	return (struct nat_verdict){"unknown", "unknown:", SHOW_WARN};
}

/* "45.0.0.10 or 45.0.0.20, by whom is asked"; "" where servers agree. */
static void seen_text(const json_t *seen, char out[TEXT_BYTES])
{
	static const struct show_column as_text = {"", "", SHOW_TEXT, NULL};
	const json_t *item;
	size_t i, used = 0;
	char one[64];

	out[0] = '\0';
	json_array_foreach(seen, i, item)
	{
		show_value(item, &as_text, one, sizeof(one));
		if (used < TEXT_BYTES)
			used += (size_t)snprintf(out + used, TEXT_BYTES - used, "%s%s",
						 i ? " or " : "", one);
	}
	if (used > 0 && used < TEXT_BYTES)
		snprintf(out + used, TEXT_BYTES - used, ", by whom is asked");
}

static void put_outside(const struct page *p, const json_t *of)
{
	const json_t *external = json_object_get(of, "external");
	const struct nat_verdict verdict = verdict_of(external);
	char stun[64], gateway[64], sentence[TEXT_BYTES], advice[TEXT_BYTES], seen[TEXT_BYTES];

	if (!is_up(of) && !is(external, "verdict", "offline"))
		return;
	text(external, "stun", stun, sizeof(stun));
	seen_text(json_object_get(external, "stun_seen"), seen);
	text(external, "gateway", gateway, sizeof(gateway));
	text(external, "sentence", sentence, sizeof(sentence));
	page_title(p, "Outside");
	if (is_up(of))
		page_row(p, "address",
			 seen[0]      ? seen
			 : stun[0]    ? stun
			 : gateway[0] ? gateway
				      : "not known");
	page_marked_row(p, "verdict", verdict.style, verdict.name, sentence);
	if (text(external, "advice", advice, sizeof(advice))[0])
		page_row(p, "advice", advice);
}

/* ---- the table of mappings ---- */

enum { CELL_NAME, CELL_STATE, CELL_BY, CELL_EXTERNAL, CELL_LEFT, CELLS };

struct cells {
	char of[CELLS][96];
};

/* "12 s", "3 m", "5 h", "2 d" */
static const char *age_text(json_int_t s, char out[24])
{
	long long n = s;

	snprintf(out, 24, "%lld %s",
		 n < 60	     ? n
		 : n < 3600  ? n / 60
		 : n < 86400 ? n / 3600
			     : n / 86400,
		 n < 60	     ? "s"
		 : n < 3600  ? "m"
		 : n < 86400 ? "h"
			     : "d");
	return out;
}

/* What verifies a mapping is a fact with an age. */
static void state_cell(const json_t *mapping, char *out, size_t room)
{
	const json_t *proven = json_object_get(mapping, "proven_s");
	char state[32], age[24];

	text(mapping, "state", state, sizeof(state));
	if (is(mapping, "state", "verified") && json_is_integer(proven))
		snprintf(out, room, "%s %s ago", state, age_text(json_integer_value(proven), age));
	else
		snprintf(out, room, "%s", state);
}

static void fill_cells(const json_t *mapping, struct cells *c)
{
	static const char *const keys[] = {"name", "state", "by", "external"};
	const json_t *left = json_object_get(mapping, "left_s");
	char span[UNITS_BYTES];

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		text(mapping, keys[i], c->of[i], sizeof(c->of[i]));
	state_cell(mapping, c->of[CELL_STATE], sizeof(c->of[CELL_STATE]));
	c->of[CELL_LEFT][0] = '\0';
	if (left)
		snprintf(c->of[CELL_LEFT], sizeof(c->of[CELL_LEFT]), "%s",
			 units_span((uint64_t)json_integer_value(left) * 1000, span));
	else if (json_object_get(mapping, "lifetime_s"))
		snprintf(c->of[CELL_LEFT], sizeof(c->of[CELL_LEFT]), "for good");
}

static enum show_style state_style(const json_t *mapping)
{
	if (is(mapping, "state", "verified"))
		return SHOW_GOOD;
	if (is(mapping, "state", "mapped"))
		return SHOW_PLAIN;
	return is(mapping, "state", "requested") ? SHOW_WARN : SHOW_BAD;
}

static void put_cells(const struct page *p, const struct cells *c, const size_t width[CELLS],
		      enum show_style state)
{
	size_t last = CELLS;

	while (last > 1 && !c->of[last - 1][0])
		last--;
	for (size_t i = 0; i < last; i++) {
		const char *style = i == CELL_STATE ? show_style(p->to, state) : "";

		fprintf(p->to, "%s%s%s", style, c->of[i],
			style[0] ? show_style(p->to, SHOW_PLAIN) : "");
		if (i + 1 < last)
			page_spaces(p, width[i] - show_width(c->of[i]) + 2);
	}
	fputc('\n', p->to);
}

static void measure(const struct cells *c, size_t width[CELLS])
{
	for (size_t i = 0; i < CELLS; i++)
		if (show_width(c->of[i]) > width[i])
			width[i] = show_width(c->of[i]);
}

/* "12:00", here and now; with the day where that is another one. */
static void since_text(json_int_t s, char *out, size_t room)
{
	time_t now = time(NULL), then = now - (time_t)s;
	struct tm at;

	localtime_r(&then, &at);
	strftime(out, room, s < 86400 ? "%H:%M" : "%b %e %H:%M", &at);
}

/* When what failed is tried again: "; asked again in 40 s". */
static void add_again(const json_t *mapping, char *out, size_t room)
{
	const json_t *again = json_object_get(mapping, "again_s");
	size_t len = strlen(out);
	char span[UNITS_BYTES];

	if (again && out[0])
		snprintf(out + len, room - len, "; asked again in %s",
			 units_span((uint64_t)json_integer_value(again) * 1000, span));
}

/* Why it is not verified, or not even mapped; "" where nothing is to be said. */
static void reason(const json_t *mapping, char *out, size_t room)
{
	const json_t *unproven = json_object_get(mapping, "unproven_s");
	char why[TEXT_BYTES - 64], since[32];

	out[0] = '\0';
	if (json_object_get(mapping, "again_s") ||
	    (!is(mapping, "state", "mapped") && !is(mapping, "state", "verified"))) {
		text(mapping, "why", out, room);
		add_again(mapping, out, room);
		return;
	}
	if (is(mapping, "state", "verified"))
		return;
	if (json_is_integer(unproven)) {
		since_text(json_integer_value(unproven), since, sizeof(since));
		text(mapping, "unproven", why, sizeof(why));
		snprintf(out, room, "unproven since %s: %s", since,
			 why[0] ? why : "it is tried again");
	} else {
		text(mapping, "unproven", why, sizeof(why));
		snprintf(out, room, "not verified: %s",
			 why[0] ? why : "whether anything comes in is being found out");
	}
}

/* "asked for by web, uid 33, for 59m40s; and by uid 34"; false: the configuration alone wants it.
 */
static bool askers(const json_t *mapping, char *out, size_t room)
{
	char who[64], user[24], span[UNITS_BYTES];
	const json_t *left, *item;
	size_t i, used = 0;

	json_array_foreach(json_object_get(mapping, "asked_by"), i, item)
	{
		left = json_object_get(item, "left_s");
		text(item, "name", who, sizeof(who));
		text(item, "user", user, sizeof(user));
		if (left)
			units_span((uint64_t)json_integer_value(left) * 1000, span);
		if (used < room)
			used += (size_t)snprintf(out + used, room - used, "%sby %s%suid %s%s%s",
						 i > 0 ? "; and " : "asked for ", who,
						 who[0] ? ", " : "", user,
						 left ? ", for another " : "", left ? span : "");
	}
	return used > 0;
}

/* A pinhole that the configuration wants wherever there is IPv6, in a network without. */
static bool idle(const json_t *of, const json_t *mapping)
{
	return is(mapping, "family", "ipv6") && is(mapping, "state", "unsupported") &&
	       !json_object_get(json_object_get(of, "network"), "gateway6");
}

static void put_idle(const struct page *p, size_t count)
{
	char line[128];

	if (count == 0)
		return;
	snprintf(line, sizeof(line),
		 "%zu pinhole%s for IPv6 wait%s: this network has no IPv6 gateway", count,
		 count == 1 ? "" : "s", count == 1 ? "s" : "");
	fputs(show_style(p->to, SHOW_DIM), p->to);
	page_words(p, 0, line);
	fputs(show_style(p->to, SHOW_PLAIN), p->to);
}

/* What is mapped nowhere, and need not be. */
static void put_unneeded(const struct page *p, size_t count, const char *why)
{
	char line[192];

	if (count == 0)
		return;
	snprintf(line, sizeof(line), "%zu mapping%s for IPv4 %s not needed: %s", count,
		 count == 1 ? "" : "s", count == 1 ? "is" : "are", why);
	fputs(show_style(p->to, SHOW_DIM), p->to);
	page_words(p, 0, line);
	fputs(show_style(p->to, SHOW_PLAIN), p->to);
}

static void put_mappings(const struct page *p, const json_t *of)
{
	const json_t *list = json_object_get(of, "mappings");
	const struct cells titles = {{"MAPPING", "STATE", "BY", "EXTERNAL", "LEFT"}};
	size_t width[CELLS] = {0}, i, waiting = 0, unneeded = 0;
	const char *whynot = "", *one;
	char why[TEXT_BYTES];
	struct cells row;
	json_t *mapping;

	measure(&titles, width);
	json_array_foreach(list, i, mapping)
	{
		if (idle(of, mapping)) {
			waiting++;
			continue;
		}
		one = nat_conclude_unneeded(of, mapping);
		if (one) {
			whynot = one;
			unneeded++;
			continue;
		}
		fill_cells(mapping, &row);
		measure(&row, width);
	}
	if (waiting + unneeded < json_array_size(list)) {
		fputs(show_style(p->to, SHOW_BOLD), p->to);
		put_cells(p, &titles, width, SHOW_PLAIN);
		fputs(show_style(p->to, SHOW_PLAIN), p->to);
	}
	json_array_foreach(list, i, mapping)
	{
		if (idle(of, mapping) || nat_conclude_unneeded(of, mapping))
			continue;
		fill_cells(mapping, &row);
		put_cells(p, &row, width, state_style(mapping));
		reason(mapping, why, sizeof(why));
		if (why[0])
			page_words(p, 2, why);
		if (askers(mapping, why, sizeof(why)))
			page_words(p, 2, why);
	}
	put_unneeded(p, unneeded, whynot);
	put_idle(p, waiting);
}

/* ---- pages ---- */

void nat_report_status(const struct page *p, const json_t *status)
{
	const json_t *mappings = json_object_get(status, "mappings");

	put_gateway(p, status);
	put_outside(p, status);
	fputc('\n', p->to);
	if (json_array_size(mappings) == 0)
		page_words(p, 0,
			   "natd keeps no mapping; name one in its configuration (map), or with "
			   "--map");
	else
		put_mappings(p, status);
}

static void put_trial(const struct page *p, const json_t *mapping)
{
	char name[128], external[64], by[32], why[TEXT_BYTES], shown[TEXT_BYTES], age[24];
	const json_t *proven = json_object_get(mapping, "proven_s");
	bool verified = is(mapping, "state", "verified");
	bool held = nat_conclude_held(mapping);

	text(mapping, "name", name, sizeof(name));
	text(mapping, "external", external, sizeof(external));
	text(mapping, "by", by, sizeof(by));
	reason(mapping, why, sizeof(why));
	snprintf(shown, sizeof(shown), "at %s by %s", external, by);
	if (verified && json_is_integer(proven))
		snprintf(shown, sizeof(shown), "at %s by %s; something came in from outside %s ago",
			 external, by, age_text(json_integer_value(proven), age));
	page_marked_row(p, name,
			!held	   ? SHOW_BAD
			: verified ? SHOW_GOOD
				   : SHOW_PLAIN,
			held ? "mapped" : "not mapped", held ? shown : "");
	if (why[0])
		page_row(p, "", why);
}

static void put_trials(const struct page *p, const json_t *probe)
{
	bool trial = is(probe, "by", "trial");
	size_t i, shown = 0, more = 0;
	const char *unneeded = NULL, *one;
	const json_t *mapping;
	char line[192];

	if (!is_up(probe))
		return;
	page_title(p, trial ? "Port mapping, tried with a port that is free again now"
			    : "Port mapping, as natd keeps it");
	json_array_foreach(json_object_get(probe, "mappings"), i, mapping)
	{
		one = nat_conclude_unneeded(probe, mapping);
		unneeded = one ? one : unneeded;
		if (idle(probe, mapping) || one)
			continue;
		if (shown == MAPPINGS_SHOWN) {
			more++;
			continue;
		}
		put_trial(p, mapping);
		shown++;
	}
	snprintf(line, sizeof(line), "none is needed: %s", unneeded ? unneeded : "");
	if (unneeded)
		page_row(p, "", line);
	else if (shown == 0)
		page_row(p, "", trial ? "nothing could be tried" : "natd keeps no mapping here");
	snprintf(line, sizeof(line), "and %zu more: 'postern nat status' lists them", more);
	if (more > 0)
		page_row(p, "", line);
}

static void put_behaviour(const struct page *p, const json_t *behaviour)
{
	static const char *const rows[] = {"nat", "mapping", "filtering", "hairpinning"};
	const json_t *whys = json_object_get(behaviour, "why");
	char server[320], value[TEXT_BYTES], title[400];

	if (!json_is_object(behaviour))
		return;
	if (text(behaviour, "server", server, sizeof(server))[0])
		snprintf(title, sizeof(title), "The NAT's behaviour, as %s sees it", server);
	else
		snprintf(title, sizeof(title), "The NAT's behaviour");
	page_title(p, title);
	page_row(p, "over UDP",
		 text(behaviour, "external", value, sizeof(value))[0]
			 ? value
			 : text(whys, "external", value, sizeof(value)));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *key = i == 0 ? "NAT" : rows[i];

		if (text(behaviour, rows[i], value, sizeof(value))[0])
			page_row(p, key, value);
		else if (text(whys, rows[i], value, sizeof(value))[0])
			page_marked_row(p, key, SHOW_WARN, "not known:", value);
	}
}

/* natd has looked for somebody else just before. */
static void put_age(const struct page *p, const json_t *probe)
{
	const json_t *age = json_object_get(probe, "age_s");
	char line[128], span[24];

	if (!age)
		return;
	snprintf(line, sizeof(line),
		 "%s ago; natd looks anew once a minute, for root and its own user at any time",
		 age_text(json_integer_value(age), span));
	page_row(p, "looked at", line);
}

void nat_report_probe(const struct page *p, const json_t *probe)
{
	char sentence[TEXT_BYTES];
	const json_t *item;
	size_t i;

	put_gateway(p, probe);
	put_age(p, probe);
	put_trials(p, probe);
	put_outside(p, probe);
	put_behaviour(p, json_object_get(probe, "behaviour"));
	page_title(p, "What that means");
	json_array_foreach(json_object_get(probe, "meaning"), i, item)
	{
		const json_t *one = json_pack("{s:O}", "s", item);

		page_words(p, 2, text(one, "s", sentence, sizeof(sentence)));
		json_decref((json_t *)one);
	}
}

/* ---- events ---- */

static void mapping_event(const json_t *e, char *out, size_t room)
{
	char name[128], state[32], from[32], why[TEXT_BYTES];

	snprintf(out, room, "%s is %s, was %s: %s", text(e, "name", name, sizeof(name)),
		 text(e, "state", state, sizeof(state)), text(e, "from", from, sizeof(from)),
		 text(e, "why", why, sizeof(why)));
}

static void protocol_event(const json_t *e, char *out, size_t room)
{
	bool there = is(e, "state", "available");
	char name[64], rest[320];

	protocol_name(e, name, sizeof(name));
	text(e, there ? "about" : "why", rest, sizeof(rest));
	snprintf(out, room, "%s%s%s%s", name,
		 there				 ? " is there"
		 : is(e, "state", "unavailable") ? " is not there"
						 : " is being looked for",
		 rest[0] ? ": " : "", rest);
}

static void external_event(const json_t *e, char *out, size_t room)
{
	char now[64], old[64];

	text(e, "address", now, sizeof(now));
	text(e, "old", old, sizeof(old));
	snprintf(out, room, "the external address is %s%s%s", now, old[0] ? ", was " : "", old);
}

static void network_event(const json_t *e, char *out, size_t room)
{
	char sentence[TEXT_BYTES - 16];

	network_sentence(e, sentence, sizeof(sentence));
	snprintf(out, room, "network: %s", sentence);
}

/* Also of what has a sentence and no more. */
static void verdict_event(const json_t *e, char *out, size_t room)
{
	char sentence[TEXT_BYTES], advice[TEXT_BYTES];

	text(e, "sentence", sentence, sizeof(sentence));
	text(e, "advice", advice, sizeof(advice));
	snprintf(out, room, "%s%s%s", sentence, advice[0] ? "; " : "", advice);
}

/* Somebody's ask for a mapping is over. */
static void ask_event(const json_t *e, char *out, size_t room)
{
	char name[128], who[64], user[24], why[TEXT_BYTES - 300];

	text(e, "mapping", name, sizeof(name));
	text(e, "name", who, sizeof(who));
	text(e, "user", user, sizeof(user));
	text(e, "why", why, sizeof(why));
	snprintf(out, room, "%s is no longer asked for by %s%suid %s: %s", name, who,
		 who[0] ? ", " : "", user, why);
}

void nat_report_mapping(FILE *to, const json_t *mapping)
{
	char name[128], state[32], external[64], why[TEXT_BYTES];

	text(mapping, "external", external, sizeof(external));
	fprintf(to, "%s is %s%s%s: %s\n", text(mapping, "name", name, sizeof(name)),
		text(mapping, "state", state, sizeof(state)), external[0] ? " at " : "", external,
		text(mapping, "why", why, sizeof(why)));
}

void nat_report_event(FILE *to, const json_t *event)
{
	static const struct {
		const char *kind;
		void (*tell)(const json_t *event, char *out, size_t room);
	} kinds[] = {
		{"mapping", mapping_event},   {"protocol", protocol_event},
		{"external", external_event}, {"network", network_event},
		{"verdict", verdict_event},   {"ask", ask_event},
	};
	char at[64], line[2 * TEXT_BYTES];

	verdict_event(event, line, sizeof(line));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (is(event, "kind", kinds[i].kind))
			kinds[i].tell(event, line, sizeof(line));
	fprintf(to, "%s%s%s %s\n", show_style(to, SHOW_DIM), text(event, "at", at, sizeof(at)),
		show_style(to, SHOW_PLAIN), line);
}
