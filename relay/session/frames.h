/* SPDX-License-Identifier: Apache-2.0 */
/* frames: Postern's messages inside our TLS, for links and legs alike. */
#ifndef POSTERN_RELAY_SESSION_FRAMES_H
#define POSTERN_RELAY_SESSION_FRAMES_H

#include "relay/front/conn.h"
#include "relay/front/front.h"

/* Agents and consoles: what begins with a frame's version. The first frame says what the
 * connection is: HELLO a link or a console, LEG a leg. */
extern const struct front_protocol protocol_frames;

/* more: another frame, or a part of it, had come when m was taken. */
typedef void frame_fn(struct conn *c, const struct wire_message *m, bool more);

/* Decrypts, gathers and decodes frames, and hands each to handle while the phase stays. Refuses
 * messages with an unknown critical extension, except OPEN: that has an answer of its own. */
void frames_input(struct conn *c, const uint8_t *data, size_t len, frame_fn *handle);

/* link.c and leg.c: what begins with these. */
void link_begin(struct conn *c, const struct wire_message *hello);
void leg_begin(struct conn *c, const struct wire_message *leg);

#endif
