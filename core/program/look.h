/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look: asks again in time, where time alone changes what may go on (core/engine/entitled.h).
 *
 * Ends are in wall time, which leaps: so the clock is looked at every ENTITLED_LOOK_MS at least,
 * and everything is asked again when an end has come, or when the clock has gone back.
 */
#ifndef POSTERN_PROGRAM_LOOK_H
#define POSTERN_PROGRAM_LOOK_H

#include <time.h>

#include "core/ring.h"

struct look {
	/* Asks everything again, after look_forget(); told once more by look_until() what is good
	 * until when. */
	void (*ask)(struct look *l);
	struct ring *ring;
	struct timer timer;
	time_t again;  /* the first end of all; 0: nothing ends */
	time_t looked; /* the clock then; it must not go back */
};

void look_init(struct look *l, struct ring *ring, void (*ask)(struct look *l));
/* Something is good until then; 0: for ever. */
void look_until(struct look *l, time_t until);
/* Everything is being asked again. */
void look_forget(struct look *l);
/* Nothing is left to ask about: looks at no clock any more. Harmless before look_init(). */
void look_stop(struct look *l);

#endif
