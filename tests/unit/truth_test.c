/* SPDX-License-Identifier: Apache-2.0 */
/*
 * truth_test: verdicts on what gateways and STUN servers say.
 * links: portmap/engine/truth.c core/addr.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "portmap/engine/truth.h"

static struct addr host(const char *text)
{
	struct addr a = {.len = 0};

	if (text)
		assert_true(addr_from_literal(text, 0, &a));
	return a;
}

#define AT_HOME .router = "192.168.77.1", .own = "192.168.77.2"

/* One topology: what is heard in it, and what is told of it. Lists are of addresses with a space
 * between. The first address that outside sees is what most servers see, where no others stand
 * beside it, or most is set. */
struct topology {
	const char *what;
	const char *router, *own; /* router NULL: a link without a gateway; own NULL: no IPv4 */
	const char *gateway;	  /* the external address that it gives; "none": it says so */
	const char *seen;	  /* by STUN servers; "silent": none answers; NULL: none is asked */
	const char *behind;	  /* a router; "looked": none on the whole way */
	const char *tunnel;
	enum truth_entry entry;
	bool mute; /* the gateway speaks no protocol */
	bool ipv6, most;
	enum truth_verdict verdict;
	const char *sentence, *advice;
};

#define HOME                                                                                       \
	"put the outer router into bridge mode, or forward the port on it to this one as well; "   \
	"the relay works meanwhile"
#define EITHER                                                                                     \
	"if the outer router is yours, put it into bridge mode or forward the port on it as "      \
	"well; if it is the provider's, ask for a public IPv4 address, or use IPv6; the relay "    \
	"works meanwhile"
#define PROVIDER                                                                                   \
	"ask the provider for a public IPv4 address, or use IPv6; the relay works meanwhile"
#define INSIDE                                                                                     \
	"name a STUN server on the internet (stun, --stun): those that are asked are on this "     \
	"side of a NAT"
#define NAME_ONE "name a STUN server (stun, --stun) to be sure"

static const struct topology topologies[] = {
	{.what = "one NAT",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .verdict = TRUTH_ONE_NAT,
	 .sentence = "outside sees 45.0.0.10, the gateway's external address",
	 .advice = ""},
	{.what = "one NAT, and a visitor came",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .entry = TRUTH_ENTRY_VISITED,
	 .verdict = TRUTH_ONE_NAT,
	 .sentence = "outside sees 45.0.0.10, the gateway's external address, and what was sent "
		     "there came in",
	 .advice = ""},
	{.what = "one NAT, and a STUN server's other address got in",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .behind = "looked",
	 .entry = TRUTH_ENTRY_ANSWERED,
	 .verdict = TRUTH_ONE_NAT,
	 .sentence = "outside sees 45.0.0.10, the gateway's external address, and what was sent "
		     "there came in",
	 .advice = ""},
	{.what = "one NAT, no STUN server is named",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .verdict = TRUTH_PLAUSIBLE,
	 .sentence = "the gateway's external address 45.0.0.10 is a public one; no STUN server has "
		     "confirmed it",
	 .advice = NAME_ONE},
	{.what = "one NAT, no STUN server answers",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "silent",
	 .verdict = TRUTH_PLAUSIBLE,
	 .sentence = "the gateway's external address 45.0.0.10 is a public one; no STUN server has "
		     "confirmed it",
	 .advice = "see whether UDP gets out of this network, or name another STUN server"},
	{.what = "one NAT, and one of three STUN servers lies",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10 45.6.6.6",
	 .most = true,
	 .verdict = TRUTH_ONE_NAT,
	 .sentence = "outside sees 45.0.0.10, the gateway's external address",
	 .advice = ""},
	{.what = "a second router at home",
	 AT_HOME,
	 .gateway = "192.168.178.20",
	 .seen = "45.0.0.10",
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "the gateway's external address 192.168.178.20 is private: another NAT is "
		     "behind it",
	 .advice = HOME},
	{.what = "a second router at home, which was seen",
	 AT_HOME,
	 .gateway = "192.168.178.20",
	 .seen = "45.0.0.10",
	 .behind = "192.168.178.1",
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "the gateway's external address 192.168.178.20 is private; another NAT is "
		     "behind it: the next router is 192.168.178.1",
	 .advice = HOME},
	{.what = "a router with an address of 10.0.0.0/8 outside",
	 AT_HOME,
	 .gateway = "10.99.0.10",
	 .seen = "45.0.0.10",
	 .behind = "10.99.0.1",
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "the gateway's external address 10.99.0.10 is private; another NAT is behind "
		     "it: the next router is 10.99.0.1",
	 .advice = EITHER},
	{.what = "the same, and no STUN server answers",
	 AT_HOME,
	 .gateway = "172.31.255.255",
	 .seen = "silent",
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "the gateway's external address 172.31.255.255 is private: another NAT is "
		     "behind it",
	 .advice = EITHER},
	{.what = "a modem that does NAT, behind it the provider's",
	 AT_HOME,
	 .gateway = "192.168.100.2",
	 .seen = "45.0.0.10",
	 .behind = "100.64.0.1",
	 .verdict = TRUTH_CGNAT,
	 .sentence = "the gateway's external address 192.168.100.2 is private; the router behind "
		     "it is 100.64.0.1: probably a NAT of the provider's (carrier-grade NAT)",
	 .advice = PROVIDER},
	{.what = "the provider's NAT, told by the gateway",
	 AT_HOME,
	 .gateway = "100.64.3.4",
	 .seen = "45.0.0.10",
	 .verdict = TRUTH_CGNAT,
	 .sentence = "the gateway's external address 100.64.3.4 is one that providers share among "
		     "customers (carrier-grade NAT): what it maps is not reachable from outside",
	 .advice = PROVIDER},
	{.what = "DS-Lite",
	 AT_HOME,
	 .gateway = "192.0.0.2",
	 .seen = "45.0.0.10",
	 .verdict = TRUTH_CGNAT,
	 .sentence = "the gateway's external address 192.0.0.2 is that of a translator (DS-Lite, "
		     "464XLAT): its line has IPv6, and IPv4 by a NAT of the provider's, through "
		     "which nothing gets in",
	 .advice = PROVIDER},
	{.what = "the provider's NAT, hidden by the gateway",
	 AT_HOME,
	 .gateway = "none",
	 .seen = "45.0.0.10",
	 .behind = "100.64.7.1",
	 .verdict = TRUTH_CGNAT,
	 .sentence = "the gateway says that it has no external address, but outside sees "
		     "45.0.0.10; the router behind it is 100.64.7.1: probably a NAT of the "
		     "provider's (carrier-grade NAT)",
	 .advice = PROVIDER},
	{.what = "a second router at home, hidden by the gateway",
	 AT_HOME,
	 .gateway = "none",
	 .seen = "45.0.0.10",
	 .behind = "192.168.178.1",
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "the gateway says that it has no external address, but outside sees "
		     "45.0.0.10; another NAT is behind it: the next router is 192.168.178.1",
	 .advice = HOME},
	{.what = "another NAT, hidden by the gateway, unseen",
	 AT_HOME,
	 .gateway = "none",
	 .seen = "45.0.0.10",
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "the gateway says that it has no external address, but outside sees "
		     "45.0.0.10: another NAT is behind it, or a test of its own is wrong",
	 .advice = EITHER},
	{.what = "a gateway that believes its own STUN test",
	 AT_HOME,
	 .gateway = "none",
	 .seen = "45.0.0.10",
	 .behind = "looked",
	 .verdict = TRUTH_FILTERED,
	 .sentence =
		 "the gateway says that it has no external address and maps nothing, but outside "
		 "sees 45.0.0.10, and no second NAT is on the way: a test of its own may be wrong",
	 .advice = "switch off the gateway's own STUN test, or tell it its external address; the "
		   "relay works meanwhile"},
	{.what = "a gateway without an address, no STUN server is named",
	 AT_HOME,
	 .gateway = "none",
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "the gateway says that it has no usable external address: it is not "
		     "connected, or another NAT is behind it",
	 .advice = EITHER},
	{.what = "the line is down",
	 AT_HOME,
	 .gateway = "none",
	 .seen = "silent",
	 .verdict = TRUTH_OFFLINE,
	 .sentence = "the gateway says that it has no external address, and no STUN server "
		     "answers: it seems not to be connected",
	 .advice = "see whether the gateway is connected to the provider"},
	{.what = "the line is down, the gateway gave itself an address",
	 AT_HOME,
	 .gateway = "169.254.1.1",
	 .seen = "silent",
	 .verdict = TRUTH_OFFLINE,
	 .sentence = "the gateway's external address 169.254.1.1 is not one of the internet, and "
		     "no STUN server answers: it seems not to be connected",
	 .advice = "see whether the gateway is connected to the provider"},
	{.what = "a gateway with a link-local address, and outside is there",
	 AT_HOME,
	 .gateway = "169.254.1.1",
	 .seen = "45.0.0.10",
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "the gateway's external address 169.254.1.1 is not one of the internet: "
		     "another NAT is behind it",
	 .advice = EITHER},
	{.what = "a gateway with its address by STUN, behind the provider's NAT",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .behind = "100.64.7.1",
	 .entry = TRUTH_ENTRY_FAILED,
	 .verdict = TRUTH_CGNAT,
	 .sentence = "the gateway gives 45.0.0.10, which is what outside sees, but what was sent "
		     "there did not come in; the router behind it is 100.64.7.1: probably a NAT of "
		     "the provider's (carrier-grade NAT)",
	 .advice = PROVIDER},
	{.what = "a gateway with its address by STUN, behind a second router",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .behind = "192.168.178.1",
	 .entry = TRUTH_ENTRY_FAILED,
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence =
		 "the gateway gives 45.0.0.10, which is what outside sees, but what was sent there "
		 "did not come in; another NAT is behind it: the next router is 192.168.178.1",
	 .advice = HOME},
	{.what = "a provider's router next, and nothing was tried",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .behind = "100.64.7.1",
	 .verdict = TRUTH_PLAUSIBLE,
	 .sentence = "outside sees 45.0.0.10, which the gateway gives as its own; but the router "
		     "behind it is 100.64.7.1, and whether that does NAT is only known when "
		     "something comes in",
	 .advice = ""},
	{.what = "a provider's router next, and an answer got in",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .behind = "100.64.7.1",
	 .entry = TRUTH_ENTRY_ANSWERED,
	 .verdict = TRUTH_PLAUSIBLE,
	 .sentence = "outside sees 45.0.0.10, which the gateway gives as its own; but the router "
		     "behind it is 100.64.7.1, and whether that does NAT is only known when "
		     "something comes in",
	 .advice = ""},
	{.what = "a provider's router next, which does no NAT: a visitor came",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .behind = "100.64.7.1",
	 .entry = TRUTH_ENTRY_VISITED,
	 .verdict = TRUTH_ONE_NAT,
	 .sentence = "outside sees 45.0.0.10, the gateway's external address, and what was sent "
		     "there came in",
	 .advice = ""},
	{.what = "a firewall before the gateway",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .behind = "looked",
	 .entry = TRUTH_ENTRY_FAILED,
	 .verdict = TRUTH_FILTERED,
	 .sentence = "outside sees 45.0.0.10, which the gateway gives as its own, but what was "
		     "sent to a port mapped there did not come in",
	 .advice = "see whether a firewall is before the gateway, and whether it knows its address "
		   "from a STUN test behind another NAT; the relay works meanwhile"},
	{.what = "a gateway that gives another public address",
	 AT_HOME,
	 .gateway = "45.9.9.9",
	 .seen = "45.0.0.10",
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "outside sees 45.0.0.10, but the gateway gives 45.9.9.9: another NAT is "
		     "behind it, or it has several ways out",
	 .advice = EITHER},
	{.what = "the same, behind the provider's NAT",
	 AT_HOME,
	 .gateway = "45.9.9.9",
	 .seen = "45.0.0.10",
	 .behind = "100.64.7.1",
	 .verdict = TRUTH_CGNAT,
	 .sentence = "outside sees 45.0.0.10, but the gateway gives 45.9.9.9; the router behind it "
		     "is 100.64.7.1: probably a NAT of the provider's (carrier-grade NAT)",
	 .advice = PROVIDER},
	{.what = "two lines, the gateway tells one of them",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10 45.0.0.20",
	 .verdict = TRUTH_SEVERAL_EXITS,
	 .sentence = "STUN servers see different addresses, 45.0.0.10 and 45.0.0.20: there are "
		     "several ways out, and mappings are at the gateway's, 45.0.0.10",
	 .advice = ""},
	{.what = "two lines, the gateway tells a third",
	 AT_HOME,
	 .gateway = "45.9.9.9",
	 .seen = "45.0.0.10 45.0.0.20",
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "outside sees 45.0.0.10 and 45.0.0.20, but the gateway gives 45.9.9.9: "
		     "another NAT is behind it, or it has several ways out",
	 .advice = EITHER},
	{.what = "three lines, the gateway tells none",
	 AT_HOME,
	 .gateway = "none",
	 .seen = "45.0.0.10 45.0.0.20 45.0.0.30",
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence =
		 "the gateway says that it has no external address, but outside sees 45.0.0.10, "
		 "45.0.0.20 and 45.0.0.30: another NAT is behind it, or a test of its own is wrong",
	 .advice = EITHER},
	{.what = "two lines, a silent gateway",
	 AT_HOME,
	 .seen = "45.0.0.10 45.0.0.20",
	 .mute = true,
	 .verdict = TRUTH_UNKNOWN,
	 .sentence = "outside sees 45.0.0.10 and 45.0.0.20; the gateway 192.168.77.1 does not tell "
		     "its external address",
	 .advice = "switch on PCP, NAT-PMP or UPnP at the gateway, or forward the port on it by "
		   "hand; the relay works meanwhile"},
	{.what = "a silent gateway",
	 AT_HOME,
	 .seen = "45.0.0.10",
	 .mute = true,
	 .verdict = TRUTH_UNKNOWN,
	 .sentence = "outside sees 45.0.0.10; the gateway 192.168.77.1 does not tell its external "
		     "address",
	 .advice = "switch on PCP, NAT-PMP or UPnP at the gateway, or forward the port on it by "
		   "hand; the relay works meanwhile"},
	{.what = "a silent gateway, no STUN server is named",
	 AT_HOME,
	 .mute = true,
	 .verdict = TRUTH_UNKNOWN,
	 .sentence = "the gateway 192.168.77.1 does not tell its external address",
	 .advice = NAME_ONE},
	{.what = "a gateway that speaks, and tells no address",
	 AT_HOME,
	 .seen = "45.0.0.10",
	 .verdict = TRUTH_UNKNOWN,
	 .sentence = "outside sees 45.0.0.10; the gateway 192.168.77.1 does not tell its external "
		     "address",
	 .advice = ""},
	{.what = "a silent gateway before the provider's NAT",
	 AT_HOME,
	 .seen = "45.0.0.10",
	 .behind = "100.64.7.1",
	 .mute = true,
	 .verdict = TRUTH_CGNAT,
	 .sentence = "outside sees 45.0.0.10; the gateway does not tell its external address, but "
		     "the router behind it is 100.64.7.1: probably a NAT of the provider's "
		     "(carrier-grade NAT)",
	 .advice = PROVIDER},
	{.what = "a captive network",
	 AT_HOME,
	 .seen = "silent",
	 .mute = true,
	 .verdict = TRUTH_BLOCKED,
	 .sentence = "neither the gateway 192.168.77.1 nor a STUN server answers: this network "
		     "waits for a sign-in (captive portal), lets no UDP out, or is not connected",
	 .advice = "sign in to this network, if it asks for that in a browser; else see whether it "
		   "is connected, and lets UDP out"},
	{.what = "UDP is blocked behind the gateway",
	 AT_HOME,
	 .seen = "silent",
	 .verdict = TRUTH_BLOCKED,
	 .sentence = "the gateway 192.168.77.1 does not tell its external address, and no STUN "
		     "server answers: UDP does not get out, or the line is down",
	 .advice = "see whether this network is connected, and lets UDP out"},
	{.what = "a VPN has the default route",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .tunnel = "wg0",
	 .verdict = TRUTH_VPN,
	 .sentence = "this host's way out is the tunnel wg0 (a VPN): what comes in by the gateway "
		     "192.168.77.1 is answered through that, and lost",
	 .advice = "lead what this host sends from 192.168.77.2 past the VPN (ip rule), or name "
		   "wg0 to natd (interface), if the VPN maps ports; the relay works meanwhile"},
	{.what = "a VPN, and a visitor came past it",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .tunnel = "wg0",
	 .entry = TRUTH_ENTRY_VISITED,
	 .verdict = TRUTH_ONE_NAT,
	 .sentence = "outside sees 45.0.0.10, the gateway's external address, and what was sent "
		     "there came in",
	 .advice = ""},
	{.what = "no NAT",
	 .router = "45.0.0.1",
	 .own = "45.0.0.7",
	 .seen = "45.0.0.7",
	 .mute = true,
	 .verdict = TRUTH_NO_NAT,
	 .sentence = "outside sees 45.0.0.7, this host's own address: there is no NAT",
	 .advice = ""},
	{.what = "no NAT, behind a firewall",
	 .router = "45.0.0.1",
	 .own = "45.0.0.7",
	 .seen = "45.0.0.7",
	 .mute = true,
	 .entry = TRUTH_ENTRY_FAILED,
	 .verdict = TRUTH_FILTERED,
	 .sentence = "outside sees 45.0.0.7, this host's own address, so there is no NAT; but what "
		     "was sent to it did not come in: a firewall keeps it out",
	 .advice = "let the port in at the firewall: this host's, the router's or the provider's; "
		   "the relay works meanwhile"},
	{.what = "no NAT, two lines",
	 .router = "45.0.0.1",
	 .own = "45.0.0.7",
	 .seen = "45.0.0.7 45.0.0.20",
	 .mute = true,
	 .verdict = TRUTH_SEVERAL_EXITS,
	 .sentence = "STUN servers see different addresses, 45.0.0.7 and 45.0.0.20: there are "
		     "several ways out, and one of them is this host's own address 45.0.0.7",
	 .advice = ""},
	{.what = "a public address, no STUN server is named",
	 .router = "45.0.0.1",
	 .own = "45.0.0.7",
	 .mute = true,
	 .verdict = TRUTH_PLAUSIBLE,
	 .sentence = "this host's own address 45.0.0.7 is a public one; no STUN server has "
		     "confirmed it",
	 .advice = NAME_ONE},
	{.what = "a public address, no STUN server answers",
	 .router = "45.0.0.1",
	 .own = "45.0.0.7",
	 .seen = "silent",
	 .mute = true,
	 .verdict = TRUTH_PLAUSIBLE,
	 .sentence = "this host's own address 45.0.0.7 is a public one; no STUN server has "
		     "confirmed it",
	 .advice = ""},
	{.what = "a public address, but outside sees another",
	 .router = "45.0.0.1",
	 .own = "45.0.0.7",
	 .seen = "45.0.0.10",
	 .mute = true,
	 .verdict = TRUTH_UNKNOWN,
	 .sentence = "outside sees 45.0.0.10, but this host's own address 45.0.0.7 is a public "
		     "one: a NAT is on the way, or there are several ways out",
	 .advice = ""},
	{.what = "PPPoE on this host",
	 .own = "45.0.0.7",
	 .seen = "45.0.0.7",
	 .mute = true,
	 .verdict = TRUTH_NO_NAT,
	 .sentence = "outside sees 45.0.0.7, this host's own address: there is no NAT",
	 .advice = ""},
	{.what = "PPPoE on this host behind the provider's NAT",
	 .own = "100.64.9.9",
	 .seen = "45.0.0.10",
	 .mute = true,
	 .verdict = TRUTH_CGNAT,
	 .sentence = "this host's own address 100.64.9.9 is one that providers share among "
		     "customers (carrier-grade NAT): nothing from outside gets in over IPv4",
	 .advice = PROVIDER},
	{.what = "a modem's link with a private address",
	 .own = "10.64.9.9",
	 .seen = "45.0.0.10",
	 .mute = true,
	 .verdict = TRUTH_CGNAT,
	 .sentence =
		 "outside sees 45.0.0.10, and this host's own address on its link is 10.64.9.9: "
		 "the NAT is at the provider's end, and no gateway is here that could map ports",
	 .advice = PROVIDER},
	{.what = "the same, no STUN server is named",
	 .own = "10.64.9.9",
	 .mute = true,
	 .verdict = TRUTH_CGNAT,
	 .sentence = "this host's own address on its link, 10.64.9.9, is not a public one: a NAT "
		     "is at the provider's end, and no gateway is here that could map ports",
	 .advice = PROVIDER},
	{.what = "a modem's link that is down",
	 .own = "10.64.9.9",
	 .seen = "silent",
	 .mute = true,
	 .verdict = TRUTH_BLOCKED,
	 .sentence =
		 "this host's own address on its link is 10.64.9.9, which is not a public one, and "
		 "no STUN server answers: UDP does not get out, or the line is down",
	 .advice = "see whether the link is connected, and lets UDP out"},
	{.what = "464XLAT on this host",
	 .own = "192.0.0.4",
	 .seen = "45.0.0.10",
	 .mute = true,
	 .ipv6 = true,
	 .verdict = TRUTH_CGNAT,
	 .sentence =
		 "this host's own IPv4 address 192.0.0.4 is that of a translator (464XLAT, "
		 "DS-Lite): IPv4 goes by a NAT of the provider's, through which nothing gets in",
	 .advice = PROVIDER},
	{.what = "a STUN server on this side of the NAT",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "192.168.77.2",
	 .verdict = TRUTH_PLAUSIBLE,
	 .sentence = "the gateway's external address 45.0.0.10 is a public one; no STUN server has "
		     "confirmed it",
	 .advice = INSIDE},
	{.what = "one on this side, and one outside",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "192.168.77.2 45.0.0.10",
	 .most = true,
	 .verdict = TRUTH_ONE_NAT,
	 .sentence = "outside sees 45.0.0.10, the gateway's external address",
	 .advice = ""},
	{.what = "a silent gateway, and a STUN server on this side of the provider's NAT",
	 AT_HOME,
	 .seen = "100.64.7.7",
	 .mute = true,
	 .verdict = TRUTH_UNKNOWN,
	 .sentence = "the gateway 192.168.77.1 does not tell its external address",
	 .advice = INSIDE},
	{.what = "a gateway without an address, and a STUN server on this side of another NAT",
	 AT_HOME,
	 .gateway = "none",
	 .seen = "10.99.0.10",
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "the gateway says that it has no usable external address: it is not "
		     "connected, or another NAT is behind it",
	 .advice = EITHER},
	{.what = "two lines, by one of which a visitor came",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.20",
	 .entry = TRUTH_ENTRY_VISITED,
	 .verdict = TRUTH_SEVERAL_EXITS,
	 .sentence = "outside sees 45.0.0.20, but what was sent to the gateway's address 45.0.0.10 "
		     "came in: there are several ways out, and mappings are at that one",
	 .advice = ""},
	{.what = "IPv6 alone",
	 .ipv6 = true,
	 .verdict = TRUTH_IPV6_ONLY,
	 .sentence = "this network has IPv6 alone: there is no IPv4 address that a port could be "
		     "mapped at",
	 .advice = "let IPv6 in by pinholes; those without IPv6 come by the relay"},
	{.what = "no network",
	 .verdict = TRUTH_OFFLINE,
	 .sentence = "this host has no default route, or no address to use it with: it is not "
		     "connected",
	 .advice = "connect it to a network, or name the interface to use (interface)"},
};

static void read_seen(const char *list, struct truth_facts *f)
{
	char text[128], *rest = text, *one;

	snprintf(text, sizeof text, "%s", list);
	while ((one = strsep(&rest, " ")))
		f->seen[f->seen_count++] = host(one);
}

static struct truth_facts facts_of(const struct topology *t)
{
	bool silent = t->seen && strcmp(t->seen, "silent") == 0;
	bool none = t->gateway && strcmp(t->gateway, "none") == 0;
	bool looked = t->behind && strcmp(t->behind, "looked") == 0;
	struct truth_facts f = {.ipv4 = t->own != NULL,
				.ipv6 = t->ipv6,
				.router = host(t->router),
				.own = host(t->own),
				.speaks = !t->mute,
				.gateway = host(none ? NULL : t->gateway),
				.no_external = none,
				.stun_configured = t->seen != NULL,
				.stun_silent = silent,
				.behind = host(looked ? NULL : t->behind),
				.looked = t->behind != NULL,
				.entry = t->entry};

	snprintf(f.tunnel, sizeof f.tunnel, "%s", t->tunnel ? t->tunnel : "");
	if (t->seen && !silent)
		read_seen(t->seen, &f);
	if (f.seen_count == 1 || t->most)
		f.outside = f.seen[0];
	return f;
}

static void every_topology_has_its_words(void **state)
{
	for (size_t i = 0; i < sizeof topologies / sizeof *topologies; i++) {
		const struct topology *t = &topologies[i];
		struct truth_facts f = facts_of(t);
		struct truth said;

		truth_judge(&f, &said);
		if (said.verdict != t->verdict || strcmp(said.sentence, t->sentence) != 0 ||
		    strcmp(said.advice, t->advice) != 0)
			fail_msg("%s: %s: %s; %s", t->what, truth_verdict_name(said.verdict),
				 said.sentence, said.advice);
		/* What is cut off has advice, and nothing is cut short. */
		assert_true(said.advice[0] || !truth_cuts_off(said.verdict));
		assert_true(strlen(said.sentence) < TRUTH_TEXT_BYTES - 1 &&
			    strlen(said.advice) < TRUTH_TEXT_BYTES - 1);
	}
}

/* A longest address of each kind, and as many as there is room for: nothing is cut short. */
static void long_addresses_fit(void **state)
{
	const struct addr shared = host("100.127.255.255"), own = host("192.168.255.254");

	for (unsigned n = 0; n < 3 * 4 * 2 * 4 * 2; n++) {
		static const char *const gateways[] = {NULL, "255.255.255.254", "172.131.255.254"};
		struct truth_facts f = {
			.ipv4 = true,
			.router = own,
			.own = n % 2 ? own : host("172.131.255.253"),
			.gateway = host(gateways[n / 2 % 3]),
			.no_external = n / 6 % 2,
			.stun_configured = true,
			.seen = {host("172.131.255.251"), host("172.131.255.252"),
				 host("172.131.255.254"), host("172.131.255.250")},
			.seen_count = n / 12 % 4 + 1,
			.behind = n / 48 % 2 ? shared : host(NULL),
			.entry = (enum truth_entry)(n % 4),
		};
		struct truth said;

		truth_judge(&f, &said);
		assert_true(strlen(said.sentence) < TRUTH_TEXT_BYTES - 1);
	}
}

static void the_routers_behind_are_told(void **state)
{
	static const struct {
		const char *routers[5], *behind;
		bool looked;
	} cases[] = {
		{{"45.0.0.1"}, NULL, true},
		{{NULL, "45.0.0.1"}, NULL, false},
		{{"10.99.0.1", "45.0.0.1"}, "10.99.0.1", true},
		{{"10.99.0.1", "10.98.0.1", "45.0.0.1"}, "10.99.0.1", true},
		/* A provider's tells more. */
		{{"192.168.1.1", "100.64.0.1", "100.64.0.2", "45.0.0.1"}, "100.64.0.1", true},
		{{NULL, "192.0.0.1", "10.0.0.1"}, "192.0.0.1", false},
		/* What lies behind a public one is no matter. */
		{{"45.0.0.1", "100.64.0.1"}, NULL, true},
		{{"169.254.0.1", "45.0.0.1"}, NULL, false},
		{{NULL}, NULL, false},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct addr routers[5], behind, expected = host(cases[i].behind);
		bool looked;

		for (size_t r = 0; r < 5; r++)
			routers[r] = host(cases[i].routers[r]);
		truth_look_behind(routers, 5, &behind, &looked);
		assert_int_equal(looked, cases[i].looked);
		assert_int_equal(behind.len > 0, expected.len > 0);
		assert_true(behind.len == 0 || addr_equal(&behind, &expected));
	}
}

static void ranges_end_where_they_should(void **state)
{
	static const struct {
		const char *address;
		enum truth_range range;
	} cases[] = {
		{"9.255.255.255", TRUTH_PUBLIC},    {"10.0.0.0", TRUTH_PRIVATE},
		{"10.255.255.255", TRUTH_PRIVATE},  {"11.0.0.0", TRUTH_PUBLIC},
		{"100.63.255.255", TRUTH_PUBLIC},   {"100.64.0.0", TRUTH_SHARED},
		{"100.127.255.255", TRUTH_SHARED},  {"100.128.0.0", TRUTH_PUBLIC},
		{"172.15.255.255", TRUTH_PUBLIC},   {"172.16.0.0", TRUTH_PRIVATE},
		{"172.31.255.255", TRUTH_PRIVATE},  {"172.32.0.0", TRUTH_PUBLIC},
		{"192.167.255.255", TRUTH_PUBLIC},  {"192.168.0.0", TRUTH_PRIVATE},
		{"192.169.0.0", TRUTH_PUBLIC},	    {"192.0.0.7", TRUTH_TRANSLATED},
		{"192.0.0.8", TRUTH_SPECIAL},	    {"198.17.255.255", TRUTH_PUBLIC},
		{"198.18.0.0", TRUTH_SPECIAL},	    {"198.19.255.255", TRUTH_SPECIAL},
		{"223.255.255.255", TRUTH_PUBLIC},  {"224.0.0.0", TRUTH_SPECIAL},
		{"255.255.255.255", TRUTH_SPECIAL}, {"0.0.0.0", TRUTH_SPECIAL},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct addr a = host(cases[i].address);

		assert_int_equal(truth_range_of(&a), cases[i].range);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_topology_has_its_words),
		cmocka_unit_test(long_addresses_fit),
		cmocka_unit_test(the_routers_behind_are_told),
		cmocka_unit_test(ranges_end_where_they_should),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
