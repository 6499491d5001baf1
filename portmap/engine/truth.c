/* SPDX-License-Identifier: Apache-2.0 */
/* truth: ranges of addresses, and the verdict on what was heard. */
#include "portmap/engine/truth.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ADVICE_BRIDGE                                                                              \
	"put the outer router into bridge mode, or forward the port on it to this one as well; "   \
	"the "                                                                                     \
	"relay works meanwhile"
#define ADVICE_PROVIDER                                                                            \
	"ask the provider for a public IPv4 address, or use IPv6; the relay works meanwhile"

static const char *const verdict_names[] = {
	[TRUTH_UNKNOWN] = "unknown",	   [TRUTH_NO_NAT] = "no_nat",
	[TRUTH_ONE_NAT] = "one_nat",	   [TRUTH_PLAUSIBLE] = "plausible",
	[TRUTH_DOUBLE_NAT] = "double_nat", [TRUTH_CGNAT] = "cgnat",
	[TRUTH_OFFLINE] = "offline",
};
static_assert(sizeof verdict_names / sizeof *verdict_names == TRUTH_VERDICTS, "a name each");

const char *truth_verdict_name(enum truth_verdict v)
{
	return verdict_names[v];
}

/* IANA's registry of special addresses (RFC 6890 and its successors), as far as none of them can be
 * a router's address on the internet. */
static const struct {
	uint32_t network;
	unsigned prefix;
	enum truth_range range;
} ranges[] = {
	{0x0a000000, 8, TRUTH_PRIVATE},	 {0xac100000, 12, TRUTH_PRIVATE},
	{0xc0a80000, 16, TRUTH_PRIVATE}, {0x64400000, 10, TRUTH_SHARED},
	{0xc0000000, 29, TRUTH_SHARED},	 {0x00000000, 8, TRUTH_SPECIAL},
	{0x7f000000, 8, TRUTH_SPECIAL},	 {0xa9fe0000, 16, TRUTH_SPECIAL},
	{0xc0000000, 24, TRUTH_SPECIAL}, {0xc0000200, 24, TRUTH_SPECIAL},
	{0xc6120000, 15, TRUTH_SPECIAL}, {0xc6336400, 24, TRUTH_SPECIAL},
	{0xcb007100, 24, TRUTH_SPECIAL}, {0xe0000000, 3, TRUTH_SPECIAL},
};

enum truth_range truth_range_of(const struct addr *ipv4)
{
	uint32_t address = ntohl(ipv4->v4.sin_addr.s_addr);

	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
		if ((address ^ ranges[i].network) >> (32 - ranges[i].prefix) == 0)
			return ranges[i].range;
	return TRUTH_PUBLIC;
}

static bool is_ipv4(const struct addr *a)
{
	return a->len > 0 && a->sa.sa_family == AF_INET;
}

static bool same_host(const struct addr *a, const struct addr *b)
{
	return is_ipv4(a) && addr_same_host(a, b);
}

static const char *host_text(const struct addr *a, char out[ADDR_TEXT_BYTES])
{
	addr_format_host(a, out);
	return out;
}

__attribute__((format(printf, 4, 5))) static void
conclude(struct truth *out, enum truth_verdict verdict, const char *advice, const char *format, ...)
{
	va_list args;

	out->verdict = verdict;
	snprintf(out->advice, sizeof out->advice, "%s", advice);
	va_start(args, format);
	vsnprintf(out->sentence, sizeof out->sentence, format, args);
	va_end(args);
}

/* The gateway gives an address that no host outside can have. */
static void judge_not_public(const struct truth_facts *f, enum truth_range range, struct truth *out)
{
	char gateway[ADDR_TEXT_BYTES];

	host_text(&f->gateway, gateway);
	if (range == TRUTH_SHARED)
		conclude(
			out, TRUTH_CGNAT, ADVICE_PROVIDER,
			"the gateway's external address %s is one that providers share among "
			"customers (carrier-grade NAT): what it maps is not reachable from outside",
			gateway);
	else
		conclude(out, TRUTH_DOUBLE_NAT, ADVICE_BRIDGE,
			 "the gateway's external address %s is %s: another NAT is behind it, and "
			 "what it maps is not reachable from outside",
			 gateway, range == TRUTH_PRIVATE ? "private" : "not one of the internet");
}

static void judge_none(const struct truth_facts *f, struct truth *out)
{
	char outside[ADDR_TEXT_BYTES];

	if (!f->no_external) {
		conclude(out, TRUTH_UNKNOWN, "", "the gateway does not tell its external address");
	} else if (is_ipv4(&f->outside)) {
		conclude(out, TRUTH_DOUBLE_NAT, ADVICE_BRIDGE,
			 "the gateway says that it has no external address, but outside sees %s: "
			 "another NAT is behind it",
			 host_text(&f->outside, outside));
	} else if (f->stun_configured && f->stun_silent) {
		conclude(out, TRUTH_OFFLINE, "see whether the gateway is connected to the provider",
			 "the gateway says that it has no external address, and no STUN server "
			 "answers: it seems not to be connected");
	} else {
		conclude(out, TRUTH_DOUBLE_NAT, ADVICE_BRIDGE,
			 "the gateway says that it has no usable external address: it is not "
			 "connected, or another NAT is behind it");
	}
}

static void judge_public(const struct truth_facts *f, struct truth *out)
{
	char gateway[ADDR_TEXT_BYTES], outside[ADDR_TEXT_BYTES];

	host_text(&f->gateway, gateway);
	if (!is_ipv4(&f->outside))
		conclude(out, TRUTH_PLAUSIBLE,
			 f->stun_configured ? "" : "name a STUN server (stun, --stun) to be sure",
			 "the gateway's external address %s is a public one; no STUN server has "
			 "confirmed it",
			 gateway);
	else if (same_host(&f->gateway, &f->outside))
		conclude(out, TRUTH_ONE_NAT, "", "outside sees %s, the gateway's external address",
			 gateway);
	else
		conclude(out, TRUTH_DOUBLE_NAT, ADVICE_BRIDGE,
			 "outside sees %s, but the gateway gives %s: another NAT is behind it, or "
			 "it has several ways out",
			 host_text(&f->outside, outside), gateway);
}

void truth_judge(const struct truth_facts *f, struct truth *out)
{
	char own[ADDR_TEXT_BYTES];

	if (same_host(&f->own, &f->outside))
		conclude(out, TRUTH_NO_NAT, "",
			 "outside sees %s, this host's own address: there is no NAT",
			 host_text(&f->own, own));
	else if (!is_ipv4(&f->gateway))
		judge_none(f, out);
	else if (truth_range_of(&f->gateway) != TRUTH_PUBLIC)
		judge_not_public(f, truth_range_of(&f->gateway), out);
	else
		judge_public(f, out);
}
