/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verdict: several servers' answers, compared.
 *
 * Theory of operation. Addresses are compared first, ports second. One address with several ports
 * is a NAT that maps by destination. Of several addresses the one that more than half have seen
 * counts; if just one server stands against two or more that agree, it is named: it is reached by
 * another way, or it does not tell the truth. Otherwise there are several exits, and no server can
 * be blamed.
 */
#include "stun/verdict.h"

#include <assert.h>
#include <string.h>

static const struct {
	const char *name, *sentence;
} agreements[] = {
	[STUN_AGREE_NONE] = {"no_answer",
			     "No server answered: UDP is blocked here, or all of them are down."},
	[STUN_AGREE_ALONE] = {"alone", "Only one server answered: there is nothing to compare."},
	[STUN_AGREE_ALL] = {"agree", "All servers see the same address and port: the external port "
				     "does not depend on who is asked."},
	[STUN_AGREE_NOT_PORT] =
		{"ports_differ",
		 "The servers see the same address, but different ports: the NAT is "
		 "symmetric, and the port seen by one is of no use to others."},
	[STUN_AGREE_BUT_ONE] = {"one_differs",
				"One server sees another address than all others: the way to it "
				"leads through another exit (a VPN, a second line), or it lies."},
	[STUN_AGREE_NOT_ADDRESS] = {"addresses_differ",
				    "The servers see different addresses: there are several exits "
				    "to the internet (two lines, a VPN, a NAT with a pool of "
				    "addresses), or some of them lie."},
};
static_assert(sizeof agreements / sizeof agreements[0] == STUN_AGREEMENTS, "words for each");

const char *stun_agreement_name(enum stun_agreement a)
{
	return agreements[a].name;
}

const char *stun_agreement_sentence(enum stun_agreement a)
{
	return agreements[a].sentence;
}

/* How many answers name this one's address. */
static size_t votes(const struct addr *o, size_t n, const struct addr *a)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += o[i].len > 0 && addr_same_host(&o[i], a);
	return count;
}

static bool ports_agree(const struct addr *o, size_t n, const struct addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (o[i].len > 0 && addr_same_host(&o[i], a) && addr_port(&o[i]) != addr_port(a))
			return false;
	return true;
}

static size_t find_odd(const struct addr *o, size_t n, const struct addr *a)
{
	size_t i = 0;

	while (i + 1 < n && (o[i].len == 0 || addr_same_host(&o[i], a)))
		i++;
	return i;
}

static enum stun_agreement verdict_judge(size_t answers, size_t most, bool ports)
{
	if (answers == 0)
		return STUN_AGREE_NONE;
	if (answers == 1)
		return STUN_AGREE_ALONE;
	if (most == answers)
		return ports ? STUN_AGREE_ALL : STUN_AGREE_NOT_PORT;
	return most >= 2 && most + 1 == answers ? STUN_AGREE_BUT_ONE : STUN_AGREE_NOT_ADDRESS;
}

void stun_verdict_compare(const struct addr *externals, size_t n, struct stun_verdict *out)
{
	size_t answers = 0, most = 0;
	bool ports = true;

	memset(out, 0, sizeof *out);
	for (size_t i = 0; i < n; i++) {
		const struct addr *a = &externals[i];
		size_t count = a->len > 0 ? votes(externals, n, a) : 0;

		answers += a->len > 0;
		if (count > most) {
			most = count;
			out->external = *a;
		}
	}
	if (most * 2 <= answers)
		memset(&out->external, 0, sizeof out->external);
	if (out->external.len > 0)
		ports = ports_agree(externals, n, &out->external);
	if (!ports)
		addr_set_port(&out->external, 0);
	out->agreement = verdict_judge(answers, most, ports);
	if (out->agreement == STUN_AGREE_BUT_ONE)
		out->odd = find_odd(externals, n, &out->external);
}
