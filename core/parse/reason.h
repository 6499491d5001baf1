/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reason: every refusal's code, name and sentence, once.
 *
 * Codes below 100 may cross the wire (BYE, REFUSE, FAIL, RESULT) and never change their number;
 * codes from 100 are the relay's own counts for connections that end before they speak Postern.
 * docs/protocol.md lists the same table; tests/unit/protocol_doc_test compares them.
 */
#ifndef POSTERN_PARSE_REASON_H
#define POSTERN_PARSE_REASON_H

#include <stdbool.h>

#include "core/must_check.h"

#define REASONS(X)                                                                                 \
	X(0, OK, "no error")                                                                       \
	X(1, PROTOCOL, "the peer sent a malformed or unexpected message; update the older side")   \
	X(2, VERSION, "the peer speaks another protocol version; update the older side")           \
	X(3, CERT_UNTRUSTED,                                                                       \
	  "the certificate is not signed by this relay's CA; issue one with 'postern pki issue'")  \
	X(4, CERT_EXPIRED,                                                                         \
	  "the certificate has expired; issue a new one with 'postern pki issue'")                 \
	X(5, CERT_ROLE, "the certificate is for another role or name")                             \
	X(6, PROOF, "the proof of possession does not match this connection")                      \
	X(7, REPLACED,                                                                             \
	  "another connection signed in with this agent's name; every agent needs a name of its "  \
	  "own")                                                                                   \
	X(8, DRAINING, "the relay is draining; use another relay or try again later")              \
	X(9, AGENT_OFFLINE,                                                                        \
	  "the agent is not connected to this relay; check that it runs and its name is right")    \
	X(10, SERVICE_UNKNOWN,                                                                     \
	  "the agent does not publish this service; check the name or publish it there")           \
	X(11, NOT_ALLOWED,                                                                         \
	  "you are not allowed to use this service; ask its owner or the relay's operator")        \
	X(12, TIMEOUT, "the other side did not answer in time; check that it is alive")            \
	X(13, TARGET_UNREACHABLE,                                                                  \
	  "the published service could not be reached from its agent; check that it runs")         \
	X(14, TARGET_NAME, "the published service's host name could not be resolved by its agent") \
	X(15, LIMIT_SESSIONS, "the limit of sessions is reached; close some or raise the limit")   \
	X(16, LIMIT_LEGS, "the limit of legs is reached; close some or raise the limit")           \
	X(17, LIMIT_AGENTS, "the limit of connected agents is reached; raise limits.agents")       \
	X(18, LIMIT_SERVICES, "more services are published than the relay accepts; publish fewer") \
	X(19, LIMIT_MEMORY, "the relay has no memory left for new work; try again later")          \
	X(20, PEER_GONE, "the other side went away before the session began; try again")           \
	X(21, LINK_GONE, "the link that this leg belongs to is gone; sign in again")               \
	X(22, PEER_IDENTITY, "the far end is not the agent that was asked for")                    \
	X(23, SHUTDOWN, "the other side is shutting down")                                         \
	X(24, REVOKED, "this identity has been revoked; ask the operator for a new one")           \
	X(25, KICKED, "an operator of the relay ended this; ask them, or connect again")           \
	X(26, EXTENSION,                                                                           \
	  "a message has an extension that the side refusing it does not know; update that side")  \
	X(27, LIMIT_LINKS,                                                                         \
	  "this certificate has as many links as one may have; end some, or issue one for each "   \
	  "user")                                                                                  \
	X(28, LIMIT_PLACES,                                                                        \
	  "all places for agents, or for consoles, are taken; close some or raise "                \
	  "limits.connections")                                                                    \
	X(29, LIMIT_RATE,                                                                          \
	  "too many sign-ins or legs a second; try again later, or raise "                         \
	  "limits.sign_ins_per_source or handshakes_per_source")                                   \
	X(30, LINK_ELSEWHERE,                                                                      \
	  "this leg's link is at another relay: the name leads to several; give each relay a "     \
	  "name of its own")                                                                       \
	X(100, DEADLINE_HELLO, "no complete ClientHello arrived in time")                          \
	X(101, DEADLINE_HANDSHAKE, "the TLS handshake did not finish in time")                     \
	X(102, DEADLINE_FIRST, "nothing was said in time after the TLS handshake")                 \
	X(103, HELLO_GARBAGE, "the first bytes are not a TLS ClientHello")                         \
	X(104, HELLO_TOO_LARGE, "the ClientHello is larger than limits.client_hello_bytes")        \
	X(105, HELLO_AMBIGUOUS, "the ClientHello contradicts itself and was refused")              \
	X(106, PLAIN_HTTP, "plain HTTP was sent to the TLS port")                                  \
	X(107, PROXY_HEADER, "the PROXY protocol header is missing or malformed")                  \
	X(108, HANDSHAKE_FAILED, "the TLS handshake failed")                                       \
	X(109, LIMIT_CONNECTIONS, "the limit of connections is reached; raise limits.connections") \
	X(110, LIMIT_SOURCE,                                                                       \
	  "made room: its source had too many unproven connections; raise limits.per_source")      \
	X(111, GONE_EARLY, "the peer closed before it said anything")                              \
	X(112, DEADLINE_IDLE, "nothing was heard from the peer for too long")                      \
	X(113, HTTP_BAD, "the HTTP request is malformed or too large")                             \
	X(114, STUN_GARBAGE, "what came on a connection for STUN is no STUN message")              \
	X(115, LIMIT_STUN, "a connection asked by STUN as often as one may; ask on another")       \
	X(116, NOT_READING, "the peer did not read, and too much waited for it")                   \
	X(117, LIMIT_UNPROVEN,                                                                     \
	  "made room: too many connections were unproven, most from its source; raise "            \
	  "limits.unproven")                                                                       \
	X(118, LIMIT_PUBLIC_SOURCE,                                                                \
	  "too many public sessions of one source; raise limits.public_per_source")                \
	X(119, LIMIT_PUBLIC,                                                                       \
	  "too many public sessions, of one name or in all; raise limits.public_per_name or "      \
	  "limits.public")                                                                         \
	X(120, LIMIT_HANDSHAKES,                                                                   \
	  "too many handshakes a second, of its source or in all; raise "                          \
	  "limits.handshakes_per_source or limits.handshakes")                                     \
	X(121, LIMIT_REQUESTS,                                                                     \
	  "too many requests a second, of its source or in all; raise "                            \
	  "limits.requests_per_source or limits.requests")                                         \
	X(124, SIGNER, "the relay's signer did not sign a handshake in time; see the relay's log")

enum reason {
#define X(number, name, sentence) REASON_##name = number,
	REASONS(X)
#undef X
};

#define REASON_MAX	    128 /* above every number: the size of a table of counters */
#define REASON_WIRE_END	    100 /* the first code that never crosses the wire */
#define REASON_SENTENCE_MAX 120 /* bytes; fits every text16 of the protocol */

/* "AGENT_OFFLINE", or "UNKNOWN" for a number that is not in the table. */
const char *reason_name(unsigned code);
/* The sentence for people; never NULL. */
const char *reason_sentence(unsigned code);
/* A text that comes with it is what there is to say: the sentence would stand before another
 * cause. */
bool reason_says_text(unsigned code) MUST_CHECK;

#endif
