/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ending: how a session ended, in three letters, as HAProxy's termination flags tell it.
 *
 *   S D K     the program that wrote the record ended it, while bytes flowed: kicked
 *   │ │ └ why     ending_cause
 *   │ └── when    ending_phase
 *   └──── who     ending_side
 *
 * "---" is the ordinary end. Relay and agents write the same letters into log lines, events and
 * audit records; docs/endings.md is the same table for people, and tests/unit/ending_test compares
 * them. A letter never changes its meaning.
 */
#ifndef POSTERN_PARSE_ENDING_H
#define POSTERN_PARSE_ENDING_H

#include <stdbool.h>

#include "core/must_check.h"
#include "core/parse/reason.h"

/* X(letter, NAME, sentence) */
#define ENDING_SIDES(X)                                                                            \
	X('-', BOTH, "both sides ended it, in order")                                              \
	X('A', ASKING, "the asking agent or public client; written by relays")                     \
	X('P', PUBLISHING, "the publishing agent; written by relays")                              \
	X('L', LOCAL, "the local connection: the client or the target; written by agents")         \
	X('F', FAR, "what is behind the leg: the relay or the other agent; written by agents")     \
	X('S', SELF, "the program itself that wrote the record")

#define ENDING_PHASES(X)                                                                           \
	X('-', DONE, "after the end of both directions")                                           \
	X('O', OPENING, "asked for, before GO")                                                    \
	X('G', GOING, "GO was leaving, the two legs were being joined")                            \
	X('H', HANDSHAKE, "between the agents: inner TLS, REQUEST and RESULT")                     \
	X('T', TARGET, "the target was being dialled")                                             \
	X('D', DATA, "bytes flowed both ways")                                                     \
	X('E', HALF, "one direction had ended, the other flowed")

#define ENDING_CAUSES(X)                                                                           \
	X('-', FINISHED, "it was over")                                                            \
	X('R', RESET, "the connection was reset, or closed where that is no end")                  \
	X('X', CUT, "the bytes stopped without the end that a session has (close_notify)")         \
	X('T', LINE, "the line broke: the kernel gave up waiting, or has no route any more")       \
	X('E', SYSTEM, "another error of the operating system")                                    \
	X('B', BYTES, "what came is no message, no TLS or no envelope")                            \
	X('M', MEMORY, "there was no memory or descriptor left")                                   \
	X('L', LIMIT, "a limit of sessions, legs, agents or services was reached")                 \
	X('W', TIME, "the time was over that a rule or grant gives")                               \
	X('U', UNGRANTED, "the grant was taken back")                                              \
	X('C', RULES, "the rules were changed")                                                    \
	X('N', NOT_ALLOWED, "no rule or list allows it")                                           \
	X('K', KICKED, "an operator ended it")                                                     \
	X('V', REVOKED, "an agent's identity was revoked")                                         \
	X('F', EXPIRED, "the time of an agent's certificate was over")                             \
	X('A', UNTRUSTED, "the CA of an agent's certificate is not trusted, or not any more")      \
	X('D', DRAINING, "the relay drained: it begins no session, or the time was over")          \
	X('S', SHUTDOWN, "the program was told to stop")                                           \
	X('G', GONE, "the other side was gone before the session began")                           \
	X('J', IDLE, "no byte had come for as long as that may last")                              \
	X('Q', DEADLINE, "no answer came in time")                                                 \
	X('O', OFFLINE, "the agent asked for was not connected, or no relay was")                  \
	X('Y', SERVICE, "the agent asked for does not publish the service")                        \
	X('P', PORT, "the target could not be reached")                                            \
	X('H', HOST, "the target's host name could not be resolved")                               \
	X('I', IDENTITY, "a certificate or proof was not the one that it had to be")               \
	X('Z', VERSION, "a version or extension was not understood")

enum ending_side {
#define X(letter, name, sentence) ENDING_##name,
	ENDING_SIDES(X)
};

enum ending_phase { ENDING_PHASES(X) };

enum ending_cause {
	ENDING_CAUSES(X)
#undef X
};

struct ending {
	enum ending_side side;
	enum ending_phase phase;
	enum ending_cause cause;
};

#define ENDING_CODE_BYTES 4 /* three letters and a zero byte */

/* Writes the letters; returns out. */
const char *ending_code(struct ending e, char out[ENDING_CODE_BYTES]);

/* What a cause says, as in the table above. */
const char *ending_sentence(enum ending_cause cause);
/* What an agent may say that it has ended a running session for, by itself: rights that have ended
 * there, an identity that was another one, and want of memory. */
bool ending_by_agent(enum ending_cause cause) MUST_CHECK;
/* The letter of a cause, as a text; and back: false, *out untouched, for one that is not known. */
const char *ending_letter(enum ending_cause cause);
bool ending_of_letter(char letter, enum ending_cause *out) MUST_CHECK;
/* Why, for a reason that crossed the wire or that policy gave. */
enum ending_cause ending_of_reason(enum reason reason);
/* Why, for an errno of a socket. */
enum ending_cause ending_of_errno(int error);

#endif
