/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine: fuzzers of the state machines: the front door, links, legs, consoles, the agents'
 * channels, documents of policy. An input is a script of acts (script.h) that happen to the real
 * relay or agents on the simulated kernel of tests/world, and what every world must hold is
 * checked at the end.
 *
 * Theory of operation. The programs are started, and those who have a certificate prove it, once:
 * run.c then runs each script in a child process of its own, which therefore begins at the same
 * moment of the same world, whatever ran before, and counts for the fuzzer what the child has
 * covered. Of the child's end is asked: nothing is left in the programs or their kernel, every
 * wait ends, memory stayed within its bound, nothing leaked.
 *
 * A machine is a row: how its stage is set, which acts there are, how the stage is cleared. Acts
 * must be legal things for anyone on the network, or an operator, to do: what breaks then is
 * Postern's fault.
 */
#ifndef POSTERN_FUZZ_MACHINES_MACHINE_H
#define POSTERN_FUZZ_MACHINES_MACHINE_H

#include "fuzz/machines/script.h"
#include "tests/world/peer.h"
#include "tests/world/world.h"

struct act {
	const char *name;
	void (*run)(void);
};

struct machine {
	const char *name;
	void (*set)(void);	/* once */
	const struct act *acts; /* ends with name NULL */
	void (*clear)(void);	/* after the last act, and checks */
	unsigned acts_most;	/* of one script */
};

extern const struct machine machine_front, machine_site, machine_link, machine_leg, machine_console,
	machine_channel, machine_policy;

#endif
