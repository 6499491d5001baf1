/* SPDX-License-Identifier: Apache-2.0 */
/* world: the scheduler, and what must hold. */
#include "tests/world/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/ring_internal.h"
#include "tests/world/broken.h"
#include "tests/world/memory.h"
#include "tests/world/real.h"
#include "tests/world/ring_sim.h"

#define RINGS_MAX     32u
#define TURNS_MAX     8u
#define STEP_US	      40u      /* at most, of each turn */
#define STILL_MAX     2000000u /* turns without a move of the clock: a loop */
#define STALL_CHANCE  2u       /* per mille of turns after which the machine was busy elsewhere */
#define STALL_MOST_US 20000u

uint64_t world_seed;
struct dice world_dice;
bool world_verbose;

static struct {
	struct ring *ring;
	struct k_program *program;
} rings[RINGS_MAX];
static size_t ring_count;

static struct {
	world_turn_fn *turn;
	void *context;
} turns[TURNS_MAX];
static size_t turn_count;

static struct dice order_dice;
static uint64_t step_count, still_count, fingerprint;

/* ---- properties ---- */

static struct broken broken[BROKEN_MAX];
static size_t broken_count;

bool world_check(bool ok, const char *property, const char *format, ...)
{
	struct broken *b = &broken[broken_count];
	va_list args;

	if (ok)
		return true;
	for (size_t i = 0; i < broken_count; i++)
		if (strcmp(broken[i].property, property) == 0)
			return false;
	if (broken_count == BROKEN_MAX)
		return false;
	broken_count++;
	snprintf(b->property, sizeof(b->property), "%s", property);
	va_start(args, format);
	vsnprintf(b->how, sizeof(b->how), format, args);
	va_end(args);
	k_trace("BROKEN %s: %s", b->property, b->how);
	return false;
}

size_t broken_list(const struct broken **list)
{
	*list = broken;
	return broken_count;
}

static jmp_buf out_of_it;

void world_died(const char *format, ...)
{
	char how[256];
	va_list args;

	va_start(args, format);
	vsnprintf(how, sizeof(how), format, args);
	va_end(args);
	k_enter(NULL);
	(void)world_check(false, "survives", "%s", how);
	longjmp(out_of_it, 1);
}

bool world_play(void (*run)(void))
{
	if (setjmp(out_of_it))
		return false;
	run();
	return true;
}

void world_broken(const char *format, ...)
{
	va_list args;

	k_enter(NULL);
	fprintf(stderr, "world: seed %llu: ", (unsigned long long)world_seed);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

/* ---- rings ---- */

void world_ring_add(struct ring *r, struct k_program *p)
{
	if (ring_count == RINGS_MAX)
		abort();
	rings[ring_count].ring = r;
	rings[ring_count++].program = p;
}

void world_ring_remove(struct ring *r)
{
	for (size_t i = 0; i < ring_count; i++) {
		if (rings[i].ring != r)
			continue;
		ring_count--;
		memmove(&rings[i], &rings[i + 1], (ring_count - i) * sizeof(rings[0]));
		return;
	}
}

bool world_ring_stopped(struct ring *r)
{
	return atomic_load(&r->stop);
}

void world_turns_add(world_turn_fn *turn, void *context)
{
	if (turn_count == TURNS_MAX)
		abort();
	turns[turn_count].turn = turn;
	turns[turn_count++].context = context;
}

void world_turns_remove(void *context)
{
	for (size_t i = 0; i < turn_count; i++) {
		if (turns[i].context != context)
			continue;
		turn_count--;
		memmove(&turns[i], &turns[i + 1], (turn_count - i) * sizeof(turns[0]));
		return;
	}
}

static bool take_turns(void)
{
	bool any = false;

	for (size_t i = 0; i < turn_count; i++)
		any = turns[i].turn(turns[i].context) || any;
	return any;
}

/* A program waits in poll(2): the keepers may answer. */
static bool blocked(struct k_program *p)
{
	return take_turns();
}

static void turn_ring(size_t i)
{
	struct k_program *was = k_enter(rings[i].program);
	int error = ring_turn(rings[i].ring);

	k_enter(was);
	if (error)
		world_broken("a ring of %s fails: %d", rings[i].program->name, error);
}

static void let_time_pass(void)
{
	uint64_t us = dice_below(&order_dice, STEP_US);

	if (dice_chance(&order_dice, STALL_CHANCE))
		us += dice_below(&order_dice, STALL_MOST_US);
	step_count++;
	if (us > 0)
		still_count = 0;
	k_advance(k_now_us + us);
}

/* One turn of one ring that has something to do; false: none has. */
static bool step(void)
{
	size_t due[RINGS_MAX], n = 0;

	for (size_t i = 0; i < ring_count; i++)
		if (!world_ring_stopped(rings[i].ring) && ring_sim_due(rings[i].ring))
			due[n++] = i;
	if (n == 0)
		return take_turns();
	turn_ring(due[dice_below(&order_dice, n)]);
	/* A run that went another way has thrown other dice, or at another time. */
	fingerprint = (fingerprint ^ k_now_us ^ k_dice.state) * UINT64_C(0x100000001b3);
	if (++still_count > STILL_MAX)
		world_broken("a ring turns for ever");
	let_time_pass();
	return true;
}

static uint64_t next_time(void)
{
	uint64_t next = k_next_event();

	for (size_t i = 0; i < ring_count; i++) {
		uint64_t timer = ring_sim_next(rings[i].ring);

		if (!world_ring_stopped(rings[i].ring) && timer < next)
			next = timer;
	}
	return next;
}

bool world_until(world_condition *holds, void *context, uint64_t at_most_us)
{
	uint64_t end = k_now_us + at_most_us;

	while (!holds || !holds(context)) {
		if (k_now_us >= end)
			return false;
		if (step())
			continue;
		uint64_t next = next_time();
		k_advance(next < end ? next : end);
	}
	return true;
}

void world_run(uint64_t us)
{
	(void)world_until(NULL, NULL, us);
}

void world_after(uint64_t us, k_event_fn *act, void *context, uint64_t argument)
{
	k_at(k_now_us + us, act, context, argument);
}

/* ---- beginning and end ---- */

void world_begin(uint64_t seed)
{
	world_seed = seed;
	world_dice = dice_of(seed, 10);
	order_dice = dice_of(seed, 11);
	k_begin(seed);
	calls_seed(seed);
	memory_seed(seed);
	ring_sim_seed(seed);
	k_blocked = blocked;
	ring_count = turn_count = broken_count = 0;
	step_count = still_count = fingerprint = 0;
}

uint64_t world_fingerprint(void)
{
	return fingerprint;
}

static bool may_leak;

void world_leaks(void)
{
	may_leak = true;
}

bool world_may_leak(void)
{
	return may_leak;
}

void world_end(void)
{
	uint64_t steps = step_count;

	if (ring_count > 0)
		world_broken("%zu rings were never taken away", ring_count);
	k_end();
	world_check(k_sockets_alive() == 0, "sockets", "%zu sockets are left in the kernel",
		    k_sockets_alive());
	k_trace("the end, after %llu turns", (unsigned long long)steps);
}
