/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control: calls over a Unix socket, from people and programs on this host; docs/nat.md.
 *
 * JSON-RPC, one object per line, as on the relay's socket. Whoever can connect may look, since
 * nothing here is secret; root and natd's own user may also act.
 */
#ifndef POSTERN_PORTMAP_CONTROL_H
#define POSTERN_PORTMAP_CONTROL_H

#include "portmap/natd.h"

#define CONTROL_CONNECTIONS_MAX 32u
#define CONTROL_PROBES_MAX	8u /* waiting for an answer */

/* A listening socket at path, before isolation; what a dead natd left there goes. Returns it, or
 * -errno (-EADDRINUSE: another natd listens). */
int control_listen(const char *path) MUST_CHECK;
/* Takes the listener over. NULL without memory. */
struct control *control_new(struct natd *n, int listener) MUST_CHECK;
/* Ends; idle when it returns true, else ask again later. NULL is idle. */
bool control_stop(struct control *c) MUST_CHECK;
void control_free(struct control *c);

/* Events; all harmless with NULL. Addresses are texts without a port; old NULL: none. */
/* Also with the same state: a granted one may be elsewhere outside. */
void control_mapping_changed(struct control *c, const struct portmap_mapping *m,
			     enum mapping_state old);
/* Others are wanted. */
void control_mappings_changed(struct control *c);
void control_path_changed(struct control *c, enum portmap_protocol p, enum portmap_family f);
void control_external_changed(struct control *c, const char *now, const char *old);
void control_network_changed(struct control *c);
void control_verdict_changed(struct control *c);

#endif
