/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dry_run: 'postern-natd --dry-run': what natd would ask of whom. The gateway is probed, which maps
 * nothing; no mapping is asked for or deleted, no file written, no socket opened, no hook run.
 */
#ifndef POSTERN_PORTMAP_DRY_RUN_H
#define POSTERN_PORTMAP_DRY_RUN_H

#include <stdio.h>

#include "portmap/natd.h"

#define DRY_RUN_MS 25000u /* a gateway that is silent has been asked long enough by then */

struct dry_run {
	/* The program sets these first; natd has dry_run set, too. */
	struct natd *natd;
	FILE *to;

	struct timer look;
	uint64_t until_ms;
	bool complete; /* every mapping that the network allows for has a protocol to be asked by */
};

/* Beside natd_start(). Tells once the gateway has answered, and stops natd. */
void dry_run_start(struct dry_run *d);

#endif
