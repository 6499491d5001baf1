/* SPDX-License-Identifier: Apache-2.0 */
/* config: what postern-agent can be told; the tables behind it are the schema and the manual. */
#ifndef POSTERN_AGENT_CONFIG_CONFIG_H
#define POSTERN_AGENT_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/conf/rows.h"
#include "core/log.h"
#include "core/ring.h"

/* The words of relays[].trust, in order: who may have signed a relay's certificate. */
enum { AGENT_TRUST_CA, AGENT_TRUST_SYSTEM };

struct agent_relay { /* relays: [{address: "relay.example.org:443", trust: ca}] */
	struct endpoint address;
	int trust;
	char *server_name; /* name to ask for and check, when it is not address's host */
};

struct agent_publish { /* publish: [{service: ssh, target: "127.0.0.1:22"}] */
	char *service;
	struct endpoint target;
	bool proxy_protocol;	 /* tell the target the client's address by PROXY v2 */
	struct conf_array allow; /* of char *: agents that may; empty: every agent of this CA */
	bool public_access;	 /* key "public": may be reached by the relay's public table */
};

struct agent_forward { /* forward: [{listen: "127.0.0.1:2222", to: home/ssh}] */
	struct addr listen;
	char *to;
	char agent[64], service[64]; /* to, split by the check */
};

enum agent_consoles { /* console: what they may */
		      AGENT_CONSOLES_ADMIN,
		      AGENT_CONSOLES_READ,
		      AGENT_CONSOLES_OFF
};

struct agent_config {
	char *name;		  /* must equal the certificate's */
	struct conf_array relays; /* at least one; tried in this order */
	struct conf_identity identity;
	struct conf_array publish, forward;
	struct conf_array targets; /* of char *: where publish may lead; not present: anywhere */
	int console;		   /* enum agent_consoles */
	struct {
		struct addr listen; /* len 0: no SOCKS5 */
	} socks5;
	struct {
		char *socket; /* where postern-natd listens; NULL: none */
		bool share;   /* peers hear of its mappings */
	} nat;
	char *user;	       /* to become, when started as root; NULL: none */
	char *state_dir;       /* keeps what consoles apply; NULL: nothing is ever written */
	char *proxy;	       /* http://[user:password@]host:port; else HTTPS_PROXY */
	bool stun;	       /* asks its relays what address its datagrams come from */
	uint64_t warm_legs;    /* idle legs kept at each relay; 2 */
	uint64_t max_sessions; /* 10000 */
	uint64_t dial_ms;      /* name, connect and TLS to a relay; 10s */
	uint64_t open_ms;      /* from a local connection to the far end's answer; 15s */
	uint64_t retry_max_ms; /* upper bound of the reconnect back-off; 30s */
	int engine;
	int log_level;
};

/* Loads and checks path (which errors->file then names). False: errors tell, out is untouched. */
bool agent_config_load(const char *path, struct agent_config *out,
		       struct conf_errors *errors) MUST_CHECK;
/* The same from a tree that the caller has read. */
bool agent_config_bind(const struct conf_node *root, struct agent_config *out,
		       struct conf_errors *errors) MUST_CHECK;
/* Whether a published service may lead to this address, as it is dialled. */
bool agent_config_may_reach(const struct agent_config *c, const struct addr *to) MUST_CHECK;
void agent_config_free(struct agent_config *c);
const struct conf_field *agent_config_fields(void);

#endif
