/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topologies_test: what is told of each kind of network: the verdict, its sentence and its advice,
 * what 'postern nat probe' says that it means, and what that command's exit status is.
 *
 * links: portmap/engine/truth.c ctl/nat/conclude.c core/addr.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ctl/nat/conclude.h"
#include "portmap/engine/truth.h"

static struct addr host(const char *text)
{
	struct addr a = {.len = 0};

	if (text)
		assert_true(addr_from_literal(text, 0, &a));
	return a;
}

#define AT_HOME .router = "192.168.77.1", .own = "192.168.77.2"

/* KEEPS_GUESSED: what a gateway that speaks so does. */
enum keeps { KEEPS_GUESSED, KEEPS_NONE, KEEPS_MAPPED, KEEPS_VERIFIED, KEEPS_REFUSED };

/* One topology: what is heard in it, and what is told of it. Lists are of addresses with a space
 * between. The first address that outside sees is what most servers see, where no others stand
 * beside it, or most is set. */
struct topology {
	const char *what;
	const char *router, *own; /* router NULL: a link without a gateway; own NULL: no IPv4 */
	const char *gateway;	  /* the external address that it gives; "none": it says so */
	const char *seen;	  /* by STUN servers; "silent": none answers; "asked": none has
				     answered yet; NULL: none is asked */
	const char *behind;	  /* a router; "looked": none on the whole way */
	const char *tunnel;
	enum truth_entry entry;
	bool mute;   /* the gateway speaks no protocol */
	bool denies; /* a protocol says that it has no external address, whatever another tells */
	bool ipv6, most, looking, contained, unanswered;
	const char *pinned, *others; /* others: the one that is named is not among these */
	enum truth_provider provider;
	enum keeps keeps; /* of the one mapping that is asked for */

	/* What people read, and what a script gets. */
	enum truth_verdict verdict;
	const char *sentence, *advice;
	bool passed;
	enum nat_outcome outcome;
	const char *means;
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

#define SWITCH_ON                                                                                  \
	"switch on PCP, NAT-PMP or UPnP at the gateway, or forward the port on it by hand; the "   \
	"relay works meanwhile"
#define CONNECTED                                                                                  \
	"see whether the gateway is connected to the provider; if so, put the outer router into "  \
	"bridge mode, or ask the provider for a public IPv4 address; a STUN server on the "        \
	"internet (stun, --stun) shows which it is"
#define PERHAPS_CONTAINED                                                                          \
	"perhaps this is a container's own network, whose gateway is the host: then run natd on "  \
	"the host, or the container with --network host"
#define NAME_AN_INTERFACE                                                                          \
	"name one that there is (interface), or none, so that the default route's is taken; or "   \
	"make it: it is used once it is there"
#define HOME_BY_HAND                                                                               \
	"put the outer router into bridge mode, or forward the port by hand: on the outer router " \
	"to this one, and on this one to this host; the relay works meanwhile"
#define EITHER_BY_HAND                                                                             \
	"if the outer router is yours, put it into bridge mode, or forward the port by hand on "   \
	"it and on this one; if it is the provider's, ask for a public IPv4 address, or use "      \
	"IPv6; the relay works meanwhile"
#define UDP_OUT "see whether UDP gets out of this network, or name another STUN server"
#define PAST_THE_VPN                                                                               \
	"lead what this host sends from 192.168.77.2 past the VPN (ip rule), or name wg0 to natd " \
	"(interface), if the VPN maps ports; the relay works meanwhile"
#define OWN_TEST                                                                                   \
	"switch off the gateway's own STUN test, or tell it its external address; the relay "      \
	"works meanwhile"
#define WORKS                                                                                      \
	"Port mapping works: a host outside that knows the external address and port reaches "     \
	"this one directly."
#define NOT_PROVEN "The gateway maps ports; whether outside reaches them is not proven."
#define LOOKS_RIGHT                                                                                \
	"The gateway maps ports, and its address is the one that outside sees; that something "    \
	"comes in is not proven yet."
#define TOWARDS_NAT                                                                                \
	"The gateway maps ports, but only towards another NAT: no host outside gets through by "   \
	"that."
#define BY_HAND                                                                                    \
	"No port can be mapped here: unless one is forwarded by hand, no host outside can begin "  \
	"a connection to this one over IPv4."
#define BY_HAND_TWICE                                                                              \
	"No port can be mapped here: unless one is forwarded by hand, on every router on the "     \
	"way, no host outside can begin a connection to this one over IPv4."
#define NONE_COMES                                                                                 \
	"No port can be mapped here: no host outside can begin a connection to this one over "     \
	"IPv4."
#define LED_ON                                                                                     \
	"The gateway maps ports towards another NAT, but something from outside came in all the "  \
	"same: that one leads here."
#define NO_WAY "There is no way to outside: whether ports can be mapped shows when there is one."
#define NO_GATEWAY                                                                                 \
	"There is no gateway here that could map ports: no host outside can begin a connection "   \
	"to this one over IPv4."

static const struct topology topologies[] = {
	{.what = "one NAT",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .verdict = TRUTH_ONE_NAT,
	 .sentence = "outside sees 45.0.0.10, the gateway's external address",
	 .advice = "",
	 .outcome = NAT_REACHED,
	 .means = LOOKS_RIGHT},
	{.what = "one NAT, and a visitor came",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .entry = TRUTH_ENTRY_VISITED,
	 .verdict = TRUTH_ONE_NAT,
	 .sentence = "outside sees 45.0.0.10, the gateway's external address, and what was sent "
		     "there came in",
	 .advice = "",
	 .outcome = NAT_REACHED,
	 .means = WORKS},
	{.what = "one NAT, and a STUN server's other address got in",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .behind = "looked",
	 .entry = TRUTH_ENTRY_ANSWERED,
	 .verdict = TRUTH_ONE_NAT,
	 .sentence = "outside sees 45.0.0.10, the gateway's external address, and what was sent "
		     "there came in",
	 .advice = "",
	 .outcome = NAT_REACHED,
	 .means = WORKS},
	{.what = "one NAT, no STUN server is named",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .verdict = TRUTH_PLAUSIBLE,
	 .sentence = "the gateway's external address 45.0.0.10 is a public one; no STUN server has "
		     "confirmed it",
	 .advice = NAME_ONE,
	 .outcome = NAT_UNPROVEN,
	 .means = NOT_PROVEN},
	{.what = "one NAT, no STUN server answers",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "silent",
	 .verdict = TRUTH_PLAUSIBLE,
	 .sentence = "the gateway's external address 45.0.0.10 is a public one; no STUN server has "
		     "confirmed it",
	 .advice = UDP_OUT,
	 .outcome = NAT_UNPROVEN,
	 .means = NOT_PROVEN},
	{.what = "one NAT, and one of three STUN servers lies",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10 45.6.6.6",
	 .most = true,
	 .verdict = TRUTH_ONE_NAT,
	 .sentence = "outside sees 45.0.0.10, the gateway's external address",
	 .advice = "",
	 .outcome = NAT_REACHED,
	 .means = LOOKS_RIGHT},
	{.what = "a second router at home",
	 AT_HOME,
	 .gateway = "192.168.178.20",
	 .seen = "45.0.0.10",
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "the gateway's external address 192.168.178.20 is private: another NAT is "
		     "behind it",
	 .advice = HOME,
	 .outcome = NAT_UNREACHED,
	 .means = TOWARDS_NAT},
	{.what = "a second router at home, which was seen",
	 AT_HOME,
	 .gateway = "192.168.178.20",
	 .seen = "45.0.0.10",
	 .behind = "192.168.178.1",
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "the gateway's external address 192.168.178.20 is private; another NAT is "
		     "behind it: the next router is 192.168.178.1",
	 .advice = HOME,
	 .outcome = NAT_UNREACHED,
	 .means = TOWARDS_NAT},
	{.what = "the same, and the gateway maps nothing while its address is private",
	 AT_HOME,
	 .gateway = "192.168.178.20",
	 .seen = "45.0.0.10",
	 .behind = "192.168.178.1",
	 .keeps = KEEPS_REFUSED,
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "the gateway's external address 192.168.178.20 is private; another NAT is "
		     "behind it: the next router is 192.168.178.1",
	 .advice = HOME_BY_HAND,
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND_TWICE},
	{.what = "a second router at home, and the gateway speaks no protocol",
	 AT_HOME,
	 .seen = "45.0.0.10",
	 .behind = "192.168.178.1",
	 .mute = true,
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "outside sees 45.0.0.10, and the gateway does not tell its external address; "
		     "another NAT is behind it: the next router is 192.168.178.1",
	 .advice = HOME_BY_HAND,
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND_TWICE},
	{.what = "a gateway that speaks no protocol, and a router of 10.0.0.0/8 behind it",
	 AT_HOME,
	 .seen = "45.0.0.10",
	 .behind = "10.99.0.1",
	 .mute = true,
	 .verdict = TRUTH_UNKNOWN,
	 .sentence = "outside sees 45.0.0.10; the gateway 192.168.77.1 does not tell its external "
		     "address, and the router behind it is 10.99.0.1, which may do NAT, too",
	 .advice = "forward the port by hand, on the gateway and on the router behind it, if that "
		   "does NAT; the relay works meanwhile",
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND_TWICE},
	{.what = "a router with an address of 10.0.0.0/8 outside",
	 AT_HOME,
	 .gateway = "10.99.0.10",
	 .seen = "45.0.0.10",
	 .behind = "10.99.0.1",
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "the gateway's external address 10.99.0.10 is private; another NAT is behind "
		     "it: the next router is 10.99.0.1",
	 .advice = EITHER,
	 .outcome = NAT_UNREACHED,
	 .means = TOWARDS_NAT},
	{.what = "the same, and no STUN server answers",
	 AT_HOME,
	 .gateway = "172.31.255.255",
	 .seen = "silent",
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "the gateway's external address 172.31.255.255 is private: another NAT is "
		     "behind it",
	 .advice = EITHER,
	 .outcome = NAT_UNREACHED,
	 .means = TOWARDS_NAT},
	{.what = "a modem that does NAT, behind it the provider's",
	 AT_HOME,
	 .gateway = "192.168.100.2",
	 .seen = "45.0.0.10",
	 .behind = "100.64.0.1",
	 .verdict = TRUTH_CGNAT,
	 .sentence = "the gateway's external address 192.168.100.2 is private; the router behind "
		     "it is 100.64.0.1: probably a NAT of the provider's (carrier-grade NAT)",
	 .advice = PROVIDER,
	 .outcome = NAT_UNREACHED,
	 .means = TOWARDS_NAT},
	{.what = "the provider's NAT, told by the gateway",
	 AT_HOME,
	 .gateway = "100.64.3.4",
	 .seen = "45.0.0.10",
	 .verdict = TRUTH_CGNAT,
	 .sentence = "the gateway's external address 100.64.3.4 is one that providers share among "
		     "customers (carrier-grade NAT): what it maps is not reachable from outside",
	 .advice = PROVIDER,
	 .outcome = NAT_UNREACHED,
	 .means = TOWARDS_NAT},
	{.what = "DS-Lite",
	 AT_HOME,
	 .gateway = "192.0.0.2",
	 .seen = "45.0.0.10",
	 .verdict = TRUTH_CGNAT,
	 .sentence = "the gateway's external address 192.0.0.2 is that of a translator (DS-Lite, "
		     "464XLAT): its line has IPv6, and IPv4 by a NAT of the provider's, through "
		     "which nothing gets in",
	 .advice = PROVIDER,
	 .outcome = NAT_UNREACHED,
	 .means = TOWARDS_NAT},
	{.what = "the provider's NAT, hidden by the gateway",
	 AT_HOME,
	 .gateway = "none",
	 .seen = "45.0.0.10",
	 .behind = "100.64.7.1",
	 .verdict = TRUTH_CGNAT,
	 .sentence = "the gateway says that it has no external address and maps nothing, but "
		     "outside sees 45.0.0.10; the router behind it is 100.64.7.1: probably a NAT "
		     "of the provider's (carrier-grade NAT)",
	 .advice = PROVIDER,
	 .outcome = NAT_UNREACHED,
	 .means = NONE_COMES},
	{.what = "a second router at home, hidden by the gateway",
	 AT_HOME,
	 .gateway = "none",
	 .seen = "45.0.0.10",
	 .behind = "192.168.178.1",
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence =
		 "the gateway says that it has no external address and maps nothing, but outside "
		 "sees 45.0.0.10; another NAT is behind it: the next router is 192.168.178.1",
	 .advice = HOME_BY_HAND,
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND_TWICE},
	{.what = "another NAT, hidden by the gateway, unseen",
	 AT_HOME,
	 .gateway = "none",
	 .seen = "45.0.0.10",
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence =
		 "the gateway says that it has no external address and maps nothing, but outside "
		 "sees 45.0.0.10: another NAT is behind it, or a test of its own is wrong",
	 .advice = EITHER_BY_HAND,
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND_TWICE},
	{.what = "a gateway that believes its own STUN test",
	 AT_HOME,
	 .gateway = "none",
	 .seen = "45.0.0.10",
	 .behind = "looked",
	 .verdict = TRUTH_FILTERED,
	 .sentence =
		 "the gateway says that it has no external address and maps nothing, but outside "
		 "sees 45.0.0.10, and no second NAT is on the way: a test of its own may be wrong",
	 .advice = OWN_TEST,
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND},
	{.what = "a gateway without an address, no STUN server is named",
	 AT_HOME,
	 .gateway = "none",
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "the gateway says that it has no usable external address: it is not "
		     "connected, or another NAT is behind it",
	 .advice = CONNECTED,
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND_TWICE},
	{.what = "the line is down",
	 AT_HOME,
	 .gateway = "none",
	 .seen = "silent",
	 .verdict = TRUTH_OFFLINE,
	 .sentence = "the gateway says that it has no external address, and no STUN server "
		     "answers: it seems not to be connected",
	 .advice = "see whether the gateway is connected to the provider",
	 .outcome = NAT_NO_WAY,
	 .means = NO_WAY},
	{.what = "the line went down, and the gateway says so",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "silent",
	 .denies = true,
	 .keeps = KEEPS_MAPPED,
	 .verdict = TRUTH_OFFLINE,
	 .sentence = "the gateway gave 45.0.0.10, but says now that it has no external address, "
		     "and no STUN server answers: it seems not to be connected",
	 .advice = "see whether the gateway is connected to the provider",
	 .outcome = NAT_NO_WAY,
	 .means = "The gateway maps ports, but there is no way to outside."},
	{.what = "the line went down, and no STUN server is named",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .denies = true,
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "the gateway gave 45.0.0.10, but says now that it has no usable external "
		     "address: it is not connected, or another NAT is behind it",
	 .advice = CONNECTED,
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND_TWICE},
	{.what = "one protocol says that there is no address, another maps, and no STUN server is "
		 "named",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .denies = true,
	 .keeps = KEEPS_MAPPED,
	 .verdict = TRUTH_UNKNOWN,
	 .sentence = "the gateway gives 45.0.0.10, but says as well that it has no external "
		     "address: which of both is so is not known",
	 .advice = CONNECTED,
	 .outcome = NAT_UNPROVEN,
	 .means = NOT_PROVEN},
	{.what = "one NAT, STUN servers are being asked",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "asked",
	 .verdict = TRUTH_PLAUSIBLE,
	 .sentence = "the gateway's external address 45.0.0.10 is a public one; no STUN server has "
		     "confirmed it yet",
	 .advice = "",
	 .outcome = NAT_UNPROVEN,
	 .means = NOT_PROVEN},
	{.what = "the line is down, the gateway gave itself an address",
	 AT_HOME,
	 .gateway = "169.254.1.1",
	 .seen = "silent",
	 .verdict = TRUTH_OFFLINE,
	 .sentence = "the gateway's external address 169.254.1.1 is not one of the internet, and "
		     "no STUN server answers: it seems not to be connected",
	 .advice = "see whether the gateway is connected to the provider",
	 .outcome = NAT_NO_WAY,
	 .means = "The gateway maps ports, but there is no way to outside."},
	{.what = "a gateway with a link-local address, and outside is there",
	 AT_HOME,
	 .gateway = "169.254.1.1",
	 .seen = "45.0.0.10",
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "the gateway's external address 169.254.1.1 is not one of the internet: "
		     "another NAT is behind it",
	 .advice = EITHER,
	 .outcome = NAT_UNREACHED,
	 .means = TOWARDS_NAT},
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
	 .advice = PROVIDER,
	 .outcome = NAT_UNREACHED,
	 .means = TOWARDS_NAT},
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
	 .advice = HOME,
	 .outcome = NAT_UNREACHED,
	 .means = TOWARDS_NAT},
	{.what = "a provider's router next, and nothing was tried",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .behind = "100.64.7.1",
	 .verdict = TRUTH_PLAUSIBLE,
	 .sentence = "outside sees 45.0.0.10, which the gateway gives as its own; but the router "
		     "behind it is 100.64.7.1, and whether that does NAT is only known when "
		     "something comes in",
	 .advice = "try a mapped port from outside, or name a STUN server with two addresses "
		   "(stun), which does that over UDP",
	 .outcome = NAT_UNPROVEN,
	 .means = NOT_PROVEN},
	{.what = "a provider's router next, and an answer got in",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .behind = "100.64.7.1",
	 .entry = TRUTH_ENTRY_ANSWERED,
	 .verdict = TRUTH_PLAUSIBLE,
	 .sentence = "outside sees 45.0.0.10, which the gateway gives as its own, and a datagram "
		     "came in; but the router behind it is 100.64.7.1, which may do NAT and let in "
		     "what it was sent for",
	 .advice = "try a mapped TCP port from outside: a connection that comes in proves it",
	 .outcome = NAT_UNPROVEN,
	 .means = "The gateway maps ports, and a datagram came in; but a NAT behind it may have "
		  "let that in by itself, so that it is not proven."},
	{.what = "a provider's router next, which does no NAT: a visitor came",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .behind = "100.64.7.1",
	 .entry = TRUTH_ENTRY_VISITED,
	 .verdict = TRUTH_ONE_NAT,
	 .sentence = "outside sees 45.0.0.10, the gateway's external address, and what was sent "
		     "there came in",
	 .advice = "",
	 .outcome = NAT_REACHED,
	 .means = WORKS},
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
		   "from a STUN test behind another NAT; the relay works meanwhile",
	 .outcome = NAT_UNREACHED,
	 .means = "The gateway maps ports, but what was sent to one from outside did not come in."},
	{.what = "a gateway that gives another public address",
	 AT_HOME,
	 .gateway = "45.9.9.9",
	 .seen = "45.0.0.10",
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "outside sees 45.0.0.10, but the gateway gives 45.9.9.9: another NAT is "
		     "behind it, or it has several ways out",
	 .advice = EITHER,
	 .outcome = NAT_UNREACHED,
	 .means = "The gateway maps ports, but at another address than outside sees: unless it has "
		  "several ways out, no host outside gets through by that."},
	{.what = "the same, behind the provider's NAT",
	 AT_HOME,
	 .gateway = "45.9.9.9",
	 .seen = "45.0.0.10",
	 .behind = "100.64.7.1",
	 .verdict = TRUTH_CGNAT,
	 .sentence = "outside sees 45.0.0.10, but the gateway gives 45.9.9.9; the router behind it "
		     "is 100.64.7.1: probably a NAT of the provider's (carrier-grade NAT)",
	 .advice = PROVIDER,
	 .outcome = NAT_UNREACHED,
	 .means = TOWARDS_NAT},
	{.what = "two lines, the gateway tells one of them",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10 45.0.0.20",
	 .verdict = TRUTH_SEVERAL_EXITS,
	 .sentence = "STUN servers see different addresses, 45.0.0.10 and 45.0.0.20: there are "
		     "several ways out, and mappings are at the gateway's, 45.0.0.10",
	 .advice = "",
	 .outcome = NAT_UNPROVEN,
	 .means = NOT_PROVEN},
	{.what = "two lines, the gateway tells a third",
	 AT_HOME,
	 .gateway = "45.9.9.9",
	 .seen = "45.0.0.10 45.0.0.20",
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "outside sees 45.0.0.10 and 45.0.0.20, but the gateway gives 45.9.9.9: "
		     "another NAT is behind it, or it has several ways out",
	 .advice = EITHER,
	 .outcome = NAT_UNREACHED,
	 .means = "The gateway maps ports, but at another address than outside sees: unless it has "
		  "several ways out, no host outside gets through by that."},
	{.what = "three lines, the gateway tells none",
	 AT_HOME,
	 .gateway = "none",
	 .seen = "45.0.0.10 45.0.0.20 45.0.0.30",
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "the gateway says that it has no external address and maps nothing, but "
		     "outside sees 45.0.0.10, 45.0.0.20 and 45.0.0.30: another NAT is behind it, "
		     "or a test of its own is wrong",
	 .advice = EITHER_BY_HAND,
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND_TWICE},
	{.what = "two lines, a silent gateway",
	 AT_HOME,
	 .seen = "45.0.0.10 45.0.0.20",
	 .mute = true,
	 .verdict = TRUTH_UNKNOWN,
	 .sentence = "outside sees 45.0.0.10 and 45.0.0.20; the gateway 192.168.77.1 does not tell "
		     "its external address",
	 .advice = SWITCH_ON,
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND},
	{.what = "a silent gateway",
	 AT_HOME,
	 .seen = "45.0.0.10",
	 .mute = true,
	 .verdict = TRUTH_UNKNOWN,
	 .sentence = "outside sees 45.0.0.10; the gateway 192.168.77.1 does not tell its external "
		     "address",
	 .advice = SWITCH_ON,
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND},
	{.what = "a silent gateway, no STUN server is named",
	 AT_HOME,
	 .mute = true,
	 .verdict = TRUTH_UNKNOWN,
	 .sentence = "the gateway 192.168.77.1 does not tell its external address",
	 .advice = SWITCH_ON,
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND},
	{.what = "a gateway that speaks, and tells no address",
	 AT_HOME,
	 .seen = "45.0.0.10",
	 .verdict = TRUTH_UNKNOWN,
	 .sentence = "outside sees 45.0.0.10; the gateway 192.168.77.1 does not tell its external "
		     "address",
	 .advice = "try a mapped port from outside, or name a STUN server with two addresses "
		   "(stun), which does that over UDP",
	 .outcome = NAT_UNPROVEN,
	 .means = NOT_PROVEN},
	{.what = "a silent gateway before the provider's NAT",
	 AT_HOME,
	 .seen = "45.0.0.10",
	 .behind = "100.64.7.1",
	 .mute = true,
	 .verdict = TRUTH_CGNAT,
	 .sentence = "outside sees 45.0.0.10, and the gateway does not tell its external address; "
		     "the router behind it is 100.64.7.1: probably a NAT of the provider's "
		     "(carrier-grade NAT)",
	 .advice = PROVIDER,
	 .outcome = NAT_UNREACHED,
	 .means = NONE_COMES},
	{.what = "a captive network",
	 AT_HOME,
	 .seen = "silent",
	 .mute = true,
	 .verdict = TRUTH_BLOCKED,
	 .sentence = "neither the gateway 192.168.77.1 nor a STUN server answers: this network "
		     "waits for a sign-in (captive portal), lets no UDP out, or is not connected",
	 .advice = "sign in to this network, if it asks for that in a browser; else see whether it "
		   "is connected, and lets UDP out",
	 .outcome = NAT_NO_WAY,
	 .means = NO_WAY},
	{.what = "UDP is blocked behind the gateway",
	 AT_HOME,
	 .seen = "silent",
	 .verdict = TRUTH_BLOCKED,
	 .sentence = "the gateway 192.168.77.1 does not tell its external address, and no STUN "
		     "server answers: UDP does not get out, or the line is down",
	 .advice = "see whether this network is connected, and lets UDP out",
	 .outcome = NAT_NO_WAY,
	 .means = "The gateway maps ports, but there is no way to outside."},
	{.what = "a VPN has the default route",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .tunnel = "wg0",
	 .verdict = TRUTH_VPN,
	 .sentence = "this host's way out is the tunnel wg0 (a VPN): what comes in by the gateway "
		     "192.168.77.1 is answered through that, and lost",
	 .advice = PAST_THE_VPN,
	 .outcome = NAT_UNREACHED,
	 .means = "The gateway maps ports, but what comes in by them is answered through the VPN, "
		  "and lost."},
	{.what = "a VPN, and a visitor came past it",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .tunnel = "wg0",
	 .entry = TRUTH_ENTRY_VISITED,
	 .verdict = TRUTH_ONE_NAT,
	 .sentence = "outside sees 45.0.0.10, the gateway's external address, and what was sent "
		     "there came in",
	 .advice = "",
	 .outcome = NAT_REACHED,
	 .means = WORKS},
	{.what = "no NAT",
	 .router = "45.0.0.1",
	 .own = "45.0.0.7",
	 .seen = "45.0.0.7",
	 .mute = true,
	 .verdict = TRUTH_NO_NAT,
	 .sentence = "outside sees 45.0.0.7, this host's own address: there is no NAT",
	 .advice = "",
	 .outcome = NAT_REACHED,
	 .means = "This host needs no port mapping: its own address is what outside sees."},
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
		   "the relay works meanwhile",
	 .outcome = NAT_UNREACHED,
	 .means = "This host's own address is what outside sees, but a firewall lets in only "
		  "answers: allow the port in it."},
	{.what = "no NAT, two lines",
	 .router = "45.0.0.1",
	 .own = "45.0.0.7",
	 .seen = "45.0.0.7 45.0.0.20",
	 .mute = true,
	 .verdict = TRUTH_SEVERAL_EXITS,
	 .sentence = "STUN servers see different addresses, 45.0.0.7 and 45.0.0.20: there are "
		     "several ways out, and one of them is this host's own address 45.0.0.7",
	 .advice = "",
	 .outcome = NAT_UNPROVEN,
	 .means = "This host's own address is a public one, and one of those that outside sees: "
		  "where no firewall is in the way, it needs no port mapping."},
	{.what = "a public address, no STUN server is named",
	 .router = "45.0.0.1",
	 .own = "45.0.0.7",
	 .mute = true,
	 .verdict = TRUTH_PLAUSIBLE,
	 .sentence = "this host's own address 45.0.0.7 is a public one; no STUN server has "
		     "confirmed it",
	 .advice = NAME_ONE,
	 .outcome = NAT_UNPROVEN,
	 .means = "This host's own address is a public one: where no firewall is in the way, it "
		  "needs no port mapping."},
	{.what = "a public address, no STUN server answers",
	 .router = "45.0.0.1",
	 .own = "45.0.0.7",
	 .seen = "silent",
	 .mute = true,
	 .verdict = TRUTH_PLAUSIBLE,
	 .sentence = "this host's own address 45.0.0.7 is a public one; no STUN server has "
		     "confirmed it",
	 .advice = UDP_OUT,
	 .outcome = NAT_UNPROVEN,
	 .means = "This host's own address is a public one: where no firewall is in the way, it "
		  "needs no port mapping."},
	{.what = "a public address, but outside sees another",
	 .router = "45.0.0.1",
	 .own = "45.0.0.7",
	 .seen = "45.0.0.10",
	 .mute = true,
	 .verdict = TRUTH_UNKNOWN,
	 .sentence = "outside sees 45.0.0.10, but this host's own address 45.0.0.7 is a public "
		     "one: a NAT is on the way, or there are several ways out",
	 .advice = "try a port of this host from outside, at its own address; where that does not "
		   "come in, the relay works",
	 .outcome = NAT_UNPROVEN,
	 .means = "This host's own address is a public one, but outside sees another: whether a "
		  "host outside reaches this one at its own is not proven."},
	{.what = "PPPoE on this host",
	 .own = "45.0.0.7",
	 .seen = "45.0.0.7",
	 .mute = true,
	 .verdict = TRUTH_NO_NAT,
	 .sentence = "outside sees 45.0.0.7, this host's own address: there is no NAT",
	 .advice = "",
	 .outcome = NAT_REACHED,
	 .means = "This host needs no port mapping: its own address is what outside sees."},
	{.what = "PPPoE on this host behind the provider's NAT",
	 .own = "100.64.9.9",
	 .seen = "45.0.0.10",
	 .mute = true,
	 .verdict = TRUTH_CGNAT,
	 .sentence = "this host's own address 100.64.9.9 is one that providers share among "
		     "customers (carrier-grade NAT): nothing from outside gets in over IPv4",
	 .advice = PROVIDER,
	 .outcome = NAT_UNREACHED,
	 .means = NO_GATEWAY},
	{.what = "a modem's link with a private address",
	 .own = "10.64.9.9",
	 .seen = "45.0.0.10",
	 .mute = true,
	 .verdict = TRUTH_CGNAT,
	 .sentence =
		 "outside sees 45.0.0.10, and this host's own address on its link is 10.64.9.9: "
		 "the NAT is at the provider's end, and no gateway is here that could map ports",
	 .advice = PROVIDER,
	 .outcome = NAT_UNREACHED,
	 .means = NO_GATEWAY},
	{.what = "the same, no STUN server is named",
	 .own = "10.64.9.9",
	 .mute = true,
	 .verdict = TRUTH_CGNAT,
	 .sentence = "this host's own address on its link, 10.64.9.9, is not a public one: a NAT "
		     "is at the provider's end, and no gateway is here that could map ports",
	 .advice = PROVIDER,
	 .outcome = NAT_UNREACHED,
	 .means = NO_GATEWAY},
	{.what = "a modem's link that is down",
	 .own = "10.64.9.9",
	 .seen = "silent",
	 .mute = true,
	 .verdict = TRUTH_BLOCKED,
	 .sentence = "this host's own address on its link is 10.64.9.9, which is not a public one, "
		     "and no STUN server answers: UDP does not get out, or the line is down",
	 .advice = "see whether the link is connected, and lets UDP out",
	 .outcome = NAT_NO_WAY,
	 .means = NO_WAY},
	{.what = "464XLAT on this host",
	 .own = "192.0.0.4",
	 .seen = "45.0.0.10",
	 .mute = true,
	 .ipv6 = true,
	 .verdict = TRUTH_CGNAT,
	 .sentence =
		 "this host's own IPv4 address 192.0.0.4 is that of a translator (464XLAT, "
		 "DS-Lite): IPv4 goes by a NAT of the provider's, through which nothing gets in",
	 .advice = PROVIDER,
	 .outcome = NAT_UNREACHED,
	 .means = NO_GATEWAY},
	{.what = "a STUN server on this side of the NAT",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "192.168.77.2",
	 .verdict = TRUTH_PLAUSIBLE,
	 .sentence = "the gateway's external address 45.0.0.10 is a public one; no STUN server has "
		     "confirmed it",
	 .advice = INSIDE,
	 .outcome = NAT_UNPROVEN,
	 .means = NOT_PROVEN},
	{.what = "one on this side, and one outside",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "192.168.77.2 45.0.0.10",
	 .most = true,
	 .verdict = TRUTH_ONE_NAT,
	 .sentence = "outside sees 45.0.0.10, the gateway's external address",
	 .advice = "",
	 .outcome = NAT_REACHED,
	 .means = LOOKS_RIGHT},
	{.what = "a silent gateway, and a STUN server on this side of the provider's NAT",
	 AT_HOME,
	 .seen = "100.64.7.7",
	 .mute = true,
	 .verdict = TRUTH_UNKNOWN,
	 .sentence = "the gateway 192.168.77.1 does not tell its external address",
	 .advice = SWITCH_ON,
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND},
	{.what = "a gateway without an address, and a STUN server on this side of another NAT",
	 AT_HOME,
	 .gateway = "none",
	 .seen = "10.99.0.10",
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "the gateway says that it has no usable external address: it is not "
		     "connected, or another NAT is behind it",
	 .advice = CONNECTED,
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND_TWICE},
	{.what = "two lines, by one of which a visitor came",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.20",
	 .entry = TRUTH_ENTRY_VISITED,
	 .verdict = TRUTH_SEVERAL_EXITS,
	 .sentence = "outside sees 45.0.0.20, but what was sent to the gateway's address 45.0.0.10 "
		     "came in: there are several ways out, and mappings are at that one",
	 .advice = "",
	 .outcome = NAT_REACHED,
	 .means = WORKS},
	{.what = "IPv6 alone",
	 .ipv6 = true,
	 .verdict = TRUTH_IPV6_ONLY,
	 .sentence = "this network has IPv6 alone: there is no IPv4 address that a port could be "
		     "mapped at",
	 .advice = "let IPv6 in by pinholes; those without IPv6 come by the relay",
	 .outcome = NAT_UNREACHED,
	 .means = "There is no IPv4 here: no port can be mapped, and none has to be."},
	{.what = "no network",
	 .verdict = TRUTH_OFFLINE,
	 .sentence = "this host has no default route, or no address to use it with: it is not "
		     "connected",
	 .advice = "connect it to a network, or name the interface to use (interface)",
	 .outcome = NAT_NO_WAY,
	 .means = "There is no way out, and no gateway to ask."},
	{.what = "two NATs, and the outer one leads on",
	 AT_HOME,
	 .gateway = "192.168.178.20",
	 .seen = "45.0.0.10",
	 .entry = TRUTH_ENTRY_VISITED,
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "the gateway's external address 192.168.178.20 is private: another NAT is "
		     "behind it; but something from outside came in",
	 .advice = "",
	 .passed = true,
	 .outcome = NAT_REACHED,
	 .means = LED_ON},
	{.what = "two NATs, the outer one seen, which leads on",
	 AT_HOME,
	 .gateway = "192.168.178.20",
	 .seen = "45.0.0.10",
	 .behind = "192.168.178.1",
	 .entry = TRUTH_ENTRY_VISITED,
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence =
		 "the gateway's external address 192.168.178.20 is private; another NAT is behind "
		 "it: the next router is 192.168.178.1; but something from outside came in",
	 .advice = "",
	 .passed = true,
	 .outcome = NAT_REACHED,
	 .means = LED_ON},
	{.what = "the provider's NAT, told by the gateway, which leads on",
	 AT_HOME,
	 .gateway = "100.64.3.4",
	 .seen = "45.0.0.10",
	 .entry = TRUTH_ENTRY_VISITED,
	 .verdict = TRUTH_CGNAT,
	 .sentence = "the gateway's external address 100.64.3.4 is one that providers share among "
		     "customers (carrier-grade NAT); but something from outside came in",
	 .advice = "",
	 .passed = true,
	 .outcome = NAT_REACHED,
	 .means = LED_ON},
	{.what = "DS-Lite, whose NAT leads on",
	 AT_HOME,
	 .gateway = "192.0.0.2",
	 .seen = "45.0.0.10",
	 .entry = TRUTH_ENTRY_VISITED,
	 .verdict = TRUTH_CGNAT,
	 .sentence = "the gateway's external address 192.0.0.2 is that of a translator (DS-Lite, "
		     "464XLAT): its line has IPv6, and IPv4 by a NAT of the provider's; but "
		     "something from outside came in",
	 .advice = "",
	 .passed = true,
	 .outcome = NAT_REACHED,
	 .means = LED_ON},
	{.what = "a gateway that says it has no address, and a visitor came",
	 AT_HOME,
	 .gateway = "none",
	 .seen = "45.0.0.10",
	 .entry = TRUTH_ENTRY_VISITED,
	 .verdict = TRUTH_ONE_NAT,
	 .sentence = "the gateway says that it has no external address, but outside sees "
		     "45.0.0.10; something from outside came in all the same",
	 .advice = "",
	 .outcome = NAT_REACHED,
	 .means = WORKS},
	{.what = "the same, behind the provider's NAT",
	 AT_HOME,
	 .gateway = "none",
	 .seen = "45.0.0.10",
	 .behind = "100.64.7.1",
	 .entry = TRUTH_ENTRY_VISITED,
	 .verdict = TRUTH_CGNAT,
	 .sentence = "the gateway says that it has no external address, but outside sees "
		     "45.0.0.10; the router behind it is 100.64.7.1: probably a NAT of the "
		     "provider's (carrier-grade NAT); but something from outside came in",
	 .advice = "",
	 .passed = true,
	 .outcome = NAT_REACHED,
	 .means = LED_ON},
	{.what = "the same, no STUN server is named",
	 AT_HOME,
	 .gateway = "none",
	 .entry = TRUTH_ENTRY_VISITED,
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "the gateway says that it has no usable external address: another NAT is "
		     "behind it; but something from outside came in",
	 .advice = "",
	 .passed = true,
	 .outcome = NAT_REACHED,
	 .means = LED_ON},
	{.what = "UDP is blocked behind a gateway that tells no address, and a visitor came",
	 AT_HOME,
	 .seen = "silent",
	 .entry = TRUTH_ENTRY_VISITED,
	 .verdict = TRUTH_UNKNOWN,
	 .sentence = "the gateway 192.168.77.1 does not tell its external address, but something "
		     "from outside came in by what it maps",
	 .advice = "",
	 .outcome = NAT_REACHED,
	 .means = WORKS},
	{.what = "a silent gateway before the provider's NAT, and a visitor came",
	 AT_HOME,
	 .seen = "45.0.0.10",
	 .behind = "100.64.7.1",
	 .entry = TRUTH_ENTRY_VISITED,
	 .verdict = TRUTH_CGNAT,
	 .sentence = "outside sees 45.0.0.10, and the gateway does not tell its external address; "
		     "the router behind it is 100.64.7.1: probably a NAT of the provider's "
		     "(carrier-grade NAT); but something from outside came in",
	 .advice = "",
	 .passed = true,
	 .outcome = NAT_REACHED,
	 .means = LED_ON},
	{.what = "a gateway with its address by STUN, which maps nothing",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .denies = true,
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "the gateway gives 45.0.0.10, which is what outside sees, but says that it "
		     "has no external address and maps nothing: another NAT is behind it, or a "
		     "test of its own is wrong",
	 .advice = EITHER_BY_HAND,
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND_TWICE},
	{.what = "the same, behind the provider's NAT",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .behind = "100.64.7.1",
	 .denies = true,
	 .verdict = TRUTH_CGNAT,
	 .sentence = "the gateway gives 45.0.0.10, which is what outside sees, but says that it "
		     "has no external address and maps nothing; the router behind it is "
		     "100.64.7.1: probably a NAT of the provider's (carrier-grade NAT)",
	 .advice = PROVIDER,
	 .outcome = NAT_UNREACHED,
	 .means = NONE_COMES},
	{.what = "the same, and no other NAT is on the way",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .behind = "looked",
	 .denies = true,
	 .verdict = TRUTH_FILTERED,
	 .sentence = "the gateway gives 45.0.0.10, which is what outside sees, but says that it "
		     "has no external address and maps nothing, and no second NAT is on the way: a "
		     "test of its own may be wrong",
	 .advice = OWN_TEST,
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND},
	{.what = "one protocol has no external address, another maps",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .behind = "looked",
	 .denies = true,
	 .keeps = KEEPS_MAPPED,
	 .verdict = TRUTH_ONE_NAT,
	 .sentence = "outside sees 45.0.0.10, the gateway's external address",
	 .advice = "",
	 .outcome = NAT_REACHED,
	 .means = LOOKS_RIGHT},
	{.what = "one NAT, while the way behind it is looked at",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .looking = true,
	 .verdict = TRUTH_PLAUSIBLE,
	 .sentence = "outside sees 45.0.0.10, which the gateway gives as its own; whether another "
		     "router is behind it is being looked for",
	 .advice = "",
	 .outcome = NAT_UNPROVEN,
	 .means = NOT_PROVEN},
	{.what = "one NAT, whose table is full",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .behind = "looked",
	 .keeps = KEEPS_REFUSED,
	 .verdict = TRUTH_ONE_NAT,
	 .sentence = "outside sees 45.0.0.10, the gateway's external address",
	 .advice = "",
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND},
	{.what = "a gateway with a public address that refuses, no STUN server is named",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .keeps = KEEPS_REFUSED,
	 .verdict = TRUTH_PLAUSIBLE,
	 .sentence = "the gateway's external address 45.0.0.10 is a public one; no STUN server has "
		     "confirmed it",
	 .advice = NAME_ONE,
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND},
	{.what = "two lines, and the gateway refuses",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10 45.0.0.20",
	 .keeps = KEEPS_REFUSED,
	 .verdict = TRUTH_SEVERAL_EXITS,
	 .sentence = "STUN servers see different addresses, 45.0.0.10 and 45.0.0.20: there are "
		     "several ways out, and mappings are at the gateway's, 45.0.0.10",
	 .advice = "",
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND},
	{.what = "two lines, and a visitor came by the gateway's",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10 45.0.0.20",
	 .entry = TRUTH_ENTRY_VISITED,
	 .verdict = TRUTH_SEVERAL_EXITS,
	 .sentence = "STUN servers see different addresses, 45.0.0.10 and 45.0.0.20: there are "
		     "several ways out, and mappings are at the gateway's, 45.0.0.10",
	 .advice = "",
	 .outcome = NAT_REACHED,
	 .means = WORKS},
	{.what = "the provider's NAT speaks PCP behind a gateway with its address by STUN",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .provider = TRUTH_PROVIDER_NESTED,
	 .verdict = TRUTH_CGNAT,
	 .sentence = "the gateway gives 45.0.0.10, which is what outside sees; a NAT behind it "
		     "speaks PCP and sees the gateway in place of this host: probably the "
		     "provider's (carrier-grade NAT)",
	 .advice = PROVIDER,
	 .outcome = NAT_UNREACHED,
	 .means = TOWARDS_NAT},
	{.what = "the provider's NAT speaks PCP behind a gateway with a private address",
	 AT_HOME,
	 .gateway = "10.99.0.10",
	 .seen = "45.0.0.10",
	 .behind = "10.99.0.1",
	 .provider = TRUTH_PROVIDER_NESTED,
	 .verdict = TRUTH_CGNAT,
	 .sentence = "the gateway's external address 10.99.0.10 is private; a NAT behind it speaks "
		     "PCP and sees the gateway in place of this host: probably the provider's "
		     "(carrier-grade NAT)",
	 .advice = PROVIDER,
	 .outcome = NAT_UNREACHED,
	 .means = TOWARDS_NAT},
	{.what = "the provider's NAT speaks PCP behind a silent gateway",
	 AT_HOME,
	 .seen = "45.0.0.10",
	 .mute = true,
	 .provider = TRUTH_PROVIDER_NESTED,
	 .verdict = TRUTH_CGNAT,
	 .sentence = "outside sees 45.0.0.10, and the gateway does not tell its external address; "
		     "a NAT behind it speaks PCP and sees the gateway in place of this host: "
		     "probably the provider's (carrier-grade NAT)",
	 .advice = PROVIDER,
	 .outcome = NAT_UNREACHED,
	 .means = NONE_COMES},
	{.what = "a second router at home speaks PCP at the anycast address",
	 AT_HOME,
	 .gateway = "192.168.178.20",
	 .seen = "45.0.0.10",
	 .behind = "192.168.178.1",
	 .provider = TRUTH_PROVIDER_NESTED,
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "the gateway's external address 192.168.178.20 is private; another NAT is "
		     "behind it: the next router is 192.168.178.1",
	 .advice = HOME,
	 .outcome = NAT_UNREACHED,
	 .means = TOWARDS_NAT},
	{.what = "the provider's NAT speaks PCP through a router that only passes on",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .behind = "192.0.0.1",
	 .provider = TRUTH_PROVIDER_MAPS,
	 .verdict = TRUTH_ONE_NAT,
	 .sentence = "outside sees 45.0.0.10, the external address of the provider's NAT, which "
		     "maps ports for this host (PCP)",
	 .advice = "",
	 .outcome = NAT_REACHED,
	 .means = LOOKS_RIGHT},
	{.what = "the same, and a visitor came",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .behind = "192.0.0.1",
	 .provider = TRUTH_PROVIDER_MAPS,
	 .entry = TRUTH_ENTRY_VISITED,
	 .verdict = TRUTH_ONE_NAT,
	 .sentence = "outside sees 45.0.0.10, the provider's NAT's external address, and what was "
		     "sent there came in",
	 .advice = "",
	 .outcome = NAT_REACHED,
	 .means = WORKS},
	{.what = "the provider's NAT speaks PCP in its own network",
	 .router = "100.64.0.1",
	 .own = "100.64.9.9",
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .provider = TRUTH_PROVIDER_MAPS,
	 .verdict = TRUTH_ONE_NAT,
	 .sentence = "outside sees 45.0.0.10, the external address of the provider's NAT, which "
		     "maps ports for this host (PCP)",
	 .advice = "",
	 .outcome = NAT_REACHED,
	 .means = LOOKS_RIGHT},
	{.what = "a tap device of a VPN has the default route",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .tunnel = "tap0",
	 .verdict = TRUTH_VPN,
	 .sentence = "this host's way out is the tunnel tap0 (a VPN): what comes in by the gateway "
		     "192.168.77.1 is answered through that, and lost",
	 .advice = "lead what this host sends from 192.168.77.2 past the VPN (ip rule), or name "
		   "tap0 to natd (interface), if the VPN maps ports; the relay works meanwhile",
	 .outcome = NAT_UNREACHED,
	 .means = "The gateway maps ports, but what comes in by them is answered through the VPN, "
		  "and lost."},
	{.what = "a VPN, and an answer got in past it",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .tunnel = "wg0",
	 .entry = TRUTH_ENTRY_ANSWERED,
	 .verdict = TRUTH_VPN,
	 .sentence = "this host's way out is the tunnel wg0 (a VPN): what comes in by the gateway "
		     "192.168.77.1 is answered through that, and lost",
	 .advice = PAST_THE_VPN,
	 .outcome = NAT_UNREACHED,
	 .means = "The gateway maps ports, but what comes in by them is answered through the VPN, "
		  "and lost."},
	{.what = "no NAT, and a router that speaks UPnP",
	 .router = "45.0.0.1",
	 .own = "45.0.0.7",
	 .gateway = "45.0.0.1",
	 .seen = "45.0.0.7",
	 .verdict = TRUTH_NO_NAT,
	 .sentence = "outside sees 45.0.0.7, this host's own address: there is no NAT",
	 .advice = "",
	 .outcome = NAT_REACHED,
	 .means = "This host needs no port mapping: its own address is what outside sees."},
	{.what = "no NAT, and a router that says it has no external address",
	 .router = "45.0.0.1",
	 .own = "45.0.0.7",
	 .gateway = "none",
	 .seen = "45.0.0.7",
	 .verdict = TRUTH_NO_NAT,
	 .sentence = "outside sees 45.0.0.7, this host's own address: there is no NAT",
	 .advice = "",
	 .outcome = NAT_REACHED,
	 .means = "This host needs no port mapping: its own address is what outside sees."},
	{.what = "a public address, a router that says it has none, no STUN server is named",
	 .router = "45.0.0.1",
	 .own = "45.0.0.7",
	 .gateway = "none",
	 .verdict = TRUTH_PLAUSIBLE,
	 .sentence = "this host's own address 45.0.0.7 is a public one; no STUN server has "
		     "confirmed it",
	 .advice = NAME_ONE,
	 .outcome = NAT_UNPROVEN,
	 .means = "This host's own address is a public one: where no firewall is in the way, it "
		  "needs no port mapping."},
	{.what = "PPPoE on this host, and a second line",
	 .own = "45.0.0.7",
	 .seen = "45.0.0.20 45.0.0.7",
	 .mute = true,
	 .verdict = TRUTH_SEVERAL_EXITS,
	 .sentence = "STUN servers see different addresses, 45.0.0.20 and 45.0.0.7: there are "
		     "several ways out, and one of them is this host's own address 45.0.0.7",
	 .advice = "",
	 .outcome = NAT_UNPROVEN,
	 .means = "This host's own address is a public one, and one of those that outside sees: "
		  "where no firewall is in the way, it needs no port mapping."},
	{.what = "others' public addresses in use at home, behind one NAT",
	 .router = "11.0.0.1",
	 .own = "11.0.0.2",
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .verdict = TRUTH_ONE_NAT,
	 .sentence = "outside sees 45.0.0.10, the gateway's external address",
	 .advice = "",
	 .outcome = NAT_REACHED,
	 .means = LOOKS_RIGHT},
	{.what = "DS-Lite on this host",
	 .own = "192.0.0.2",
	 .seen = "45.0.0.10",
	 .mute = true,
	 .ipv6 = true,
	 .verdict = TRUTH_CGNAT,
	 .sentence =
		 "this host's own IPv4 address 192.0.0.2 is that of a translator (464XLAT, "
		 "DS-Lite): IPv4 goes by a NAT of the provider's, through which nothing gets in",
	 .advice = PROVIDER,
	 .outcome = NAT_UNREACHED,
	 .means = NO_GATEWAY},
	{.what = "a container's own network",
	 .router = "10.88.0.1",
	 .own = "10.88.0.2",
	 .seen = "45.0.0.10",
	 .mute = true,
	 .contained = true,
	 .verdict = TRUTH_UNKNOWN,
	 .sentence =
		 "outside sees 45.0.0.10; the gateway 10.88.0.1 does not tell its external address",
	 .advice = SWITCH_ON "; " PERHAPS_CONTAINED,
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND},
	{.what = "a container's own network, no STUN server is named",
	 .router = "10.88.0.1",
	 .own = "10.88.0.2",
	 .mute = true,
	 .contained = true,
	 .verdict = TRUTH_UNKNOWN,
	 .sentence = "the gateway 10.88.0.1 does not tell its external address",
	 .advice = SWITCH_ON "; " PERHAPS_CONTAINED,
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND},
	{.what = "a container with an address of its own on the internet",
	 .router = "45.0.0.1",
	 .own = "45.0.0.7",
	 .seen = "45.0.0.7",
	 .mute = true,
	 .contained = true,
	 .verdict = TRUTH_NO_NAT,
	 .sentence = "outside sees 45.0.0.7, this host's own address: there is no NAT",
	 .advice = "",
	 .outcome = NAT_REACHED,
	 .means = "This host needs no port mapping: its own address is what outside sees."},
	{.what = "the same, no STUN server is named",
	 .router = "45.0.0.1",
	 .own = "45.0.0.7",
	 .mute = true,
	 .contained = true,
	 .verdict = TRUTH_PLAUSIBLE,
	 .sentence = "this host's own address 45.0.0.7 is a public one; no STUN server has "
		     "confirmed it",
	 .advice = NAME_ONE,
	 .outcome = NAT_UNPROVEN,
	 .means = "This host's own address is a public one: where no firewall is in the way, it "
		  "needs no port mapping."},
	{.what = "a container on a LAN, before the provider's router",
	 AT_HOME,
	 .seen = "45.0.0.10",
	 .behind = "100.64.7.1",
	 .mute = true,
	 .contained = true,
	 .verdict = TRUTH_CGNAT,
	 .sentence = "outside sees 45.0.0.10, and the gateway does not tell its external address; "
		     "the router behind it is 100.64.7.1: probably a NAT of the provider's "
		     "(carrier-grade NAT)",
	 .advice = PROVIDER "; " PERHAPS_CONTAINED,
	 .outcome = NAT_UNREACHED,
	 .means = NONE_COMES},
	{.what = "a container on a LAN, and the gateway says that it has no external address",
	 AT_HOME,
	 .gateway = "none",
	 .contained = true,
	 .verdict = TRUTH_DOUBLE_NAT,
	 .sentence = "the gateway says that it has no usable external address: it is not "
		     "connected, or another NAT is behind it",
	 .advice = CONNECTED,
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND_TWICE},
	{.what = "the interface that is named has no default route",
	 .pinned = "eth1",
	 .verdict = TRUTH_OFFLINE,
	 .sentence = "eth1, the interface that natd is told to use, has no default route, or no "
		     "address to use it with: there is no way out",
	 .advice = "connect it, or name another interface (interface)",
	 .outcome = NAT_NO_WAY,
	 .means = "There is no way out, and no gateway to ask."},
	{.what = "there is no interface of the name",
	 .pinned = "ehh0",
	 .others = "eth0, wlan0",
	 .verdict = TRUTH_OFFLINE,
	 .sentence = "there is no interface ehh0, which natd is told to use; this host has eth0, "
		     "wlan0",
	 .advice = NAME_AN_INTERFACE,
	 .outcome = NAT_NO_WAY,
	 .means = "There is no way out, and no gateway to ask."},
	{.what = "there is no interface at all",
	 .pinned = "ehh0",
	 .others = "",
	 .verdict = TRUTH_OFFLINE,
	 .sentence = "there is no interface ehh0, which natd is told to use, nor any other but lo",
	 .advice = NAME_AN_INTERFACE,
	 .outcome = NAT_NO_WAY,
	 .means = "There is no way out, and no gateway to ask."},
	{.what = "a gateway that gives another public address, and no other NAT is on the way",
	 AT_HOME,
	 .gateway = "45.9.9.9",
	 .seen = "45.0.0.10",
	 .behind = "looked",
	 .verdict = TRUTH_SEVERAL_EXITS,
	 .sentence = "outside sees 45.0.0.10, but the gateway gives 45.9.9.9, and no other NAT is "
		     "on the way: it has several ways out, or is wrong about its address",
	 .advice = "try a mapped port at each of these addresses from outside",
	 .outcome = NAT_UNPROVEN,
	 .means = NOT_PROVEN},
	{.what = "a gateway that speaks, tells no address and refuses",
	 AT_HOME,
	 .seen = "45.0.0.10",
	 .keeps = KEEPS_REFUSED,
	 .verdict = TRUTH_UNKNOWN,
	 .sentence = "outside sees 45.0.0.10; the gateway 192.168.77.1 does not tell its external "
		     "address",
	 .advice = "forward the port on the gateway by hand; the relay works meanwhile",
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND},
	{.what = "a VPN has the default route, and the gateway refuses",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .tunnel = "wg0",
	 .keeps = KEEPS_REFUSED,
	 .verdict = TRUTH_VPN,
	 .sentence = "this host's way out is the tunnel wg0 (a VPN): what comes in by the gateway "
		     "192.168.77.1 is answered through that, and lost",
	 .advice = PAST_THE_VPN,
	 .outcome = NAT_UNREACHED,
	 .means = "No port can be mapped here, and what came in by the gateway would be answered "
		  "through the VPN, and lost."},
	{.what = "a provider's router next, and the gateway refuses",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .behind = "100.64.7.1",
	 .keeps = KEEPS_REFUSED,
	 .verdict = TRUTH_PLAUSIBLE,
	 .sentence = "outside sees 45.0.0.10, which the gateway gives as its own; but the router "
		     "behind it is 100.64.7.1, and whether that does NAT is only known when "
		     "something comes in",
	 .advice = "",
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND},
	{.what = "the provider's NAT speaks PCP behind a gateway without an address, no STUN "
		 "server",
	 AT_HOME,
	 .gateway = "none",
	 .provider = TRUTH_PROVIDER_NESTED,
	 .verdict = TRUTH_CGNAT,
	 .sentence = "the gateway says that it has no usable external address; a NAT behind it "
		     "speaks PCP and sees the gateway in place of this host: probably the "
		     "provider's (carrier-grade NAT)",
	 .advice = PROVIDER,
	 .outcome = NAT_UNREACHED,
	 .means = NONE_COMES},
	{.what = "the provider's NAT speaks PCP behind a silent gateway, no STUN server",
	 AT_HOME,
	 .mute = true,
	 .provider = TRUTH_PROVIDER_NESTED,
	 .verdict = TRUTH_CGNAT,
	 .sentence = "the gateway 192.168.77.1 does not tell its external address; a NAT behind it "
		     "speaks PCP and sees the gateway in place of this host: probably the "
		     "provider's (carrier-grade NAT)",
	 .advice = PROVIDER,
	 .outcome = NAT_UNREACHED,
	 .means = NONE_COMES},
	{.what = "the provider's NAT speaks PCP behind a gateway with a public address, no STUN "
		 "server",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .provider = TRUTH_PROVIDER_NESTED,
	 .verdict = TRUTH_CGNAT,
	 .sentence = "the gateway's external address 45.0.0.10 is a public one; a NAT behind it "
		     "speaks PCP and sees the gateway in place of this host: probably the "
		     "provider's (carrier-grade NAT)",
	 .advice = PROVIDER,
	 .outcome = NAT_UNREACHED,
	 .means = TOWARDS_NAT},
	{.what = "a gateway that gives another public address, while the way behind it is looked "
		 "at",
	 AT_HOME,
	 .gateway = "45.9.9.9",
	 .seen = "45.0.0.10",
	 .looking = true,
	 .verdict = TRUTH_UNKNOWN,
	 .sentence = "outside sees 45.0.0.10, but the gateway gives 45.9.9.9; whether another "
		     "router is behind it is being looked for",
	 .advice = "",
	 .outcome = NAT_UNPROVEN,
	 .means = NOT_PROVEN},
	{.what = "a gateway without an address, while the way behind it is looked at",
	 AT_HOME,
	 .gateway = "none",
	 .seen = "45.0.0.10",
	 .looking = true,
	 .verdict = TRUTH_UNKNOWN,
	 .sentence =
		 "the gateway says that it has no external address and maps nothing, but outside "
		 "sees 45.0.0.10; whether another router is behind it is being looked for",
	 .advice = "",
	 .outcome = NAT_UNREACHED,
	 .means = BY_HAND},
	{.what = "a gateway that is named, and no default route",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .unanswered = true,
	 .verdict = TRUTH_OFFLINE,
	 .sentence = "no route leads from this host's address 192.168.77.2 to outside: what comes "
		     "in by the gateway 192.168.77.1 cannot be answered",
	 .advice = "give this host a default route by 192.168.77.1, at least for what it sends "
		   "from 192.168.77.2 (ip rule); the relay works where another way leads there",
	 .outcome = NAT_NO_WAY,
	 .means = "The gateway maps ports, but there is no way to outside."},
	{.what = "the provider's NAT maps behind a gateway that gives another address",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .behind = "looked",
	 .provider = TRUTH_PROVIDER_BEHIND,
	 .verdict = TRUTH_PLAUSIBLE,
	 .sentence = "outside sees 45.0.0.10, which the gateway gives as its own; but the "
		     "provider's NAT maps for this host at another address (PCP), so that it may "
		     "be behind the gateway",
	 .advice = "try a mapped TCP port from outside: a connection that comes in proves it",
	 .outcome = NAT_UNPROVEN,
	 .means = NOT_PROVEN},
	{.what = "the same, and what was sent to a mapped port did not come in",
	 AT_HOME,
	 .gateway = "45.0.0.10",
	 .seen = "45.0.0.10",
	 .behind = "looked",
	 .provider = TRUTH_PROVIDER_BEHIND,
	 .entry = TRUTH_ENTRY_FAILED,
	 .verdict = TRUTH_CGNAT,
	 .sentence = "the gateway gives 45.0.0.10, which is what outside sees, but what was sent "
		     "there did not come in; a NAT behind it speaks PCP and maps at another "
		     "address: probably the provider's (carrier-grade NAT)",
	 .advice = PROVIDER,
	 .outcome = NAT_UNREACHED,
	 .means = TOWARDS_NAT},
};

static enum keeps keeps_of(const struct topology *t)
{
	if (t->keeps != KEEPS_GUESSED)
		return t->keeps;
	if (!t->router)
		return KEEPS_NONE;
	if (t->entry >= TRUTH_ENTRY_ANSWERED)
		return KEEPS_VERIFIED;
	if (t->mute || t->denies || (t->gateway && strcmp(t->gateway, "none") == 0))
		return KEEPS_REFUSED;
	return KEEPS_MAPPED;
}

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
	enum keeps keeps = keeps_of(t);
	bool looked = t->behind && strcmp(t->behind, "looked") == 0;
	struct truth_facts f = {.ipv4 = t->own != NULL,
				.ipv6 = t->ipv6,
				.router = host(t->router),
				.own = host(t->own),
				.speaks = !t->mute,
				.gateway = host(none ? NULL : t->gateway),
				.no_external = none || t->denies,
				.maps = keeps == KEEPS_MAPPED || keeps == KEEPS_VERIFIED,
				.refuses = keeps == KEEPS_REFUSED,
				.provider = t->provider,
				.looking = t->looking,
				.contained = t->contained,
				.unanswered = t->unanswered,
				.missing = t->others != NULL,
				.others = t->others,
				.stun_configured = t->seen != NULL,
				.stun_silent = silent,
				.behind = host(looked ? NULL : t->behind),
				.looked = t->behind != NULL,
				.entry = t->entry};

	snprintf(f.tunnel, sizeof f.tunnel, "%s", t->tunnel ? t->tunnel : "");
	snprintf(f.pinned, sizeof f.pinned, "%s", t->pinned ? t->pinned : "");
	if (t->seen && !silent && strcmp(t->seen, "asked") != 0)
		read_seen(t->seen, &f);
	if (f.seen_count == 1 || t->most)
		f.outside = f.seen[0];
	return f;
}

/* ---- what natd and a probe tell of it ---- */

static void set_host(json_t *to, const char *key, const struct addr *a)
{
	char text[ADDR_TEXT_BYTES];

	if (a->len == 0)
		return;
	addr_format_host(a, text);
	json_object_set_new(to, key, json_string(text));
}

static json_t *mappings_of(enum keeps keeps, enum truth_entry entry)
{
	static const char *const states[] = {[KEEPS_MAPPED] = "mapped",
					     [KEEPS_VERIFIED] = "verified",
					     [KEEPS_REFUSED] = "refused"};
	json_t *list = json_array(), *mapping;

	if (keeps == KEEPS_NONE)
		return list;
	mapping = json_pack("{s:s, s:s, s:s}", "family", "ipv4", "state", states[keeps], "protocol",
			    entry == TRUTH_ENTRY_ANSWERED ? "udp" : "tcp");
	if (keeps != KEEPS_REFUSED)
		json_object_set_new(mapping, "external", json_string("45.0.0.10:443"));
	json_array_append_new(list, mapping);
	return list;
}

static json_t *probe_of(const struct topology *t, const struct truth_facts *f,
			const struct truth *said)
{
	json_t *network = json_pack("{s:b}", "up", f->ipv4 || f->ipv6);
	json_t *external =
		json_pack("{s:s, s:s, s:s}", "verdict", truth_verdict_name(said->verdict),
			  "sentence", said->sentence, "advice", said->advice);

	set_host(network, "address", &f->own);
	set_host(network, "gateway", &f->router);
	if (f->ipv6)
		json_object_set_new(network, "gateway6", json_string("fe80::1"));
	set_host(external, "gateway", &f->gateway);
	set_host(external, "stun", &f->outside);
	set_host(external, "behind", &f->behind);
	return json_pack("{s:s, s:o, s:o, s:o, s:n}", "by", "trial", "network", network, "external",
			 external, "mappings", mappings_of(keeps_of(t), t->entry), "behaviour");
}

static const char *meaning(const json_t *probe)
{
	return json_string_value(json_array_get(json_object_get(probe, "meaning"), 0));
}

/* No sentence of a topology speaks against another one of it. */
static void check_whole(const struct topology *t, const struct truth *said, const char *means)
{
	bool lost = t->outcome >= NAT_UNREACHED;

	/* What is cut off has advice, and nothing is cut short. */
	assert_true(said->advice[0] || !truth_cuts_off(said));
	assert_true(strlen(said->sentence) < TRUTH_TEXT_BYTES - 1 &&
		    strlen(said->advice) < TRUTH_TEXT_BYTES - 1);
	if (truth_cuts_off(said) != lost && !(lost && keeps_of(t) == KEEPS_REFUSED))
		fail_msg("%s: %s, but %s", t->what, said->sentence, means);
	if (!lost && (strstr(said->sentence, "not reachable") ||
		      strstr(said->sentence, "nothing gets in") || strstr(means, "No port")))
		fail_msg("%s: %s: %s", t->what, said->sentence, means);
}

static void every_topology_has_its_words(void **state)
{
	for (size_t i = 0; i < sizeof topologies / sizeof *topologies; i++) {
		const struct topology *t = &topologies[i];
		struct truth_facts f = facts_of(t);
		enum nat_outcome outcome;
		struct truth said;
		json_t *probe;

		truth_judge(&f, &said);
		probe = probe_of(t, &f, &said);
		outcome = nat_conclude(probe);
		if (said.verdict != t->verdict || strcmp(said.sentence, t->sentence) != 0 ||
		    strcmp(said.advice, t->advice) != 0 || said.passed != t->passed)
			fail_msg("%s: %s: %s; %s", t->what, truth_verdict_name(said.verdict),
				 said.sentence, said.advice);
		if (outcome != t->outcome || strcmp(meaning(probe), t->means) != 0)
			fail_msg("%s: exit %d: %s", t->what, outcome, meaning(probe));
		check_whole(t, &said, t->means);
		json_decref(probe);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_topology_has_its_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
