/* SPDX-License-Identifier: Apache-2.0 */
/* stun_report: what STUN servers told, as JSON, and that as people read it. */
#include "ctl/nat/stun_report.h"

#include <stdio.h>
#include <string.h>

#include "ctl/terminal/show.h"
#include "ctl/terminal/units.h"

/* ---- structs to JSON ---- */

static json_t *address(const struct addr *a)
{
	char text[ADDR_TEXT_BYTES];

	if (a->len == 0)
		return json_null();
	addr_format(a, text);
	return json_string(text);
}

/* A name, or null and the reason. */
static void set_name(json_t *to, json_t *whys, const char *key, bool known, const char *name,
		     const char *why)
{
	json_object_set_new(to, key, known ? json_string(name) : json_null());
	if (!known && why)
		json_object_set_new(whys, key, json_string(why));
}

static json_t *seconds(uint32_t s)
{
	return s ? json_integer(s) : json_null();
}

static void set_nat(json_t *to, json_t *whys, const struct stun_findings *f)
{
	enum stun_nat_type type = stun_findings_type(f);

	set_name(to, whys, "nat", type != STUN_NAT_UNKNOWN, stun_nat_type_name(type), NULL);
	set_name(to, whys, "mapping", f->mapping != STUN_MAPPING_UNKNOWN,
		 stun_mapping_name(f->mapping), f->mapping_why);
	set_name(to, whys, "filtering", f->filtering != STUN_FILTERING_UNKNOWN,
		 stun_filtering_name(f->filtering), f->filtering_why);
	set_name(to, whys, "hairpinning", f->hairpin != STUN_HAIRPIN_UNKNOWN,
		 stun_hairpin_name(f->hairpin), f->hairpin_why);
	json_object_set_new(to, "alive_s", seconds(f->alive_s));
	json_object_set_new(to, "gone_s", seconds(f->gone_s));
	if (f->lifetime_why)
		json_object_set_new(whys, "lifetime", json_string(f->lifetime_why));
	json_object_set_new(to, "meaning", json_string(stun_findings_meaning(f)));
}

json_t *stun_report_findings(const struct stun_findings *f, bool nat)
{
	json_t *result = json_object(), *whys = json_object();

	json_object_set_new(result, "external", address(&f->external));
	if (f->first_why)
		json_object_set_new(whys, "external", json_string(f->first_why));
	if (f->alternate.len)
		json_object_set_new(result, "alternate", address(&f->alternate));
	if (nat)
		set_nat(result, whys, f);
	json_object_set_new(result, "why", whys);
	return result;
}

json_t *stun_report_verdict(const struct stun_verdict *v)
{
	return json_pack("{s:s, s:o, s:s}", "agreement", stun_agreement_name(v->agreement),
			 "external", address(&v->external), "sentence",
			 stun_agreement_sentence(v->agreement));
}

/* ---- JSON to lines ---- */

static void line(const char *indent, const char *key, const char *value, const char *why)
{
	const char *dim = show_style(stdout, SHOW_DIM), *plain = show_style(stdout, SHOW_PLAIN);

	printf("%s%-12s  %s", indent, key, value ? value : "not known");
	if (why)
		printf("%s%s%s%s", value ? "  " : ": ", dim, why, plain);
	putchar('\n');
}

static const char *text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void print_lifetime(const json_t *udp, const char *indent)
{
	json_int_t alive = json_integer_value(json_object_get(udp, "alive_s"));
	json_int_t gone = json_integer_value(json_object_get(udp, "gone_s"));
	const char *why = text(json_object_get(udp, "why"), "lifetime");
	char least[UNITS_BYTES], most[UNITS_BYTES], shown[80];

	if (!alive && !gone && !why)
		return; /* was not asked for */
	units_span((uint64_t)alive * 1000, least);
	units_span((uint64_t)gone * 1000, most);
	if (alive && gone)
		snprintf(shown, sizeof(shown), "kept for %s without traffic, gone after %s", least,
			 most);
	else if (alive)
		snprintf(shown, sizeof(shown), "kept for %s without traffic, or longer", least);
	else
		snprintf(shown, sizeof(shown), "gone after %s without traffic", most);
	line(indent, "lifetime", alive || gone ? shown : NULL, alive || gone ? NULL : why);
}

/* The lines of one "udp" object, each behind indent. */
static void print_findings(const json_t *udp, const char *indent)
{
	static const char *const keys[] = {"nat", "mapping", "filtering", "hairpinning"};
	static const char *const titles[] = {"NAT", "mapping", "filtering", "hairpinning"};
	const json_t *whys = json_object_get(udp, "why");

	line(indent, "over UDP", text(udp, "external"), text(whys, "external"));
	if (text(udp, "alternate"))
		line(indent, "ask instead", text(udp, "alternate"), NULL);
	if (!json_object_get(udp, "nat"))
		return;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		line(indent, titles[i], text(udp, keys[i]), text(whys, keys[i]));
	print_lifetime(udp, indent);
	line(indent, "that means", text(udp, "meaning"), NULL);
}

static void print_verdict(const json_t *result, const char *family)
{
	const json_t *v = json_object_get(result, family);

	if (v)
		printf("\n%s%s%s  %s\n", show_style(stdout, SHOW_BOLD), family,
		       show_style(stdout, SHOW_PLAIN), text(v, "sentence"));
}

void stun_report_print(const json_t *result)
{
	const json_t *server, *tcp;
	size_t i;

	json_array_foreach(json_object_get(result, "servers"), i, server)
	{
		printf("%s%s%s%s%s%s\n", i ? "\n" : "", show_style(stdout, SHOW_BOLD),
		       text(server, "server"), show_style(stdout, SHOW_PLAIN), "  ",
		       text(server, "address"));
		tcp = json_object_get(server, "tcp");
		print_findings(json_object_get(server, "udp"), "  ");
		line("  ", "over TCP", text(tcp, "external"), text(tcp, "why"));
	}
	print_verdict(result, "ipv4");
	print_verdict(result, "ipv6");
}
