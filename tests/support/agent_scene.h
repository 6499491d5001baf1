/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_scene: an agent's sessions on a ring of their own, between a local connection and a far end
 * that a test plays by hand: with any certificate, any message, at any time.
 *
 * What lies around sessions is the test's: links, legs, connections to targets, consoles. A leg is
 * one end of a TCP connection, whose other end is the far end's. Time can be let pass.
 */
#ifndef POSTERN_TESTS_AGENT_SCENE_H
#define POSTERN_TESTS_AGENT_SCENE_H

#include "tests/support/ring_fixture.h"

#include "agent/engine/inner.h"
#include "agent/session/publish.h"
#include "agent/session/request.h"
#include "tests/support/certs.h"

#define DAY	   86400L
#define SCENE_OPEN 15000u /* config.open_ms */

/* The peer of the agent's: what came after GO, at the other end of the leg. */
struct far_end {
	int fd; /* -1: it has closed */
	struct identity *identity;
	SSL_CTX *context;
	struct inner inner;
	bool shaken, eof, reset;
	bool mute;	      /* reads nothing more */
	uint8_t got[1 << 16]; /* of the inner session */
	size_t got_len;
};

/* A call for a leg that waits for the test's answer. */
struct leg_wanted {
	bool there;
	leg_call_done_fn *done;
	void *owner;
	enum wire_type type;
	char to[WIRE_NAME_MAX + 1];
	uint64_t session;
};

struct agent_scene {
	struct ring_fixture *f;
	struct agent_worker worker;
	struct agent_setup setup;
	struct agent_config config;
	struct agent_publish published;
	struct agent_links links;
	struct agent_link link[2];     /* usable, both */
	struct revocations revoked[2]; /* by the word of each */
	struct agent_sessions sessions;
	struct far_end far;
	struct leg_wanted leg;
	int leg_fd;
	int local, theirs;  /* the local connection: the agent's end, and ours; -1: none */
	unsigned cancelled; /* calls for legs */
	unsigned renewed;   /* likewise: wanted a fresh one */
	unsigned asked;	    /* links, whether they live */
	struct agent_link *asked_last;

	/* What became of it. */
	unsigned opened, closed, refused, ended;
	/* Of the last that was refused. */
	enum reason reason;
	char role[16], ending[ENDING_CODE_BYTES];
	char text[WIRE_TEXT_MAX + 64];
	enum reason end_reason; /* what the asker was told */
	char end_why[WIRE_TEXT_MAX + 64];
	/* Of the last REFUSE to a relay. */
	unsigned refuses;
	enum reason refuse_reason;
	char refuse_text[WIRE_TEXT_MAX + 64];
	enum reason sent_away; /* by the first relay, whose link is down for it */
	/* Of the last PROVE to a relay. */
	unsigned proofs;
	uint64_t proved_session;
	uint8_t proof[WIRE_SIGNATURE_MAX];
	size_t proof_len;
	/* Of ENDED to a relay. */
	bool hears_ends; /* there is a link to say it on */
	unsigned ends;
	uint64_t ends_session;
	enum ending_cause ends_cause;
	/* The target that is wanted, or the console. */
	bool target_wanted;
	connector_done_fn *target_done;
	void *target_owner;
	unsigned consoles;
	char console[WIRE_NAME_MAX + 1];
};

/* The agent is "home" of a CA that the group's setup makes. It publishes "web" to all. */
int agent_scene_make_ca(void **state);
int agent_scene_free_ca(void **state);
/* Of the envelope, in each GO. */
#define AGENT_SCENE_SECRET "a secret of 32 bytes, out of GO"

extern struct certs_ca agent_scene_ca, agent_scene_other_ca;

/* This link's relay says that all certificates of this name are revoked. */
void agent_scene_revoke(struct agent_scene *s, unsigned link, const char *name);
struct agent_scene *agent_scene_begin(void **state);
/* Nothing may be left of any session. */
void agent_scene_end(struct agent_scene *s);

/* Lets ring and far end work for so long. */
void agent_scene_run(struct agent_scene *s, uint64_t ms);
/* Lets time pass: all deadlines within it fire. */
void agent_scene_pass(struct agent_scene *s, uint64_t ms);

/* A local connection asks for to/service; what comes out is kept in the scene. */
void agent_scene_ask(struct agent_scene *s, const char *to, const char *service);
/* An OFFER of session 77, by an agent or of a public client. */
struct wire_message agent_scene_offer_of(enum wire_offer_kind kind, const char *service);
/* The relay offers a session; one that is to stay in the leg's own TLS. */
void agent_scene_offer(struct agent_scene *s, enum wire_offer_kind kind, const char *service);
void agent_scene_offer_outer(struct agent_scene *s, enum wire_offer_kind kind, const char *service);

/* Gives the call that waits its leg. The far end gets the other end of it: as server or client of
 * an inner session with this certificate (NULL ca: no inner session). */
void agent_scene_give_leg(struct agent_scene *s, const struct certs_ca *ca, enum identity_role role,
			  const char *name, bool far_is_server);
/* Gives it one whose own TLS goes on: the far end is the relay. */
void agent_scene_give_outer_leg(struct agent_scene *s);
/* Tells the call that waits why there is none. */
void agent_scene_fail_leg(struct agent_scene *s, enum reason reason, const char *text);
/* The target answers, or does not (-1). */
void agent_scene_connect_target(struct agent_scene *s, bool connects);

/* Until the far end's handshake is done, it has failed, or a second is over. */
void far_shake(struct agent_scene *s);
void far_say(struct agent_scene *s, const struct wire_message *m);
void far_write(struct agent_scene *s, const void *bytes, size_t len);
/* Waits for a message of the agent's; false: none came. *m points into the far end. */
bool far_hear(struct agent_scene *s, struct wire_message *m);
/* Closes its end, with a reset or without. */
void far_close(struct agent_scene *s, bool reset);
void far_result(struct agent_scene *s, enum reason reason, const char *text);
void far_request(struct agent_scene *s, const char *service);

#endif
