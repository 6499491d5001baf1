/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay_line: the control channel of one relay: dial, HELLO, WELCOME, then lines both ways.
 *
 * Each direction has one operation in flight: what is not sent is not read. After WELCOME the relay
 * sends JSON lines, in which no byte 2 occurs: where one does, a frame begins, and it is a BYE.
 * Without WIRE_HELLO_CONSOLE it is a sign-in alone: what the relay says after WELCOME is dropped.
 */
#ifndef POSTERN_CTL_TALK_RELAY_LINE_H
#define POSTERN_CTL_TALK_RELAY_LINE_H

#include "agent/agent.h"

struct relay_line;

struct relay_line_events {
	void (*up)(void *owner);
	/* It is over and gone; why is "" after the near side's own end. */
	void (*over)(void *owner, const char *why);
};

/* local: the descriptor that lines go to and come from; taken. NULL without memory, nothing has
 * been taken then. On a's thread. */
struct relay_line *relay_line_start(struct agent *a, const struct agent_relay *relay, uint8_t flags,
				    int local, const struct relay_line_events *events,
				    void *owner) MUST_CHECK;
/* Ends it; over() follows. */
void relay_line_stop(struct relay_line *l);

#endif
