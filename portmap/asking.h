/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asking: natd's part of what other programs of this host ask for (portmap/engine/asks.h): their
 * calls, whose rights the configuration names, and what is told of it.
 */
#ifndef POSTERN_PORTMAP_ASKING_H
#define POSTERN_PORTMAP_ASKING_H

#include <jansson.h>

#include "core/engine/calls.h"
#include "portmap/natd.h"

extern const struct method_param asking_map_params[], asking_unmap_params[];

/* Before the first of the others. */
void asking_begin(struct natd *n);
/* Rights and mappings of the configuration are others, perhaps. The engine is told by natd_want().
 * Before isolation names of users and groups are looked up for the first time. */
void asking_configure(struct natd *n);
/* Ends what is over. */
void asking_run(struct natd *n);
void asking_caller_gone(struct natd *n, const struct caller *c);

/* The methods map and unmap. */
void asking_map_run(struct natd *n, struct call *c);
void asking_unmap_run(struct natd *n, struct call *c);

/* [{user, name?, left_s?}]: who asks for this mapping. */
json_t *asking_report(const struct natd *n, const struct portmap_want *want);
/* {now, granted, refused: {...}, ended: {...}} */
json_t *asking_counts(const struct natd *n);

#endif
