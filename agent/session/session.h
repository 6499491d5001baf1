/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session: what an asked-for and a published session have in common: a place in the table of all, a
 * stream, and what the log and the owner of the table hear of it.
 */
#ifndef POSTERN_AGENT_SESSION_SESSION_H
#define POSTERN_AGENT_SESSION_SESSION_H

#include "agent/config/setup.h"
#include "agent/engine/candidates.h"
#include "agent/engine/proved.h"
#include "agent/relays/links.h"
#include "agent/session/stream.h"
#include "agent/worker/worker.h"
#include "core/engine/proving.h"
#include "core/parse/wire.h"
#include "core/program/look.h"
#include "core/table.h"

#define AGENT_CONSOLE_SESSIONS_MAX 16u /* at a time; beside config.max_sessions */
#define AGENT_WORD_MS		   500u /* a relay's word on why a session was reset may be so late */
#define AGENT_OFFERS_MAX	   256u /* of one relay, before the other agent has proved itself */

struct agent_session;
struct agent_sessions;

/*
 * What one relay has made of sessions that no agent has proved by its certificate: offers until
 * their REQUEST has been allowed, and public sessions as long as they run. A relay can invent as
 * many as it likes, so it has an equal part of the agent's places only, and those of other relays
 * stay free.
 */
struct relay_share {
	struct relay_share *next;
	char relay[ENDPOINT_TEXT_BYTES];
	size_t consoles, shaking, others; /* the last two: of agents, and public ones */
};

/* What never became a session. Borrowed. */
struct agent_refusal {
	const char *role;	    /* as agent_session_role() */
	const char *peer, *service; /* "": not known */
	struct ending ending;
	enum reason reason;
	const char *text; /* says more than the reason; "": its sentence speaks */
};

/* What the owner of the table hears, and is asked for. */
struct agent_sessions_events {
	void (*opened)(const struct agent_session *s);
	/* It was opened. */
	void (*closed)(const struct agent_session *s);
	/* r->text: never "". */
	void (*refused)(const struct agent_sessions *all, const struct agent_refusal *r);
	/* What peers are told of where this agent can be reached without a relay. */
	void (*candidates)(const struct agent_sessions *all, struct candidates *out);
	/* A console has come by this relay, with this certificate: a socket on which its calls are
	 * answered, or -1. */
	int (*console)(struct agent_sessions *all, struct credential *credential,
		       const char *relay);
};

/* All sessions of one worker. */
struct agent_sessions {
	struct agent_worker *worker;
	const struct agent_setup *setup;
	struct agent_links *links;
	const struct agent_sessions_events *events;
	struct agent_session *first; /* the newest */
	struct agent_session *by_number_there;
	struct relay_share *shares; /* of relays that have any */
	size_t count, consoles;	    /* the second: of those, with consoles */
	struct timer prover;	    /* prove.c's: while a session has something to prove */
	uint64_t last_number;
	struct proved proved; /* by the peers of sessions */
	struct look look;     /* at when an answer of agent_session_judge() changes */
	struct timer judging; /* agent_sessions_judge_soon()'s */
	struct timer alive;   /* alive.c's: while there are sessions */
	unsigned alive_turn;
	uint64_t judged_ms; /* when all were judged; 0: never */
	struct {
		uint64_t sessions, failed, up_bytes, down_bytes;
	} totals;
};

struct agent_session {
	struct agent_sessions *all;
	struct agent_worker *worker; /* the table's */
	struct agent_session *next, *prev;
	uint64_t number, started_ms;
	bool asking;
	bool control;	  /* a console's, with the agent itself; has a limit of its own */
	bool public_kind; /* its client is no agent */
	bool opened;
	bool refused;		      /* that has been told */
	struct relay_share *share;    /* where it is counted; NULL: nowhere */
	char peer[WIRE_NAME_MAX + 1]; /* the other agent; "" for a public session */
	char service[WIRE_NAME_MAX + 1];
	char relay[ENDPOINT_TEXT_BYTES];
	uint64_t number_there; /* the relay's number of it; 0: none yet */
	UT_hash_handle hh;     /* by that, of all with one */
	struct {
		time_t until;	  /* when the certificate ends that the peer was shown */
		uint64_t due_ms;  /* when a newer one is proved again; 0: there is none */
		uint64_t wait_ms; /* and how long after that */
	} shown;		  /* prove.c's */
	struct proving proving;	  /* what its peer has said to prove */
	struct timer late;	  /* waits for the relay's word, */
	void (*over)(struct agent_session *s); /* then this; NULL: it does not wait */
	struct proved_hold proof;	       /* by the peer; of none: it has proved nothing yet */
	struct ending ending;		       /* how it ended, or was refused */
	struct candidates *candidates;	       /* the peer's own word; NULL: none; owned */
	/* Ends it at once; the reset reaches both sides. */
	void (*stop)(struct agent_session *s, enum reason reason, const char *why);
	/* May it go on by the configuration in force? NULL: that has no say. *why is set where
	 * there is more to say than the reason's sentence. */
	enum reason (*allowed)(const struct agent_session *s, const char **why);
	/* A link is usable again; NULL when it does not wait for one. */
	void (*wake)(struct agent_session *s);
	/* This link does not answer; NULL when it waits for none. */
	void (*silent)(struct agent_session *s, const struct agent_link *l);
	struct stream stream;
};

/* How many small buffers so many sessions may need, and as many consoles as there may be. */
size_t agent_sessions_buffers(uint64_t max_sessions);
/* Another limit is in force. False without memory: as before. */
bool agent_sessions_set_max(struct agent_sessions *all, uint64_t max_sessions) MUST_CHECK;
/* A link became usable, or none will: those that wait for one look again. */
void agent_sessions_wake(struct agent_sessions *all);
/* This link's relay does not answer: those that wait for it go to another. */
void agent_sessions_silent(struct agent_sessions *all, const struct agent_link *l);
/* Ends the sessions that may not go on; called when names are revoked, when another configuration
 * is in force, and by the clock. */
void agent_sessions_judge(struct agent_sessions *all);
/* The same when a relay has said something: at once, and again in AGENT_JUDGE_MS, however often one
 * says something that changes answers. */
#define AGENT_JUDGE_MS 250u
void agent_sessions_judge_soon(struct agent_sessions *all);
/* There are sessions: from now on, while there are any, dead lines are looked for (alive.c). */
void agent_sessions_look_alive(struct agent_sessions *all);
/* Ends all. */
void agent_sessions_stop(struct agent_sessions *all, const char *why);

/* False at the limit of config.max_sessions, or of consoles' sessions. */
bool agent_session_add(struct agent_sessions *all, struct agent_session *s) MUST_CHECK;
void agent_session_remove(struct agent_session *s);
/* Counts a session that is offered, whose control, public_kind and relay are set, against its
 * relay. NULL, or a sentence on why it has no place. */
const char *agent_session_take_share(struct agent_sessions *all,
				     struct agent_session *s) MUST_CHECK;
/* The other agent has proved itself, or the session ends: its relay has the place back. Harmless
 * twice. */
void agent_session_leave_share(struct agent_sessions *all, struct agent_session *s);

/* The peer has proved this by the inner handshake. False without memory. */
bool agent_session_proved(struct agent_session *s, const struct identity_peer *peer) MUST_CHECK;
/* May it begin, or go on: our own certificate, the peer's, revocations, and what is published. With
 * REASON_OK it is asked again in time. *why: a sentence for people, where there is more to say than
 * the reason's; else NULL. */
enum reason agent_session_judge(struct agent_session *s, const char **why) MUST_CHECK;

/* Each tells log and owner, and counts. */
void agent_session_opened(struct agent_session *s);
/* Its stream has ended. over() is called then, which frees: at once, or a moment later where a
 * reset may have been faster than the relay's word on it. */
void agent_session_closed(struct agent_session *s, void (*over)(struct agent_session *s));
/* It waits for that no more: over() has been called. reason: why it must end now. False: it did not
 * wait. */
bool agent_session_close_now(struct agent_session *s, enum reason reason, const char *why);
/* Of a stream (struct stream_events): the relay of its session hears why our side has ended it. */
bool agent_session_tell_relay(struct stream *st) MUST_CHECK;
/* The relay of l says that it has ended a session, or that its other agent has. */
void agent_session_told(struct agent_sessions *all, const struct agent_link *l,
			const struct wire_message *m);
/* The relay of l has turned this agent away: what it has just reset it reset for that. */
void agent_sessions_cut_off(struct agent_sessions *all, const struct agent_link *l,
			    enum reason reason, const char *why);
/* GO has told by which number its relay knows it. Without memory it cannot be found by that. */
void agent_session_numbered(struct agent_session *s, uint64_t number);
/* The session that the relay of this label knows by this number; NULL: none. Of several with one
 * number (an agent's with itself; what another relay makes up) one is looked at. */
struct agent_session *agent_session_there(struct agent_sessions *all, const char *relay,
					  uint64_t number);
/* The same of what has no place in the table. */
void agent_sessions_refused(struct agent_sessions *all, const struct agent_refusal *r);
/* Never opened: who would not have it, and why, which is kept in s->ending. text may be "": the
 * reason's sentence speaks then. The first word counts; later ones are passed over. */
void agent_session_refused(struct agent_session *s, enum ending_side who, enum reason reason,
			   const char *text);

/* Keeps and logs where the peer says that it can be reached. */
void agent_session_candidates(struct agent_session *s, const struct wire_candidates *from);

/* Says a few bytes to a local side that has been told at most a few before: it has room for them.
 * False: it is gone, or memory is out; part of them may have left. */
bool agent_session_tell(int fd, const uint8_t *bytes, size_t len) MUST_CHECK;

const char *agent_session_role(const struct agent_session *s);

#endif
