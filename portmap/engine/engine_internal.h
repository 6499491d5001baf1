/* SPDX-License-Identifier: Apache-2.0 */
/* engine_internal: what the engine's files share. Nobody else includes this. */
#ifndef POSTERN_PORTMAP_ENGINE_ENGINE_INTERNAL_H
#define POSTERN_PORTMAP_ENGINE_ENGINE_INTERNAL_H

#include "core/container.h"
#include "portmap/engine/engine.h"

#define ENGINE_OF(h) container(h, struct portmap_engine, heard)

static inline uint64_t engine_now(struct portmap_engine *e)
{
	return e->owner->now_ms(e->owner);
}

/* engine.c: to be called at the end of everything that changes a deadline. */
void engine_rearm(struct portmap_engine *e);
uint64_t engine_random(struct portmap_engine *e);
void engine_remove(struct portmap_engine *e, struct portmap_mapping *m);
/* Ends the leaving when nothing is left to delete. */
void engine_maybe_left(struct portmap_engine *e);

/* paths.c */
void paths_init_heard(struct portmap_heard *h);
/* Somebody was silent: are the others of this family still there? */
void paths_doubt(struct portmap_engine *e, enum portmap_family f, uint64_t now_ms);
void paths_probe(struct portmap_engine *e, struct portmap_driver *d, uint64_t now_ms);
void paths_run(struct portmap_engine *e, uint64_t now_ms);
uint64_t paths_next(const struct portmap_engine *e);
enum path_choice { CHOICE_PATH, CHOICE_LATER, CHOICE_NONE };
/* The path to ask for m, or when to choose again (MAPPING_NEVER: when a path has decided). */
enum path_choice paths_choose(struct portmap_engine *e, const struct portmap_mapping *m,
			      uint64_t now_ms, enum portmap_protocol *out, uint64_t *again_ms);
/* A mapping shows the gateway's external IPv4 address. */
void paths_learn_external(struct portmap_engine *e, enum portmap_protocol p,
			  const struct addr *external, uint64_t now_ms);

/* asking.c */
void asking_init_heard(struct portmap_heard *h);
/* The step that is due is taken. False when nothing was sent for it. */
bool asking_step(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms);
/* No answer came in time. */
void asking_silent(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms);
/* Its path is gone or forgot it: what is under way ends, what it held may be left over. */
void asking_lost(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms);
/* What it holds stays at the gateway, to be renewed in the network that is entered next. */
void asking_keep(struct portmap_engine *e, struct portmap_mapping *m);
/* To be deleted at the gateway, if it may be there; else it waits. */
void asking_let_go(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms);
/* Deletes what a path that is there holds beside the mapping's own. False: there is nothing. */
bool asking_leftover(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms);

#endif
