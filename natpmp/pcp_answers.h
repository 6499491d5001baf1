/* SPDX-License-Identifier: Apache-2.0 */
/* pcp_answers: what the sending and the receiving half of the PCP client share. */
#ifndef POSTERN_NATPMP_PCP_ANSWERS_H
#define POSTERN_NATPMP_PCP_ANSWERS_H

#include "natpmp/pcp_client.h"

/* What is heard may call the client again: none of these is followed by a look at a task that was
 * found before. */

/* Begins a new exchange of the task: its first datagram goes out now, if the pace allows. */
void pcp_task_begin(struct pcp_client *c, struct pcp_task *t, enum pcp_step step, uint64_t now_ms);
/* Frees the task and tells its end. */
void pcp_task_refuse(struct pcp_client *c, struct pcp_task *t, const struct portmap_refusal *r);
void pcp_task_fail(struct pcp_client *c, struct pcp_task *t, enum portmap_failure failure,
		   const char *why);
/* The external port that was given is not the one wanted, and did not go back: why tells. */
void pcp_task_keeps(struct pcp_client *c, struct pcp_task *t, const char *why);
void pcp_task_unmapped(struct pcp_client *c, struct pcp_task *t, bool ok);

/* The gateway spoke PCP. */
void pcp_gateway_up(struct pcp_client *c, uint64_t now_ms);
/* It is DOWN; all in flight fails with it. */
void pcp_gateway_down(struct pcp_client *c, enum portmap_failure failure, const char *why,
		      uint64_t now_ms);
/* It may have come to life, or lost its mappings: asks it, now or when it may be asked again,
 * without a promise to tell. */
void pcp_gateway_look(struct pcp_client *c, uint64_t now_ms);
/* A caller waits for what the gateway is, or for an answer of it. */
bool pcp_gateway_awaited(const struct pcp_client *c);
void pcp_gateway_restarted(struct pcp_client *c, const char *why);

#endif
