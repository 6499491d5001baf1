/* SPDX-License-Identifier: Apache-2.0 */
/* programs: relays and agents of a world: started and stopped as their main() would. */
#ifndef POSTERN_TESTS_WORLD_PROGRAMS_H
#define POSTERN_TESTS_WORLD_PROGRAMS_H

#include "agent/agent.h"
#include "core/program/signals.h"
#include "relay/control/control.h"
#include "relay/keeper/internal.h"
#include "relay/relay.h"
#include "relay/signer/internal.h"
#include "tests/support/certs.h"
#include "tests/world/world.h"

/* ---- who is who ---- */

/* Certificates are made once for all worlds of a process. */
enum who { RELAY_A, RELAY_B, HOME, LAPTOP, GUEST, ADMIN, WHO_COUNT };
extern struct certs_ca world_ca;
extern struct certs_pair world_pairs[WHO_COUNT];
const char *who_name(enum who who);
void programs_prepare(void);
/* The lines "identity:" of a configuration. */
void identity_yaml(enum who who, char *out, size_t room);

/* Makes a descriptor of the current program another's: its number there. */
int world_give_descriptor(int fd, struct k_program *to);

/* ---- a relay ---- */

struct world_relay {
	enum who who;
	struct k_host *host;
	struct k_program *program, *keeper_program, *signer_program;
	unsigned threads;
	struct relay relay;
	struct signals signals;
	struct isolation_report isolation;
	bool stopping;
	struct keeper keeper;
	struct keeper_places places;
	struct keeper_server server;
	char config_path[64], state_dir[64];
	bool keeper_dead, keeper_silent;
	bool worker_ended;	 /* the scene's: a thread of its workers' has */
	bool may_fail;		 /* likewise: a worker may be taken for lost */
	unsigned workers_failed; /* how often one was */
	struct signer signer;
	struct signer_places signer_places;
	struct signer_server signer_server;
	bool signer_dead, signer_silent; /* silent: it takes nothing until it is not */
	bool up;
};

/* config: what follows the lines that every relay of a world has (name, identity, state_dir). */
/* The limit of relays that start from now on; 0: that of any program. */
extern size_t world_relay_descriptors;
void world_relay_start(struct world_relay *r, enum who who, struct k_host *host,
		       const char *config);
/* Another text of its file, for SIGHUP and the next start. */
void world_relay_write(struct world_relay *r, const char *config);
/* At once, as the second SIGTERM does; or SIGTERM and its own time. Checks that nothing is left. */
void world_relay_kill(struct world_relay *r);
void world_relay_stop(struct world_relay *r);
/* Its signer ends, as by a signal of the kernel (out of memory). */
void world_signer_kill(struct world_relay *r);
/* Checks that nothing is counted and nothing is held for a peer; says what is. */
void world_relay_check_quiet(struct world_relay *r);
/* Sessions there that the agent of this name asked for or answers; and whether it is linked. */
unsigned world_relay_sessions_of(const struct world_relay *r, const char *name);
bool world_relay_links(const struct world_relay *r, const char *name);
/* What is on record there of the session that ended last: its code ("": none has), and *why if it
 * is not NULL. Good until the next one. */
const char *world_relay_ending(const struct world_relay *r, const char **why);

/* ---- an agent ---- */

struct world_agent {
	enum who who;
	struct k_host *host;
	struct k_program *program;
	struct agent agent;
	struct agent_config config;
	struct configuring_start start;
	struct agent_state *state;
	struct signals signals;
	char config_path[64], state_dir[64];
	bool up;
};

void world_agent_start(struct world_agent *a, enum who who, struct k_host *host,
		       const char *config);
void world_agent_write(struct world_agent *a, const char *config);
/* SIGTERM, until it has left; or from one moment to the next, as a power cut does. */
void world_agent_stop(struct world_agent *a);
void world_agent_crash(struct world_agent *a);
/* Has at least one link that can be used. */
bool world_agent_linked(const struct world_agent *a);
/* Its sessions with the agent of this name; "": with clients of the public table. */
unsigned world_agent_sessions_with(const struct world_agent *a, const char *name);

/* ---- names ---- */

/* What resolvers of all programs answer for it. */
void names_set(const char *name, const char *literal);
/* Or nothing, while no name server says a word about it. */
void names_hang(const char *name, bool hang);
void names_forget_all(void);

#endif
