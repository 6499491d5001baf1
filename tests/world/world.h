/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world: a whole Postern in one process: relays with their workers, agents, consoles, and the
 * people and services around them, on the simulated kernel, stepped by one scheduler in an order
 * that the seed decides.
 *
 * A world is made anew in a process of its own, runs its scenario, and is taken down: all that a
 * program then still holds is a leak. What must hold is asserted by world_check() under the name
 * of a property; `known` lists those that are broken today, with the issue that mends them.
 */
#ifndef POSTERN_TESTS_WORLD_WORLD_H
#define POSTERN_TESTS_WORLD_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/ring.h"
#include "tests/world/dice.h"
#include "tests/world/kernel.h"

#define MS     1000u /* of virtual time */
#define SECOND K_SECOND

extern uint64_t world_seed;
extern struct dice world_dice; /* the scenario's */
extern bool world_verbose;

/* ---- properties ---- */

/* Unless ok, the property is broken in this world; the sentence says how. Returns ok. */
bool world_check(bool ok, const char *property, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A program has ended itself, which breaks the property "survives"; the world ends here. */
_Noreturn void world_died(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Runs the world until its end, or until a program has died: false. */
bool world_play(void (*run)(void));
/* The scenario itself went wrong: nothing can be said about Postern. */
_Noreturn void world_broken(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A line of what happens in the scenario, for the reader of the trace. */
#define world_tell k_trace

/* ---- the scheduler ---- */

/* The ring is stepped from now on, as part of program p. */
void world_ring_add(struct ring *r, struct k_program *p);
void world_ring_remove(struct ring *r);
/* Whether ring_stop() was called on it. It is stepped no more then. */
bool world_ring_stopped(struct ring *r);

typedef bool world_condition(void *context);
/* Steps rings and moves the clock until the condition holds or time is up; false: time is up. */
bool world_until(world_condition *holds, void *context, uint64_t at_most_us);
/* Runs so long. */
void world_run(uint64_t us);
/* Something else that takes turns, such as a keeper; true: it has done something. */
typedef bool world_turn_fn(void *context);
void world_turns_add(world_turn_fn *turn, void *context);
void world_turns_remove(void *context);

/* An action of the scenario, after so long. */
void world_after(uint64_t us, k_event_fn *act, void *context, uint64_t argument);

/* ---- beginning and end ---- */

void world_begin(uint64_t seed);
/* Checks that nothing is left, and frees the rest. */
void world_end(void);
/* Of everything that happened: the same for the same seed. */
uint64_t world_fingerprint(void);
/* A program has died with all its memory: this world does not look for leaks. */
void world_leaks(void);
bool world_may_leak(void);

/* A world of the list. */
struct world_kind {
	const char *name;
	void (*run)(void);
	unsigned share; /* per cent of the seeds asked for that it gets; at least one seed */
};

#endif
