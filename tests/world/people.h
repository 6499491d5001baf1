/* SPDX-License-Identifier: Apache-2.0 */
/*
 * people: what stands around Postern in a world: local applications, services, visitors, strangers.
 *
 * People share a host, a program and a ring. A talk is one stream of bytes both ways between one
 * who asks and one who is asked; what each of them will do (how much to send, when to pause, how to
 * end) is decided when the talk is planned, and what each of them saw is held against it at the
 * end:
 *
 *   - bytes arrive whole and in order;
 *   - a side that sees a clean end has all that the other sent, and the other ended cleanly;
 *   - where nothing disturbs, everything arrives;
 *   - every talk ends.
 */
#ifndef POSTERN_TESTS_WORLD_PEOPLE_H
#define POSTERN_TESTS_WORLD_PEOPLE_H

#include <openssl/ssl.h>

#include "core/addr.h"
#include "core/engine/tls.h"
#include "tests/world/world.h"

struct talker;

struct people {
	struct k_host *host;
	struct k_program *program;
	struct ring *ring;
	struct answerer *answerers;
	size_t busy;	     /* talkers that live */
	struct talker *dead; /* the last that ended: the caller may still look at it */
};

void people_start(struct people *p, const char *name, struct k_host *host);
/* All their talks must be over. */
void people_stop(struct people *p);

/* ---- talks ---- */

enum talk_ending {
	ENDS_CLEANLY, /* half-closes after its last byte, and waits for the other's end */
	ENDS_BY_RESET,
	ENDS_BY_CLOSE, /* closes without a look at what may still come */
};

#define TALK_PRELUDE_MOST 96u

struct talk_plan {
	uint64_t bytes;
	enum talk_ending ending;
	uint32_t write_most, read_most; /* of one call */
	uint64_t pause_at, pause_us;	/* reads no further for so long; 0: no pause */
	uint64_t rest_at, rest_us;	/* writes no further for so long; likewise */
};

struct talk_side {
	struct talk_plan plan;
	uint64_t sent, got;
	bool begun, eof, fin_sent, broke_off, failed, over;
	bool cut; /* TLS: the wire ended without a word */
	int error;
};

/* What a proxy on the way is told before the talk, and what it must answer. */
struct talk_prelude {
	uint8_t says[TALK_PRELUDE_MOST], answers[TALK_PRELUDE_MOST];
	size_t says_len, answers_len;
	bool at_once; /* the talk follows in the same breath: the answer is not waited for */
};

struct talk {
	unsigned id;
	struct talk_side side[2]; /* the asker, the asked */
	bool disturbed;		  /* something may have kept it from going well */
	bool agent_died;	  /* beside one of them, whose kernel ends in order what it had */
	bool perhaps_elsewhere;	  /* another service may answer, whose words mean nothing */
	bool secure;		  /* TLS, as a visitor of a public service */
	bool site;		  /* likewise, as one of a web site: begins with PEOPLE_REQUEST */
	char server_name[64];
	struct talk_prelude prelude; /* without TLS only */
	uint64_t began_us;
};

#define TALKS_MAX 256u

/* What a talk with a web site begins with; the rest is its body, as far as HTTP knows. */
#define PEOPLE_REQUEST "POST /talk HTTP/1.1\r\nHost: relay-a\r\nContent-Length: 99999999\r\n\r\n"

/* Forgets all talks. */
void talks_begin(void);
/* A talk of random sizes and habits, at most so many bytes each way. */
struct talk *talk_plan(struct dice *dice, uint64_t most_bytes);
/* Connects there now, from p. */
void talk_start(struct talk *t, struct people *p, const struct addr *to);
/* p answers talks at this port of all its addresses; with context: by TLS. */
void people_answer(struct people *p, uint16_t port, SSL_CTX *context);
/* The same, behind PEOPLE_REQUEST. */
void people_answer_site(struct people *p, uint16_t port);
bool talk_over(const struct talk *t);
bool talks_over(void *unused);
/* All that began and are not over may have been disturbed. */
void talks_disturb(void);
/* The same by the death of an agent that may have a part in it. */
void talks_lose_agent(void);
/* Checks what each of them saw. */
void talks_judge(void);
size_t talks_count(void);
struct talk *talk_at(size_t i);

/* Contexts for visitors and for a public service; made once in a process. */
SSL_CTX *people_visitor_context(void);
SSL_CTX *people_service_context(void);
void people_prepare(void);

#endif
