/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe: static probes, for bpftrace, SystemTap and gdb: where a running program may be watched.
 *
 * A probe is one nop instruction and a note in the program's file that tells where its arguments
 * are; a process that is not watched pays for no more. docs/tracing.md lists the probes by program,
 * with their arguments, for people; tests/probes compares that list with the programs' notes. Texts
 * are zero-terminated and never payload or secrets.
 */
#ifndef POSTERN_CORE_PROBE_H
#define POSTERN_CORE_PROBE_H

#include <sys/sdt.h>

/* relay, agent: number as in the log; peer is the asking agent ("public"), or the other one ("") */
#define PROBE_SESSION_OPENED(number, peer, service)                                                \
	DTRACE_PROBE3(postern, session_opened, number, peer, service)
/* relay, agent: ending as in docs/endings.md; bytes to the service and back */
#define PROBE_SESSION_CLOSED(number, ending, up, down, ms)                                         \
	DTRACE_PROBE5(postern, session_closed, number, ending, up, down, ms)
/* relay: one direction of a session; side 0: from the asking side */
#define PROBE_FLOW_STATE(number, side, from, to)                                                   \
	DTRACE_PROBE4(postern, flow_state, number, side, from, to)
/* relay: a connection by its id */
#define PROBE_CONN_PHASE(id, from, to) DTRACE_PROBE3(postern, conn_phase, id, from, to)
/* agent: one relay's link, told apart by its address in memory */
#define PROBE_LINK_PHASE(link, from, to) DTRACE_PROBE3(postern, link_phase, link, from, to)
/* natd: a mapping by its id; why is the sentence to the new state */
#define PROBE_MAPPING_STATE(id, from, to, why)                                                     \
	DTRACE_PROBE4(postern, mapping_state, id, from, to, why)

#endif
