/* SPDX-License-Identifier: Apache-2.0 */
/* nat_conclude: from facts to sentences. */
#include "ctl/nat/conclude.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "portmap/engine/truth.h"

static bool is(const json_t *object, const char *key, const char *word)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value && strcmp(value, word) == 0;
}

bool nat_conclude_held(const json_t *mapping)
{
	return json_is_string(json_object_get(mapping, "external"));
}

static bool any_held(const json_t *mappings, const char *family)
{
	json_t *mapping;
	size_t i;

	json_array_foreach(mappings, i, mapping)
	{
		if (nat_conclude_held(mapping) && (!family || is(mapping, "family", family)))
			return true;
	}
	return false;
}

bool nat_conclude_any_held(const json_t *mappings)
{
	return any_held(mappings, NULL);
}

static void say(json_t *meaning, const char *sentence)
{
	json_array_append_new(meaning, json_string(sentence));
}

/* Nothing from outside gets in by what the gateway maps: truth_cuts_off(), by name, since the
 * helper that tells it may be of another version. */
static bool cut_off(const json_t *external)
{
	static const char *const verdicts[] = {"filtered", "double_nat", "cgnat",   "vpn",
					       "blocked",  "ipv6_only",	 "offline", NULL};

	for (size_t i = 0; verdicts[i]; i++)
		if (is(external, "verdict", verdicts[i]))
			return true;
	return false;
}

/* protocol NULL: by any. */
static bool any_verified(const json_t *mappings, const char *family, const char *protocol)
{
	json_t *mapping;
	size_t i;

	json_array_foreach(mappings, i, mapping)
	{
		if (is(mapping, "state", "verified") && is(mapping, "family", family) &&
		    (!protocol || is(mapping, "protocol", protocol)))
			return true;
	}
	return false;
}

/* This host's own address is a public one, and the gateway tells none: a host outside may reach it
 * there without a mapping, whether or not outside sees another one as well. */
static bool own_public(const json_t *probe)
{
	const json_t *external = json_object_get(probe, "external");
	const char *own =
		json_string_value(json_object_get(json_object_get(probe, "network"), "address"));
	struct addr address;

	return own && !json_object_get(external, "gateway") && !cut_off(external) &&
	       addr_from_literal(own, 0, &address) && address.sa.sa_family == AF_INET &&
	       truth_range_of(&address) == TRUTH_PUBLIC;
}

/* Without a NAT: a firewall lets in answers only. */
static bool walled_off(const json_t *probe)
{
	const json_t *external = json_object_get(probe, "external");
	const json_t *behaviour = json_object_get(probe, "behaviour");
	const char *filtering = json_string_value(json_object_get(behaviour, "filtering"));
	const char *own =
		json_string_value(json_object_get(json_object_get(probe, "network"), "address"));

	if (is(external, "verdict", "filtered") && own && is(external, "stun", own))
		return true;
	if (own_public(probe) && is(behaviour, "nat", "firewall"))
		return true;
	return is(external, "verdict", "no_nat") && filtering &&
	       strcmp(filtering, "endpoint-independent") != 0;
}

/* This host does not get out over IPv4, as far as is known. */
static bool has_no_way(const json_t *of)
{
	const json_t *external = json_object_get(of, "external");

	return is(external, "verdict", "offline") || is(external, "verdict", "blocked") ||
	       !json_is_true(json_object_get(json_object_get(of, "network"), "up"));
}

/* The probe's own question to STUN servers was answered by none: what was so before may not be so
 * now. */
static bool is_doubted(const json_t *probe)
{
	const json_t *behaviour = json_object_get(probe, "behaviour");

	return json_is_object(behaviour) &&
	       !is(json_object_get(probe, "external"), "verdict", "ipv6_only") &&
	       (is(behaviour, "nat", "blocked") ||
		!json_is_string(json_object_get(behaviour, "server")));
}

/* Something came in over IPv4. Where a router behind the gateway may do NAT, that counts only over
 * TCP: to a port that sent before such a NAT may let in datagrams by itself. */
static bool is_proven(const json_t *probe)
{
	const json_t *external = json_object_get(probe, "external");
	bool doubted = is(external, "verdict", "plausible") && json_object_get(external, "stun");

	return any_verified(json_object_get(probe, "mappings"), "ipv4", doubted ? "tcp" : NULL);
}

/* The gateway gives an address that is one of the internet, and not what outside sees. */
static bool is_elsewhere(const json_t *external)
{
	const char *gateway = json_string_value(json_object_get(external, "gateway"));
	struct addr address;

	return gateway && !is(external, "stun", gateway) &&
	       addr_from_literal(gateway, 0, &address) && address.sa.sa_family == AF_INET &&
	       truth_range_of(&address) == TRUTH_PUBLIC;
}

static const char *meaning_of_held(const json_t *probe)
{
	const json_t *external = json_object_get(probe, "external");
	bool verified = is_proven(probe);

	if (is(external, "verdict", "vpn"))
		return "The gateway maps ports, but what comes in by them is answered through the "
		       "VPN, and lost.";
	if (is(external, "verdict", "filtered"))
		return "The gateway maps ports, but what was sent to one from outside did not come "
		       "in.";
	if (is(external, "verdict", "blocked") || is(external, "verdict", "offline"))
		return "The gateway maps ports, but there is no way to outside.";
	if (is_doubted(probe) && !cut_off(external))
		return "The gateway maps ports, but no STUN server has answered just now: whether "
		       "outside reaches them still is not known.";
	if (cut_off(external) && verified)
		return "The gateway maps ports towards another NAT, but something from outside "
		       "came "
		       "in all the same: that one leads here.";
	if (is(external, "verdict", "double_nat") && is_elsewhere(external))
		return "The gateway maps ports, but at another address than outside sees: unless "
		       "it has several ways out, no host outside gets through by that.";
	if (cut_off(external))
		return "The gateway maps ports, but only towards another NAT: no host outside gets "
		       "through by that.";
	if (verified)
		return "Port mapping works: a host outside that knows the external address and "
		       "port reaches this one directly.";
	if (is(external, "verdict", "one_nat"))
		return "The gateway maps ports, and its address is the one that outside sees; that "
		       "something comes in is not proven yet.";
	if (any_verified(json_object_get(probe, "mappings"), "ipv4", NULL))
		return "The gateway maps ports, and a datagram came in; but a NAT behind it may "
		       "have "
		       "let that in by itself, so that it is not proven.";
	return "The gateway maps ports; whether outside reaches them is not proven.";
}

const char *nat_conclude_unneeded(const json_t *of, const json_t *mapping)
{
	const json_t *external = json_object_get(of, "external");

	if (!is(mapping, "family", "ipv4") || json_object_get(mapping, "host") ||
	    nat_conclude_held(mapping))
		return NULL;
	if (is(external, "verdict", "no_nat"))
		return "this host's own address is what outside sees";
	if (own_public(of) && !is(external, "verdict", "unknown"))
		return "this host's own address is a public one";
	return NULL;
}

static const char *meaning_of_own(const json_t *external)
{
	if (is(external, "verdict", "several_exits"))
		return "This host's own address is a public one, and one of those that outside "
		       "sees: where no firewall is in the way, it needs no port mapping.";
	if (is(external, "verdict", "plausible"))
		return "This host's own address is a public one: where no firewall is in the way, "
		       "it needs no port mapping.";
	return "This host's own address is a public one, but outside sees another: whether a host "
	       "outside reaches this one at its own is not proven.";
}

static const char *meaning_of_none(const json_t *probe)
{
	const json_t *external = json_object_get(probe, "external");
	const json_t *network = json_object_get(probe, "network");

	if (is(external, "verdict", "ipv6_only"))
		return "There is no IPv4 here: no port can be mapped, and none has to be.";
	if (!json_is_true(json_object_get(network, "up")))
		return "There is no way out, and no gateway to ask.";
	if (own_public(probe))
		return meaning_of_own(external);
	if (is(external, "verdict", "blocked") || is(external, "verdict", "offline"))
		return "There is no way to outside: whether ports can be mapped shows when there "
		       "is one.";
	if (!json_object_get(network, "gateway"))
		return "There is no gateway here that could map ports: no host outside can begin a "
		       "connection to this one over IPv4.";
	if (json_array_size(json_object_get(probe, "mappings")) == 0)
		return "Whether ports can be mapped has not been tried.";
	if (is(external, "verdict", "cgnat"))
		return "No port can be mapped here: no host outside can begin a connection to this "
		       "one over IPv4.";
	if (is(external, "verdict", "vpn"))
		return "No port can be mapped here, and what came in by the gateway would be "
		       "answered through the VPN, and lost.";
	if (is(external, "verdict", "double_nat") ||
	    (is(external, "verdict", "unknown") && json_object_get(external, "behind")))
		return "No port can be mapped here: unless one is forwarded by hand, on every "
		       "router on the way, no host outside can begin a connection to this one over "
		       "IPv4.";
	return "No port can be mapped here: unless one is forwarded by hand, no host outside can "
	       "begin a connection to this one over IPv4.";
}

static void say_of_mappings(json_t *meaning, const json_t *probe, bool held)
{
	const json_t *external = json_object_get(probe, "external");

	if (walled_off(probe))
		say(meaning, "This host's own address is what outside sees, but a firewall lets in "
			     "only answers: allow the port in it.");
	else if (is(external, "verdict", "no_nat") && is_doubted(probe))
		say(meaning, "This host's own address is what outside saw, but no STUN server has "
			     "answered just now: whether outside reaches it still is not known.");
	else if (is(external, "verdict", "no_nat"))
		say(meaning, "This host needs no port mapping: its own address is what outside "
			     "sees.");
	else if (held)
		say(meaning, meaning_of_held(probe));
	else
		say(meaning, meaning_of_none(probe));
}

/* The mapping makes up for a NAT that would be a hindrance. */
static void say_of_behaviour(json_t *meaning, const json_t *behaviour, bool reachable)
{
	const char *sentence = json_string_value(json_object_get(behaviour, "meaning"));
	char text[512];

	if (!sentence) {
		say(meaning, json_is_object(behaviour)
				     ? "What the NAT does with other ports no STUN server told."
				     : "What the NAT does with other ports is not known: name a "
				       "STUN server with --stun, such as a relay.");
		return;
	}
	if (!reachable || is(behaviour, "nat", "blocked")) {
		say(meaning, sentence);
		return;
	}
	snprintf(text, sizeof(text), "Ports that are not mapped: %c%s",
		 tolower((unsigned char)sentence[0]), sentence + (sentence[0] != '\0'));
	say(meaning, text);
}

/* What the verdict means for a host outside that begins a connection. */
static enum nat_outcome outcome_of(const json_t *probe, bool held)
{
	const json_t *external = json_object_get(probe, "external");
	bool verified = is_proven(probe);

	if (walled_off(probe))
		return NAT_UNREACHED;
	if (is(external, "verdict", "no_nat"))
		return NAT_REACHED;
	if (has_no_way(probe))
		return NAT_NO_WAY;
	if (cut_off(external))
		return held && verified &&
				       (is(external, "verdict", "double_nat") ||
					is(external, "verdict", "cgnat"))
			       ? NAT_REACHED
			       : NAT_UNREACHED;
	if (!held)
		return own_public(probe) ? NAT_UNPROVEN : NAT_UNREACHED;
	return is(external, "verdict", "one_nat") || verified ? NAT_REACHED : NAT_UNPROVEN;
}

/* What pinholes say. Where nothing gets out, what came in before proves nothing of now. */
static enum nat_outcome say_of_pinholes(json_t *meaning, const json_t *probe)
{
	const json_t *mappings = json_object_get(probe, "mappings");
	bool proven = any_verified(mappings, "ipv6", NULL);

	if (!any_held(mappings, "ipv6"))
		return NAT_NO_WAY;
	if (!proven) {
		say(meaning, "Over IPv6 the gateway says that it lets in what it is asked to; that "
			     "something comes in is not proven yet.");
		return has_no_way(probe) ? NAT_NO_WAY : NAT_UNPROVEN;
	}
	if (has_no_way(probe) || is_doubted(probe)) {
		say(meaning, "Over IPv6 something came in before; whether it does still is not "
			     "known.");
		return NAT_UNPROVEN;
	}
	say(meaning, "Over IPv6 the gateway lets in what it is asked to: a host that has IPv6 "
		     "reaches this one directly.");
	return NAT_REACHED;
}

enum nat_outcome nat_conclude(json_t *probe)
{
	const json_t *external = json_object_get(probe, "external");
	const json_t *behaviour = json_object_get(probe, "behaviour");
	bool held = any_held(json_object_get(probe, "mappings"), "ipv4");
	bool direct = is(external, "verdict", "no_nat") || (!held && own_public(probe));
	enum nat_outcome outcome = outcome_of(probe, held), six;
	json_t *meaning = json_array();

	if (outcome == NAT_REACHED && is_doubted(probe))
		outcome = NAT_UNPROVEN;
	say_of_mappings(meaning, probe, held);
	six = say_of_pinholes(meaning, probe);
	if (json_is_true(json_object_get(json_object_get(probe, "network"), "up")) &&
	    !is(external, "verdict", "offline") && !is(external, "verdict", "ipv6_only"))
		say_of_behaviour(meaning, behaviour, outcome <= NAT_UNPROVEN && !direct);
	if (six < outcome)
		outcome = six;
	json_object_set_new(probe, "reachable", json_boolean(outcome <= NAT_UNPROVEN));
	json_object_set_new(probe, "meaning", meaning);
	return outcome;
}

bool nat_conclude_no_way(const json_t *of)
{
	return has_no_way(of) && !any_verified(json_object_get(of, "mappings"), "ipv6", NULL);
}
