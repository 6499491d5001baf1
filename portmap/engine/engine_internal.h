/* SPDX-License-Identifier: Apache-2.0 */
/* engine_internal: what the engine's files share; no other file includes this. */
#ifndef POSTERN_PORTMAP_ENGINE_ENGINE_INTERNAL_H
#define POSTERN_PORTMAP_ENGINE_ENGINE_INTERNAL_H

#include "core/container.h"
#include "portmap/engine/engine.h"

#define ENGINE_OF(h)	 container(h, struct portmap_engine, heard)
#define ENGINE_ALL_TRIED ((1u << PORTMAP_PROTOCOLS) - 1)

static inline uint64_t engine_now(struct portmap_engine *e)
{
	return e->owner->now_ms(e->owner);
}

/* ---- engine.c: a mapping's states and steps ---- */

/* The one way to a state; also to the same state for another reason. Logs a sentence, counts, and
 * tells the owner before anything else happens. */
void engine_set_state(struct portmap_engine *e, struct portmap_mapping *m, enum mapping_state state,
		      const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Its path is gone or forgot it: what is under way ends, what it held may be left over. */
void engine_lost(struct portmap_engine *e, struct portmap_mapping *m);
/* What it asks will not be answered. While in flight. */
void engine_fail(struct portmap_engine *e, struct portmap_mapping *m, enum portmap_failure failure,
		 const char *why);
/* What it holds stays at the gateway, to be renewed in the network that is entered next. */
void engine_keep(struct portmap_engine *e, struct portmap_mapping *m);
/* There is no network any more; why, where not NULL, is what people are told. Frees a mapping that
 * is not wanted. */
void engine_await_network(struct portmap_engine *e, struct portmap_mapping *m, const char *why);
void engine_remove(struct portmap_engine *e, struct portmap_mapping *m);

/* A mapping in flight is held as before, until then. */
void engine_hold(struct portmap_mapping *m, uint64_t due_ms);
/* To be called at the end of everything that changes a deadline. */
void engine_rearm(struct portmap_engine *e);

/* The one way to a step, and its time. */
void engine_step(struct portmap_mapping *m, enum mapping_step step, uint64_t due_ms);
/* Nothing of it is at the gateway any more, as far as is known: it is asked for then. */
void engine_wait_until(struct portmap_mapping *m, uint64_t due_ms);
/* Nothing is awaited of the gateway any more. */
void engine_forget(struct portmap_engine *e, const struct portmap_mapping *m);
/* Another protocol granted what is held: it is that one's from now on. */
void engine_move(struct portmap_engine *e, struct portmap_mapping *m);
/* Of this round. */
void engine_note_failure(struct portmap_mapping *m, enum portmap_failure f, const char *why);

/* ---- taking_back.c: what is at the gateway and is to go ---- */

void taking_back_init_heard(struct portmap_heard *h);
/* To be deleted at the gateway, if it may be there; else it waits. */
void engine_let_go(struct portmap_engine *e, struct portmap_mapping *m);
/* LEAVING, UNMAPPING: what it holds is deleted later; failed: a deletion was not done. */
void engine_let_later(struct portmap_engine *e, struct portmap_mapping *m, bool failed);
/* Let go, after which nothing of it is at the gateway. Frees one that is not wanted. */
void engine_gone(struct portmap_engine *e, struct portmap_mapping *m);
/* LEAVING, and due: its deletion is sent. False: there is nobody to ask. */
bool engine_unmap(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms);
/* An answer to map() for one that is being taken back. False: it is not. */
bool engine_ending_mapped(struct portmap_engine *e, enum portmap_protocol p, uint32_t id,
			  uint32_t lifetime_s);
bool engine_ending_failed(struct portmap_engine *e, enum portmap_protocol p, uint32_t id);
/* The answer to that; ok false: refused, or none. */
void engine_unmapped(struct portmap_engine *e, struct portmap_mapping *m, bool ok);
/* What its protocol holds of it stays there. */
void engine_leave_over(struct portmap_engine *e, struct portmap_mapping *m);
/* It was asked for, and what came of that is not known. */
void engine_maybe_left_over(struct portmap_engine *e, struct portmap_mapping *m);
/* What protocols hold of it is to be deleted: all of it; at other places outside than this port; or
 * while it is held at another place, by paths that are there. */
void engine_leftovers_go(struct portmap_engine *e, struct portmap_mapping *m);
void engine_leftovers_but(struct portmap_engine *e, struct portmap_mapping *m, uint16_t port);
void engine_leftovers_beside(struct portmap_engine *e, struct portmap_mapping *m);
/* m was granted: what is the same entry at the gateway is wanted again. */
void engine_leftovers_granted(struct portmap_engine *e, const struct portmap_mapping *m);
/* The driver is asked something else of this mapping: a deletion under way waits. */
void engine_leftovers_pause(struct portmap_engine *e, enum portmap_protocol p, uint32_t id);
/* A path came or went. */
void engine_leftovers_path(struct portmap_engine *e, enum portmap_protocol p,
			   enum portmap_family f);
/* Time has passed. */
void engine_leftovers_age(struct portmap_engine *e, uint64_t now_ms);
/* Sends a deletion that is due. False: none is. */
bool engine_leftovers_send(struct portmap_engine *e, uint64_t now_ms);
/* Of this very mapping something at another place outside is about to be deleted by this protocol:
 * when to look again; 0: nothing. It is asked for after that. */
uint64_t engine_leftovers_before(const struct portmap_engine *e, const struct portmap_mapping *m,
				 enum portmap_protocol p, uint64_t now_ms);
/* When the next is due, or no answer is silence; MAPPING_NEVER: nothing can be done now. */
uint64_t engine_leftovers_next(const struct portmap_engine *e);
/* Some of this family are to be deleted. */
bool engine_leftovers_of(const struct portmap_engine *e, enum portmap_family f);
/* The network is left: those of families that are not kept are given up, which is told. */
void engine_leftovers_leave(struct portmap_engine *e);
void engine_leftovers_free(struct portmap_engine *e);
/* The gateway gave a port that was not asked for: it goes back. */
void engine_give_back(struct portmap_engine *e, struct portmap_mapping *m, const struct addr *place,
		      uint64_t now_ms);
/* It made something else of the request. Whatever that is, we asked for it: it goes back at once,
 * before anything else is tried. */
void engine_take_back(struct portmap_engine *e, struct portmap_mapping *m,
		      const struct portmap_refusal *r, uint64_t now_ms);
/* What the gateway led elsewhere and did not take back stays there. */
void engine_left_open(const struct portmap_mapping *m);

/* ---- address.c ---- */

/* Asks for the external address when it is time: at e->address_ms. */
void address_run(struct portmap_engine *e, uint64_t now_ms);

/* ---- proof.c ---- */

void proof_init_heard(struct portmap_heard *h);
/* It was granted, and is to be renewed at due_ms: when it is looked at or renewed next. */
uint64_t proof_plan_look(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms);
/* What was proved in another network counts no longer. */
void proof_forget(struct portmap_mapping *m);

/* ---- wants.c: the network is left ---- */

void engine_leave_now(struct portmap_engine *e, const char *why);
/* Ends the leaving when nothing is left to delete. */
void engine_maybe_left(struct portmap_engine *e);

/* ---- paths.c ---- */

void paths_init_heard(struct portmap_heard *h);
/* A request was not answered: are the paths of this family still there? */
void paths_doubt(struct portmap_engine *e, enum portmap_family f, uint64_t now_ms);
void paths_probe(struct portmap_engine *e, struct portmap_driver *d, uint64_t now_ms);
/* Something is to be deleted by this path: where it is gone it is looked for sooner. */
void paths_look_for(struct portmap_engine *e, enum portmap_protocol p, enum portmap_family f);
void paths_run(struct portmap_engine *e, uint64_t now_ms);
uint64_t paths_next(const struct portmap_engine *e);

enum path_choice { CHOICE_PATH, CHOICE_LATER, CHOICE_NONE };
/* The path to ask for m, or when to choose again (MAPPING_NEVER: when a path has decided). */
enum path_choice paths_choose(struct portmap_engine *e, const struct portmap_mapping *m,
			      uint64_t now_ms, enum portmap_protocol *out, uint64_t *again_ms);
/* The path to renew m by: its own, unless that failed in this round or is mute, and another is not.
 */
enum portmap_protocol paths_renewing(const struct portmap_engine *e,
				     const struct portmap_mapping *m, uint64_t now_ms);
/* How long an answer of m->via is waited for. */
uint64_t paths_patience(const struct portmap_engine *e, const struct portmap_mapping *m);
/* That was too short, since the path granted something meanwhile, or no other could be asked:
 * due_ms is later now. */
bool paths_more_patience(const struct portmap_engine *e, struct portmap_mapping *m,
			 uint64_t now_ms);
/* What m->via answered to a request, or that it did not (SILENT). */
void paths_granted(struct portmap_engine *e, struct portmap_mapping *m, uint64_t now_ms);
void paths_refused(struct portmap_engine *e, const struct portmap_mapping *m,
		   enum portmap_failure failure, uint64_t now_ms);
/* "PCP, NAT-PMP": those that answer to probes, but not to requests. False: there are none. */
bool paths_mute(const struct portmap_engine *e, enum portmap_family f, char out[64],
		uint64_t now_ms);
/* "PCP, NAT-PMP, UPnP": what is tried here. */
void paths_names(const struct portmap_engine *e, enum portmap_family f, char out[64]);
/* Why a path that was never there cannot do it, though it answers; NULL: none has said so. */
const char *paths_own_reason(const struct portmap_engine *e, enum portmap_family f);
/* Notes what the paths that are gone say, beside what was answered to this mapping. True: one of
 * them has been there. */
bool paths_add_failures(const struct portmap_engine *e, struct portmap_mapping *m);
/* The mapping's own place outside: the answer's, else what the gateway said of itself. */
struct addr paths_place_of(const struct portmap_engine *e, const struct portmap_mapping *m,
			   const struct addr *external);
/* A request failed. Each reason is told once for a mapping, and once for all of the path, until the
 * path grants what failed; whatever comes of it by other paths. */
void paths_tell_failure(struct portmap_engine *e, struct portmap_mapping *m, enum portmap_failure f,
			const char *why);
/* A path other than these (a bit per protocol) could be asked for it. */
bool paths_have_another(const struct portmap_engine *e, const struct portmap_mapping *m,
			unsigned but);
/* PCP's answer for this mapping shows an external IPv4 address. It is the gateway's other one when
 * the mapping had another one before; a gateway may as well have several, one for each mapping. */
void paths_learn_granted(struct portmap_engine *e, struct portmap_mapping *m,
			 const struct addr *place, uint64_t now_ms);

#endif
