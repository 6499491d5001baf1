/* SPDX-License-Identifier: Apache-2.0 */
/* nat_conclude: from facts to sentences. */
#include "ctl/nat/conclude.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

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

/* Another NAT is behind the gateway, or nothing at all. */
static bool cut_off(const json_t *external)
{
	return is(external, "verdict", "double_nat") || is(external, "verdict", "cgnat") ||
	       is(external, "verdict", "offline");
}

static bool any_verified(const json_t *mappings)
{
	json_t *mapping;
	size_t i;

	json_array_foreach(mappings, i, mapping)
	{
		if (is(mapping, "state", "verified"))
			return true;
	}
	return false;
}

static void say_of_mappings(json_t *meaning, const json_t *probe, bool held)
{
	const json_t *external = json_object_get(probe, "external");
	const json_t *mappings = json_object_get(probe, "mappings");

	if (is(external, "verdict", "no_nat"))
		say(meaning, "This host needs no port mapping: its own address is what outside "
			     "sees.");
	else if (held && cut_off(external))
		say(meaning, "The gateway maps ports, but only towards another NAT: no host "
			     "outside gets through by that.");
	else if (held && any_verified(mappings))
		say(meaning, "Port mapping works: a host outside that knows the external "
			     "address and port reaches this one directly.");
	else if (held && is(external, "verdict", "one_nat"))
		say(meaning, "Port mapping works as far as the gateway tells, and its address is "
			     "the one that outside sees: this host can be reached directly.");
	else if (held)
		say(meaning, "Port mapping works as far as the gateway tells: this host can "
			     "probably be reached directly.");
	else if (!json_is_true(json_object_get(json_object_get(probe, "network"), "up")))
		say(meaning, "There is no gateway to ask: connect this host to a network, or name "
			     "its interface to natd.");
	else if (json_array_size(mappings) == 0)
		say(meaning, "Whether ports can be mapped has not been tried.");
	else
		say(meaning,
		    "No port can be mapped here: no host outside can begin a connection to "
		    "this one over IPv4.");
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
	if (!reachable) {
		say(meaning, sentence);
		return;
	}
	snprintf(text, sizeof(text), "Ports that are not mapped: %c%s",
		 tolower((unsigned char)sentence[0]), sentence + (sentence[0] != '\0'));
	say(meaning, text);
}

void nat_conclude(json_t *probe)
{
	const json_t *external = json_object_get(probe, "external");
	const json_t *behaviour = json_object_get(probe, "behaviour");
	const json_t *mappings = json_object_get(probe, "mappings");
	bool held = any_held(mappings, "ipv4"), pinhole = any_held(mappings, "ipv6");
	bool direct = is(external, "verdict", "no_nat");
	bool reachable = direct || (held && !cut_off(external));
	json_t *meaning = json_array();

	say_of_mappings(meaning, probe, held);
	if (pinhole)
		say(meaning,
		    "Over IPv6 the gateway lets in what it is asked to: a host that has IPv6 "
		    "reaches this one directly.");
	if (json_is_true(json_object_get(json_object_get(probe, "network"), "up")) &&
	    !is(external, "verdict", "offline"))
		say_of_behaviour(meaning, behaviour, reachable && !direct);
	json_object_set_new(probe, "reachable", json_boolean(reachable || pinhole));
	json_object_set_new(probe, "meaning", meaning);
}
