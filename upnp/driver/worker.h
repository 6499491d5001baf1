/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker: the process that speaks UPnP with the LAN, and nothing else.
 *
 * It serves requests (messages.h) one after the other over a stream socket, and ends with it.
 * Before the first one it gives up files, programs, processes, signals to others, and any memory
 * beyond WORKER_MEMORY_BYTES (seccomp, Landlock, limits): it can open IPv4 and IPv6 sockets, which
 * is its duty. What it sends where is decided by its own checks, and natd checks what it answers; a
 * worker that was taken over could still talk to the LAN, and lie about mappings, as the gateway
 * could.
 *
 * Time is limited three times: by each wait's deadline; by a timer that ends the worker a second
 * after a request's time; and from outside, where the driver has it killed.
 */
#ifndef POSTERN_UPNP_DRIVER_WORKER_H
#define POSTERN_UPNP_DRIVER_WORKER_H

#include "core/isolation.h"
#include "upnp/driver/igd.h"

#define WORKER_MEMORY_BYTES (64u << 20)
#define WORKER_CPU_S	    4

/* What launcher and worker together may do, for struct launcher_plan. */
const struct isolation_plan *upnp_worker_launch_plan(void);
/* Confines the process and serves fd until it ends or the worker must; the launcher's serve(). */
void upnp_worker_main(int fd);
/* Only the first half of it; 0 or -errno. */
int upnp_worker_confine(void) MUST_CHECK;

/* What each duty does (worker_duties.c): fills all of *a but its number. g->exchange has our
 * address and the deadline. */
void worker_inspect(struct igd *g, const struct upnp_request *r, struct upnp_answer *a);
/* Of it the part for one family: a->ok is true before, and false after where nothing can be asked
 * for. */
void worker_inspect_mappings(struct igd *g, const struct igd_description *d, struct upnp_answer *a);
void worker_inspect_pinholes(struct igd *g, const struct igd_description *d, struct upnp_answer *a);
void worker_map(struct igd *g, const struct upnp_request *r, struct upnp_answer *a);
void worker_unmap(struct igd *g, const struct upnp_request *r, struct upnp_answer *a);
void worker_look(struct igd *g, const struct upnp_request *r, struct upnp_answer *a);
void worker_address(struct igd *g, const struct upnp_request *r, struct upnp_answer *a);
void worker_pinhole(struct igd *g, const struct upnp_request *r, struct upnp_answer *a);
void worker_unpinhole(struct igd *g, const struct upnp_request *r, struct upnp_answer *a);

/* Not ok, because of this. */
void worker_refuse(struct upnp_answer *a, enum portmap_failure failure, const char *why);
/* Not ok, because of code (struct igd). */
void worker_fail(struct upnp_answer *a, int code);

#endif
