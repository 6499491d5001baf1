/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control: calls over a Unix socket, from people and programs on this host; docs/nat.md.
 *
 * JSON-RPC, one object per line, as on the relay's socket. Every program that can connect may look,
 * since nothing here is secret; root and natd's own user may also act, and others ask for mappings
 * where the configuration allows them to.
 */
#ifndef POSTERN_PORTMAP_CONTROL_H
#define POSTERN_PORTMAP_CONTROL_H

#include "portmap/natd.h"

#define CONTROL_CONNECTIONS_MAX 32u
#define CONTROL_PROBES_MAX	8u /* waiting for an answer */
/* A probe sends something to the gateway, to all of the LAN (SSDP) and to STUN servers: whoever
 * asks for one sooner after the last gets what that found, with its age. */
#define CONTROL_PROBE_MS	2000u  /* root and natd's own user */
#define CONTROL_PROBE_OTHERS_MS 60000u /* every other user together */

/* A listening socket at path, before isolation; what a dead natd left there goes. Returns it, or
 * -errno (-EADDRINUSE: another natd listens). */
int natd_control_listen(const char *path) MUST_CHECK;
/* Takes the listener over. NULL without memory. */
struct natd_control *natd_control_new(struct natd *n, int listener) MUST_CHECK;
/* Ends; idle when it returns true, else ask again later. NULL is idle. */
bool natd_control_stop(struct natd_control *c) MUST_CHECK;
void natd_control_free(struct natd_control *c);

/* Events; all harmless with NULL. Addresses are texts without a port; old NULL: none. */
/* Also with the same state: a granted one may be elsewhere outside. */
void natd_control_mapping_changed(struct natd_control *c, const struct portmap_mapping *m,
				  enum mapping_state old);
/* Others are wanted. */
void natd_control_mappings_changed(struct natd_control *c);
void natd_control_path_changed(struct natd_control *c, enum portmap_protocol p,
			       enum portmap_family f);
void natd_control_external_changed(struct natd_control *c, const char *now, const char *old);
void natd_control_network_changed(struct natd_control *c);
/* What another program asked for is not wanted by it any more; name is the mapping's. */
void natd_control_ask_ended(struct natd_control *c, const struct ask *a, const char *name,
			    enum ask_end end, const char *why);
void natd_control_verdict_changed(struct natd_control *c);

#endif
