/* SPDX-License-Identifier: Apache-2.0 */
/*
 * door_world: strangers of every kind at the front door, beside talks that must not suffer. Every
 * stranger is let go in time, and nothing of any is left.
 */
#include "tests/world/stage.h"
#include "tests/world/worlds.h"

/* hello and http_idle of the configuration, one after the other, and what closing takes. */
#define LONGEST_US (145 * SECOND)

static void come(void *context, uint64_t kind)
{
	struct addr to = stage_front_door(0);

	stranger_come(&stage.visitors, (enum stranger_kind)kind, &to);
}

void world_door(void)
{
	unsigned strangers = (unsigned)dice_between(&world_dice, 5, 40);

	stage_set(1, "");
	k_faults.aborted = (unsigned)dice_below(&world_dice, 50);
	for (unsigned i = 0; i < strangers; i++)
		world_after(dice_below(&world_dice, 10 * SECOND), come, NULL,
			    dice_below(&world_dice, STRANGER_KINDS));
	for (unsigned i = 0; i < 5; i++)
		(void)stage_talk(10 * SECOND, 50000);
	world_run(10 * SECOND);
	if (k_faults.aborted > 0)
		for (size_t i = 0; i < talks_count(); i++)
			talk_at(i)->disturbed = true;
	(void)world_until(talks_over, NULL, 300 * SECOND);
	(void)world_until(strangers_gone, NULL, 200 * SECOND);
	talks_judge();
	strangers_judge(LONGEST_US);
	stage_clear();
}
