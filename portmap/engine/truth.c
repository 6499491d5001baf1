/* SPDX-License-Identifier: Apache-2.0 */
/* truth: ranges of addresses, and the verdict on what was heard. */
#include "portmap/engine/truth.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SEEN_BYTES (TRUTH_SEEN_MAX * (INET_ADDRSTRLEN + 5))

static const char advice_home[] =
	"put the outer router into bridge mode, or forward the port on it to this one as well; the "
	"relay works meanwhile";
static const char advice_either[] = "if the outer router is yours, put it into bridge mode or "
				    "forward the port on it as well; if "
				    "it is the provider's, ask for a public IPv4 address, or use "
				    "IPv6; the relay works meanwhile";
/* Where the gateway maps nothing when it is asked, as many do not while their own address is
 * private. */
static const char advice_home_by_hand[] =
	"put the outer router into bridge mode, or forward the port by hand: on the outer router "
	"to "
	"this one, and on this one to this host; the relay works meanwhile";
static const char advice_either_by_hand[] =
	"if the outer router is yours, put it into bridge mode, or forward the port by hand on it "
	"and on this one; if it is the provider's, ask for a public IPv4 address, or use IPv6; the "
	"relay works meanwhile";
static const char advice_provider[] =
	"ask the provider for a public IPv4 address, or use IPv6; the relay works meanwhile";

static const char advice_offline[] = "see whether the gateway is connected to the provider";
static const char advice_own_test[] =
	"switch off the gateway's own STUN test, or tell it its external address; the relay works "
	"meanwhile";
static const char advice_try[] =
	"try a mapped port from outside, or name a STUN server with two addresses (stun), which "
	"does that over UDP";
static const char advice_two_addresses[] =
	"try a mapped port at each of these addresses from outside";
static const char advice_visit[] =
	"try a mapped TCP port from outside: a connection that comes in proves it";
static const char advice_by_hand[] =
	"forward the port on the gateway by hand; the relay works meanwhile";
static const char advice_connected[] =
	"see whether the gateway is connected to the provider; if so, put the outer router into "
	"bridge mode, or ask the provider for a public IPv4 address; a STUN server on the "
	"internet (stun, --stun) shows which it is";
static const char advice_by_hand_on_both[] =
	"forward the port by hand, on the gateway and on the router behind it, if that does NAT; "
	"the relay works meanwhile";
static const char advice_switch_on[] =
	"switch on PCP, NAT-PMP or UPnP at the gateway, or forward the port on it by hand; the "
	"relay works meanwhile";

static const char *const verdict_names[] = {
	[TRUTH_UNKNOWN] = "unknown",
	[TRUTH_NO_NAT] = "no_nat",
	[TRUTH_ONE_NAT] = "one_nat",
	[TRUTH_PLAUSIBLE] = "plausible",
	[TRUTH_FILTERED] = "filtered",
	[TRUTH_SEVERAL_EXITS] = "several_exits",
	[TRUTH_DOUBLE_NAT] = "double_nat",
	[TRUTH_CGNAT] = "cgnat",
	[TRUTH_VPN] = "vpn",
	[TRUTH_IPV6_ONLY] = "ipv6_only",
	[TRUTH_BLOCKED] = "blocked",
	[TRUTH_OFFLINE] = "offline",
};
static_assert(sizeof verdict_names / sizeof *verdict_names == TRUTH_VERDICTS, "a name each");

const char *truth_verdict_name(enum truth_verdict v)
{
	return verdict_names[v];
}

bool truth_cuts_off(const struct truth *t)
{
	return t->verdict >= TRUTH_FILTERED && !t->passed;
}

/* IANA's registry of special addresses (RFC 6890 and its successors), as far as none of them can be
 * a router's address on the internet. */
static const struct {
	uint32_t network;
	unsigned prefix;
	enum truth_range range;
} ranges[] = {
	{0x0a000000, 8, TRUTH_PRIVATE},	    {0xac100000, 12, TRUTH_PRIVATE},
	{0xc0a80000, 16, TRUTH_PRIVATE},    {0x64400000, 10, TRUTH_SHARED},
	{0xc0000000, 29, TRUTH_TRANSLATED}, {0x00000000, 8, TRUTH_SPECIAL},
	{0x7f000000, 8, TRUTH_SPECIAL},	    {0xa9fe0000, 16, TRUTH_SPECIAL},
	{0xc0000000, 24, TRUTH_SPECIAL},    {0xc0000200, 24, TRUTH_SPECIAL},
	{0xc6120000, 15, TRUTH_SPECIAL},    {0xc6336400, 24, TRUTH_SPECIAL},
	{0xcb007100, 24, TRUTH_SPECIAL},    {0xe0000000, 3, TRUTH_SPECIAL},
};

enum truth_range truth_range_of(const struct addr *ipv4)
{
	uint32_t address = ntohl(ipv4->v4.sin_addr.s_addr);

	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
		if ((address ^ ranges[i].network) >> (32 - ranges[i].prefix) == 0)
			return ranges[i].range;
	return TRUTH_PUBLIC;
}

/* ---- addresses ---- */

static bool is_ipv4(const struct addr *a)
{
	return a->len > 0 && a->sa.sa_family == AF_INET;
}

static bool same_host(const struct addr *a, const struct addr *b)
{
	return is_ipv4(a) && addr_same_host(a, b);
}

static bool is_seen(const struct truth_facts *f, const struct addr *a)
{
	for (size_t i = 0; i < f->seen_count; i++)
		if (same_host(a, &f->seen[i]))
			return true;
	return false;
}

/* Of a network of 192.168: a router that people put up themselves. Providers use the other private
 * ranges as well. */
static bool is_home(const struct addr *a)
{
	return ntohl(a->v4.sin_addr.s_addr) >> 16 == 0xc0a8;
}

static bool is_providers(const struct addr *a)
{
	return is_ipv4(a) &&
	       (truth_range_of(a) == TRUTH_SHARED || truth_range_of(a) == TRUTH_TRANSLATED);
}

static bool is_nested(const struct truth_facts *f)
{
	return f->provider == TRUTH_PROVIDER_NESTED;
}

/* ---- texts ---- */

static const char *whose(const struct truth_facts *f)
{
	return f->provider == TRUTH_PROVIDER_MAPS ? "provider's NAT's" : "gateway's";
}

/* For where another NAT is behind the gateway; home: it is no provider's. */
static const char *outer_advice(const struct truth_facts *f, bool home)
{
	if (!f->speaks || f->refuses)
		return home ? advice_home_by_hand : advice_either_by_hand;
	return home ? advice_home : advice_either;
}

/* For where no server has told what outside sees. */
static const char *stun_advice(const struct truth_facts *f)
{
	if (f->stun_inside)
		return "name a STUN server on the internet (stun, --stun): those that are asked "
		       "are on this side of a NAT";
	if (f->stun_silent)
		return "see whether UDP gets out of this network, or name another STUN server";
	return f->stun_configured ? "" : "name a STUN server (stun, --stun) to be sure";
}

/* They are being asked for the first time. */
static const char *not_yet(const struct truth_facts *f)
{
	return f->stun_configured && !f->stun_silent && !f->stun_inside ? " yet" : "";
}

static const char *host_text(const struct addr *a, char out[ADDR_TEXT_BYTES])
{
	addr_format_host(a, out);
	return out;
}

/* What most servers see; where they disagree, each of their answers: "A, B and C". */
static const char *seen_text(const struct truth_facts *f, char out[SEEN_BYTES])
{
	char one[ADDR_TEXT_BYTES];
	size_t used = 0;

	if (is_ipv4(&f->outside)) {
		snprintf(out, SEEN_BYTES, "%s", host_text(&f->outside, one));
		return out;
	}
	out[0] = '\0';
	for (size_t i = 0; i < f->seen_count && used < SEEN_BYTES; i++)
		used += (size_t)snprintf(out + used, SEEN_BYTES - used, "%s%s",
					 i == 0			 ? ""
					 : i + 1 < f->seen_count ? ", "
								 : " and ",
					 host_text(&f->seen[i], one));
	return out;
}

__attribute__((format(printf, 4, 5))) static void
conclude(struct truth *out, enum truth_verdict verdict, const char *advice, const char *format, ...)
{
	va_list args;

	out->verdict = verdict;
	out->passed = false;
	snprintf(out->advice, sizeof out->advice, "%s", advice);
	va_start(args, format);
	vsnprintf(out->sentence, sizeof out->sentence, format, args);
	va_end(args);
}

/* ---- which NAT is behind ---- */

/* There is one that a gateway of this host's cannot lead through; but something came in: it leads
 * that on. */
static void mark_passed(const struct truth_facts *f, struct truth *out)
{
	if (f->entry != TRUTH_ENTRY_VISITED)
		return;
	out->passed = true;
	out->advice[0] = '\0';
}

static const char *but_passed(const struct truth_facts *f)
{
	return f->entry == TRUTH_ENTRY_VISITED ? "; but something from outside came in" : "";
}

/* There is one behind the gateway, as said shows; whose, the routers behind it tell, and the
 * address that the gateway gives. */
static void judge_another_nat(const struct truth_facts *f, const char *said, struct truth *out)
{
	char behind[ADDR_TEXT_BYTES];

	if (is_nested(f) && !(is_ipv4(&f->behind) && is_home(&f->behind)))
		conclude(out, TRUTH_CGNAT, advice_provider,
			 "%s; a NAT behind it speaks PCP and sees the gateway in place of this "
			 "host: probably the provider's (carrier-grade NAT)%s",
			 said, but_passed(f));
	else if (f->provider == TRUTH_PROVIDER_BEHIND)
		conclude(out, TRUTH_CGNAT, advice_provider,
			 "%s; a NAT behind it speaks PCP and maps at another address: probably the "
			 "provider's (carrier-grade NAT)%s",
			 said, but_passed(f));
	else if (is_providers(&f->behind))
		conclude(out, TRUTH_CGNAT, advice_provider,
			 "%s; the router behind it is %s: probably a NAT of the provider's "
			 "(carrier-grade NAT)%s",
			 said, host_text(&f->behind, behind), but_passed(f));
	else if (is_ipv4(&f->behind))
		conclude(out, TRUTH_DOUBLE_NAT, outer_advice(f, is_home(&f->behind)),
			 "%s; another NAT is behind it: the next router is %s%s", said,
			 host_text(&f->behind, behind), but_passed(f));
	else
		conclude(out, TRUTH_DOUBLE_NAT,
			 outer_advice(f, is_ipv4(&f->gateway) && is_home(&f->gateway)),
			 "%s: another NAT is behind it%s", said, but_passed(f));
	mark_passed(f, out);
}

/* What speaks for one: a router with such an address, or the provider's NAT itself. */
static bool another_is_seen(const struct truth_facts *f)
{
	return is_ipv4(&f->behind) || is_nested(f) || f->provider == TRUTH_PROVIDER_BEHIND;
}

static void judge_looking(const char *said, struct truth *out)
{
	conclude(out, TRUTH_UNKNOWN, "",
		 "%s; whether another router is behind it is being looked for", said);
}

/* The gateway says that it has no external address of its own, or maps nothing, as said tells,
 * though outside sees one. */
static void judge_denial(const struct truth_facts *f, const char *said, struct truth *out)
{
	if (another_is_seen(f)) {
		judge_another_nat(f, said, out);
	} else if (f->entry == TRUTH_ENTRY_VISITED) {
		conclude(out, TRUTH_ONE_NAT, "", "%s; something from outside came in all the same",
			 said);
	} else if (f->looking) {
		judge_looking(said, out);
	} else if (f->looked) {
		conclude(out, TRUTH_FILTERED, advice_own_test,
			 "%s, and no second NAT is on the way: a test of its own may be wrong",
			 said);
	} else {
		conclude(out, TRUTH_DOUBLE_NAT, outer_advice(f, false),
			 "%s: another NAT is behind it, or a test of its own is wrong", said);
	}
}

/* ---- the gateway gives an address ---- */

/* One that no host outside can have. */
static void judge_not_public(const struct truth_facts *f, enum truth_range range, struct truth *out)
{
	char gateway[ADDR_TEXT_BYTES], said[128];

	host_text(&f->gateway, gateway);
	switch (range) {
	case TRUTH_SHARED:
		conclude(out, TRUTH_CGNAT, advice_provider,
			 "the gateway's external address %s is one that providers share among "
			 "customers (carrier-grade NAT)%s",
			 gateway,
			 f->entry == TRUTH_ENTRY_VISITED
				 ? but_passed(f)
				 : ": what it maps is not reachable from outside");
		mark_passed(f, out);
		break;
	case TRUTH_TRANSLATED:
		conclude(out, TRUTH_CGNAT, advice_provider,
			 "the gateway's external address %s is that of a translator (DS-Lite, "
			 "464XLAT): its line has IPv6, and IPv4 by a NAT of the provider's%s",
			 gateway,
			 f->entry == TRUTH_ENTRY_VISITED ? but_passed(f)
							 : ", through which nothing gets in");
		mark_passed(f, out);
		break;
	default:
		snprintf(said, sizeof said, "the gateway's external address %s is %s", gateway,
			 range == TRUTH_PRIVATE ? "private" : "not one of the internet");
		if (range == TRUTH_SPECIAL && f->seen_count == 0 && f->stun_silent &&
		    f->entry != TRUTH_ENTRY_VISITED)
			conclude(out, TRUTH_OFFLINE, advice_offline,
				 "%s, and no STUN server answers: it seems not to be connected",
				 said);
		else
			judge_another_nat(f, said, out);
	}
}

/* A public one, though it says as well that it has none, or none any more; and no STUN server has
 * told what outside sees. */
static void judge_taken_back(const struct truth_facts *f, struct truth *out)
{
	char gateway[ADDR_TEXT_BYTES];

	host_text(&f->gateway, gateway);
	if (f->stun_configured && f->stun_silent)
		conclude(
			out, TRUTH_OFFLINE, advice_offline,
			"the gateway gave %s, but says now that it has no external address, and no "
			"STUN server answers: it seems not to be connected",
			gateway);
	else if (f->maps)
		conclude(out, TRUTH_UNKNOWN,
			 f->stun_configured || f->stun_inside ? stun_advice(f) : advice_connected,
			 "the gateway gives %s, but says as well that it has no external address: "
			 "which of both is so is not known",
			 gateway);
	else
		conclude(
			out, TRUTH_DOUBLE_NAT, advice_connected,
			"the gateway gave %s, but says now that it has no usable external address: "
			"it is not connected, or another NAT is behind it",
			gateway);
}

/* A public one, which is what outside sees. */
static void judge_confirmed(const struct truth_facts *f, struct truth *out)
{
	char gateway[ADDR_TEXT_BYTES], behind[ADDR_TEXT_BYTES], said[192];

	host_text(&f->gateway, gateway);
	if (f->entry == TRUTH_ENTRY_VISITED ||
	    (f->entry == TRUTH_ENTRY_ANSWERED && !another_is_seen(f))) {
		conclude(out, TRUTH_ONE_NAT, "",
			 "outside sees %s, the %s external address, and what was sent there "
			 "came in",
			 gateway, whose(f));
	} else if (f->provider == TRUTH_PROVIDER_MAPS && f->entry != TRUTH_ENTRY_FAILED) {
		conclude(out, TRUTH_ONE_NAT, "",
			 "outside sees %s, the external address of the provider's NAT, which maps "
			 "ports for this host (PCP)",
			 gateway);
	} else if (f->no_external && !f->maps) {
		snprintf(said, sizeof said,
			 "the gateway gives %s, which is what outside sees, but says that it has "
			 "no external address and maps nothing",
			 gateway);
		judge_denial(f, said, out);
	} else if (is_nested(f)) {
		snprintf(said, sizeof said, "the gateway gives %s, which is what outside sees",
			 gateway);
		judge_another_nat(f, said, out);
	} else if (f->entry == TRUTH_ENTRY_FAILED &&
		   (is_ipv4(&f->behind) || f->provider == TRUTH_PROVIDER_BEHIND)) {
		snprintf(
			said, sizeof said,
			"the gateway gives %s, which is what outside sees, but what was sent there "
			"did not come in",
			gateway);
		judge_another_nat(f, said, out);
	} else if (f->entry == TRUTH_ENTRY_FAILED) {
		conclude(
			out, TRUTH_FILTERED,
			"see whether a firewall is before the gateway, and whether it knows its "
			"address from a STUN test behind another NAT; the relay works meanwhile",
			"outside sees %s, which the gateway gives as its own, but what was sent to "
			"a port mapped there did not come in",
			gateway);
	} else if (f->provider == TRUTH_PROVIDER_BEHIND) {
		conclude(
			out, TRUTH_PLAUSIBLE, advice_visit,
			"outside sees %s, which the gateway gives as its own; but the provider's "
			"NAT maps for this host at another address (PCP), so that it may be behind "
			"the gateway",
			gateway);
	} else if (f->entry == TRUTH_ENTRY_ANSWERED) {
		conclude(out, TRUTH_PLAUSIBLE, advice_visit,
			 "outside sees %s, which the gateway gives as its own, and a datagram came "
			 "in; but the router behind it is %s, which may do NAT and let in what it "
			 "was sent for",
			 gateway, host_text(&f->behind, behind));
	} else if (is_ipv4(&f->behind)) {
		conclude(
			out, TRUTH_PLAUSIBLE, f->maps ? advice_try : "",
			"outside sees %s, which the gateway gives as its own; but the router "
			"behind "
			"it is %s, and whether that does NAT is only known when something comes in",
			gateway, host_text(&f->behind, behind));
	} else if (f->looking) {
		conclude(out, TRUTH_PLAUSIBLE, "",
			 "outside sees %s, which the gateway gives as its own; whether another "
			 "router is behind it is being looked for",
			 gateway);
	} else {
		conclude(out, TRUTH_ONE_NAT, "", "outside sees %s, the gateway's external address",
			 gateway);
	}
}

static void judge_public(const struct truth_facts *f, struct truth *out)
{
	char gateway[ADDR_TEXT_BYTES], seen[SEEN_BYTES], said[192];

	host_text(&f->gateway, gateway);
	if (f->seen_count == 0 && is_nested(f)) {
		snprintf(said, sizeof said, "the gateway's external address %s is a public one",
			 gateway);
		judge_another_nat(f, said, out);
	} else if (f->seen_count == 0 && f->no_external && f->entry != TRUTH_ENTRY_VISITED) {
		judge_taken_back(f, out);
	} else if (f->seen_count == 0) {
		conclude(out, TRUTH_PLAUSIBLE, stun_advice(f),
			 "the gateway's external address %s is a public one; no STUN server has "
			 "confirmed it%s",
			 gateway, not_yet(f));
	} else if (same_host(&f->gateway, &f->outside)) {
		judge_confirmed(f, out);
	} else if (is_seen(f, &f->gateway)) {
		conclude(
			out, TRUTH_SEVERAL_EXITS, "",
			"STUN servers see different addresses, %s: there are several ways out, and "
			"mappings are at the gateway's, %s",
			seen_text(f, seen), gateway);
	} else if (f->entry == TRUTH_ENTRY_VISITED) {
		conclude(out, TRUTH_SEVERAL_EXITS, "",
			 "outside sees %s, but what was sent to the gateway's address %s came in: "
			 "there are several ways out, and mappings are at that one",
			 seen_text(f, seen), gateway);
	} else if (another_is_seen(f)) {
		snprintf(said, sizeof said, "outside sees %s, but the gateway gives %s",
			 seen_text(f, seen), gateway);
		judge_another_nat(f, said, out);
	} else if (f->looking) {
		snprintf(said, sizeof said, "outside sees %s, but the gateway gives %s",
			 seen_text(f, seen), gateway);
		judge_looking(said, out);
	} else if (f->looked) {
		conclude(out, TRUTH_SEVERAL_EXITS, advice_two_addresses,
			 "outside sees %s, but the gateway gives %s, and no other NAT is on the "
			 "way: it has several ways out, or is wrong about its address",
			 seen_text(f, seen), gateway);
	} else {
		conclude(out, TRUTH_DOUBLE_NAT, outer_advice(f, false),
			 "outside sees %s, but the gateway gives %s: another NAT is behind it, or "
			 "it has several ways out",
			 seen_text(f, seen), gateway);
	}
}

/* ---- the gateway gives none ---- */

/* It says that it has none, or none of use. */
static void judge_no_external(const struct truth_facts *f, struct truth *out)
{
	char seen[SEEN_BYTES], said[192];

	if (f->seen_count == 0 && (f->entry == TRUTH_ENTRY_VISITED || is_nested(f))) {
		judge_another_nat(f, "the gateway says that it has no usable external address",
				  out);
	} else if (f->seen_count == 0 && f->stun_configured && f->stun_silent) {
		conclude(out, TRUTH_OFFLINE, advice_offline,
			 "the gateway says that it has no external address, and no STUN server "
			 "answers: it seems not to be connected");
	} else if (f->seen_count == 0) {
		conclude(out, TRUTH_DOUBLE_NAT, advice_connected,
			 "the gateway says that it has no usable external address: it is not "
			 "connected, or another NAT is behind it");
	} else {
		snprintf(said, sizeof said,
			 "the gateway says that it has no external address%s, but outside sees %s",
			 f->maps || f->entry == TRUTH_ENTRY_VISITED ? "" : " and maps nothing",
			 seen_text(f, seen));
		judge_denial(f, said, out);
	}
}

/* Our own address is public: no gateway has to tell one. */
static void judge_own_public(const struct truth_facts *f, struct truth *out)
{
	char own[ADDR_TEXT_BYTES], seen[SEEN_BYTES];

	host_text(&f->own, own);
	if (f->seen_count > 0)
		conclude(
			out, TRUTH_UNKNOWN,
			"try a port of this host from outside, at its own address; where that "
			"does not come in, the relay works",
			"outside sees %s, but this host's own address %s is a public one: a NAT is "
			"on the way, or there are several ways out",
			seen_text(f, seen), own);
	else
		conclude(out, TRUTH_PLAUSIBLE, stun_advice(f),
			 "this host's own address %s is a public one; no STUN server has confirmed "
			 "it%s",
			 own, not_yet(f));
}

/* A link without a gateway, such as PPPoE, a modem, or a tunnel that was named. */
static void judge_link(const struct truth_facts *f, struct truth *out)
{
	char own[ADDR_TEXT_BYTES], seen[SEEN_BYTES];

	host_text(&f->own, own);
	if (f->seen_count == 0 && f->stun_silent)
		conclude(
			out, TRUTH_BLOCKED, "see whether the link is connected, and lets UDP out",
			"this host's own address on its link is %s, which is not a public one, and "
			"no STUN server answers: UDP does not get out, or the line is down",
			own);
	else if (f->seen_count > 0)
		conclude(out, TRUTH_CGNAT, advice_provider,
			 "outside sees %s, and this host's own address on its link is %s: the NAT "
			 "is "
			 "at the provider's end, and no gateway is here that could map ports",
			 seen_text(f, seen), own);
	else
		conclude(
			out, TRUTH_CGNAT, advice_provider,
			"this host's own address on its link, %s, is not a public one: a NAT is at "
			"the provider's end, and no gateway is here that could map ports",
			own);
}

static void judge_silent(const struct truth_facts *f, struct truth *out)
{
	char seen[SEEN_BYTES], router[ADDR_TEXT_BYTES], behind[ADDR_TEXT_BYTES], said[192];

	host_text(&f->router, router);
	if (is_nested(f) ||
	    (f->seen_count > 0 && f->entry != TRUTH_ENTRY_VISITED && is_ipv4(&f->behind) &&
	     is_home(&f->behind)) ||
	    (f->seen_count > 0 && is_providers(&f->behind))) {
		snprintf(said, sizeof said,
			 f->seen_count > 0 ? "outside sees %s, and the gateway does not tell its "
					     "external address"
					   : "the gateway %s does not tell its external address",
			 f->seen_count > 0 ? seen_text(f, seen) : router);
		judge_another_nat(f, said, out);
	} else if (f->entry == TRUTH_ENTRY_VISITED)
		conclude(out, TRUTH_UNKNOWN, "",
			 "the gateway %s does not tell its external address, but something from "
			 "outside came in by what it maps",
			 router);
	else if (f->seen_count > 0 && is_ipv4(&f->behind))
		conclude(out, TRUTH_UNKNOWN, f->maps ? advice_try : advice_by_hand_on_both,
			 "outside sees %s; the gateway %s does not tell its external address, and "
			 "the router behind it is %s, which may do NAT, too",
			 seen_text(f, seen), router, host_text(&f->behind, behind));
	else if (f->seen_count > 0)
		conclude(out, TRUTH_UNKNOWN,
			 !f->speaks ? advice_switch_on
			 : f->maps  ? advice_try
				    : advice_by_hand,
			 "outside sees %s; the gateway %s does not tell its external address",
			 seen_text(f, seen), router);
	else if (f->stun_configured && f->stun_silent && !f->speaks)
		conclude(out, TRUTH_BLOCKED,
			 "sign in to this network, if it asks for that in a browser; else see "
			 "whether it is connected, and lets UDP out",
			 "neither the gateway %s nor a STUN server answers: this network waits for "
			 "a sign-in (captive portal), lets no UDP out, or is not connected",
			 router);
	else if (f->stun_configured && f->stun_silent)
		conclude(out, TRUTH_BLOCKED,
			 "see whether this network is connected, and lets UDP out",
			 "the gateway %s does not tell its external address, and no STUN server "
			 "answers: UDP does not get out, or the line is down",
			 router);
	else
		conclude(out, TRUTH_UNKNOWN, f->speaks ? stun_advice(f) : advice_switch_on,
			 "the gateway %s does not tell its external address", router);
}

static void judge_none(const struct truth_facts *f, struct truth *out)
{
	enum truth_range range = is_ipv4(&f->own) ? truth_range_of(&f->own) : TRUTH_SPECIAL;
	char text[ADDR_TEXT_BYTES];

	if (range == TRUTH_TRANSLATED)
		conclude(out, TRUTH_CGNAT, advice_provider,
			 "this host's own IPv4 address %s is that of a translator (464XLAT, "
			 "DS-Lite): "
			 "IPv4 goes by a NAT of the provider's, through which nothing gets in",
			 host_text(&f->own, text));
	else if (range == TRUTH_SHARED)
		conclude(out, TRUTH_CGNAT, advice_provider,
			 "this host's own address %s is one that providers share among customers "
			 "(carrier-grade NAT): nothing from outside gets in over IPv4",
			 host_text(&f->own, text));
	else if (range == TRUTH_PUBLIC)
		judge_own_public(f, out);
	else if (f->no_external)
		judge_no_external(f, out);
	else if (f->router.len == 0)
		judge_link(f, out);
	else
		judge_silent(f, out);
}

/* ---- the verdict ---- */

/* IPv4 has no way out. */
static void judge_no_ipv4(const struct truth_facts *f, struct truth *out)
{
	if (f->ipv6)
		conclude(out, TRUTH_IPV6_ONLY,
			 "let IPv6 in by pinholes; those without IPv6 come by the relay",
			 "this network has IPv6 alone: there is no IPv4 address that a port could "
			 "be "
			 "mapped at");
	else if (f->pinned[0] && f->missing)
		conclude(out, TRUTH_OFFLINE,
			 "name one that there is (interface), or none, so that the default route's "
			 "is taken; or make it: it is used once it is there",
			 "there is no interface %s, which natd is told to use%s%s", f->pinned,
			 f->others && f->others[0] ? "; this host has " : ", nor any other but lo",
			 f->others ? f->others : "");
	else if (f->pinned[0])
		conclude(out, TRUTH_OFFLINE, "connect it, or name another interface (interface)",
			 "%s, the interface that natd is told to use, has no default route, or no "
			 "address to use it with: there is no way out",
			 f->pinned);
	else
		conclude(out, TRUTH_OFFLINE,
			 "connect it to a network, or name the interface to use (interface)",
			 "this host has no default route, or no address to use it with: it is not "
			 "connected");
}

static void judge_vpn(const struct truth_facts *f, struct truth *out)
{
	char router[ADDR_TEXT_BYTES], own[ADDR_TEXT_BYTES], advice[TRUTH_TEXT_BYTES];

	snprintf(advice, sizeof advice,
		 "lead what this host sends from %s past the VPN (ip rule), or name %s to natd "
		 "(interface), if the VPN maps ports; the relay works meanwhile",
		 host_text(&f->own, own), f->tunnel);
	conclude(out, TRUTH_VPN, advice,
		 "this host's way out is the tunnel %s (a VPN): what comes in by the gateway %s is "
		 "answered through that, and lost",
		 f->tunnel, host_text(&f->router, router));
}

/* As with a gateway that is named, on a host without a default route. */
static void judge_unanswered(const struct truth_facts *f, struct truth *out)
{
	char router[ADDR_TEXT_BYTES], own[ADDR_TEXT_BYTES], advice[TRUTH_TEXT_BYTES];

	host_text(&f->router, router);
	snprintf(advice, sizeof advice,
		 "give this host a default route by %s, at least for what it sends from %s (ip "
		 "rule); "
		 "the relay works where another way leads there",
		 router, host_text(&f->own, own));
	conclude(out, TRUTH_OFFLINE, advice,
		 "no route leads from this host's address %s to outside: what comes in by the "
		 "gateway %s cannot be answered",
		 own, router);
}

static void judge_own_seen(const struct truth_facts *f, struct truth *out)
{
	char own[ADDR_TEXT_BYTES], seen[SEEN_BYTES];

	host_text(&f->own, own);
	if (f->entry == TRUTH_ENTRY_FAILED)
		conclude(out, TRUTH_FILTERED,
			 "let the port in at the firewall: this host's, the router's or the "
			 "provider's; the relay works meanwhile",
			 "outside sees %s, this host's own address, so there is no NAT; but what "
			 "was "
			 "sent to it did not come in: a firewall keeps it out",
			 own);
	else if (!same_host(&f->own, &f->outside))
		conclude(
			out, TRUTH_SEVERAL_EXITS, "",
			"STUN servers see different addresses, %s: there are several ways out, and "
			"one of them is this host's own address %s",
			seen_text(f, seen), own);
	else
		conclude(out, TRUTH_NO_NAT, "",
			 "outside sees %s, this host's own address: there is no NAT", own);
}

/* A server that sees an address which is not public is on this side of another NAT: what it sees is
 * not what outside sees. */
static void forget_inside(struct truth_facts *f)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->seen_count; i++)
		if (truth_range_of(&f->seen[i]) == TRUTH_PUBLIC)
			f->seen[kept++] = f->seen[i];
	f->stun_inside = kept == 0 && f->seen_count > 0;
	f->seen_count = kept;
	if (is_ipv4(&f->outside) && truth_range_of(&f->outside) != TRUTH_PUBLIC)
		f->outside = kept == 1 ? f->seen[0] : (struct addr){.len = 0};
}

static void judge(const struct truth_facts *f, struct truth *out)
{
	if (!f->ipv4) {
		judge_no_ipv4(f, out);
	} else if (f->unanswered && f->entry != TRUTH_ENTRY_VISITED) {
		judge_unanswered(f, out);
	} else if (f->tunnel[0] && f->entry != TRUTH_ENTRY_VISITED) {
		judge_vpn(f, out);
	} else if (is_seen(f, &f->own)) {
		judge_own_seen(f, out);
	} else if (!is_ipv4(&f->gateway)) {
		judge_none(f, out);
	} else if (truth_range_of(&f->gateway) != TRUTH_PUBLIC) {
		judge_not_public(f, truth_range_of(&f->gateway), out);
	} else {
		judge_public(f, out);
	}
}

/* Neither a router nor outside speaks against it: a container on a bridge to a LAN, or with an
 * address of its own on the internet, is a host like others. */
static bool may_be_contained(const struct truth_facts *f, const struct truth *out)
{
	return f->contained && f->ipv4 && !f->speaks && f->entry != TRUTH_ENTRY_VISITED &&
	       f->router.len > 0 && truth_range_of(&f->own) != TRUTH_PUBLIC &&
	       out->verdict != TRUTH_NO_NAT && out->verdict != TRUTH_VPN &&
	       out->verdict != TRUTH_OFFLINE;
}

/* A second possibility, after the first. */
static void add_advice(struct truth *out, const char *more)
{
	size_t len = strlen(out->advice);

	snprintf(out->advice + len, sizeof out->advice - len, "%s%s", len > 0 ? "; " : "", more);
}

void truth_judge(const struct truth_facts *facts, struct truth *out)
{
	struct truth_facts heard = *facts;
	const struct truth_facts *f = &heard;

	forget_inside(&heard);
	judge(f, out);
	out->contained = may_be_contained(f, out);
	if (out->contained)
		add_advice(out, "perhaps this is a container's own network, whose gateway is the "
				"host: then run natd on the host, or the container with --network "
				"host");
}

void truth_look_behind(const struct addr *routers, size_t count, struct addr *behind, bool *looked)
{
	bool gap = false;

	behind->len = 0;
	*looked = false;
	for (size_t i = 0; i < count; i++) {
		const struct addr *a = &routers[i];
		enum truth_range range = is_ipv4(a) ? truth_range_of(a) : TRUTH_SPECIAL;

		if (range == TRUTH_PUBLIC) {
			*looked = !gap;
			return;
		}
		gap |= range == TRUTH_SPECIAL;
		if (range != TRUTH_SPECIAL &&
		    (behind->len == 0 || (is_providers(a) && !is_providers(behind))))
			*behind = *a;
	}
}
