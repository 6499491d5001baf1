/* SPDX-License-Identifier: Apache-2.0 */
/* config: what postern-relayd can be told; the tables behind it are the schema and the manual. */
#ifndef POSTERN_RELAY_CONFIG_CONFIG_H
#define POSTERN_RELAY_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/conf/rows.h"
#include "core/log.h"
#include "core/ring.h"
#include "relay/policy/policy.h"
#include "relay/shaper/shaper.h"

struct relay_public {		     /* public: [{name: www.example.org, to: home/web}] */
	char *name;		     /* lower case host name */
	char *to;		     /* AGENT/SERVICE */
	char agent[64], service[64]; /* to, split by the check */
};

struct relay_listen { /* listen: [{address: "0.0.0.0:443", proxy_protocol: false}] */
	struct addr address;
	bool proxy_protocol; /* every connection must begin with a PROXY v1/v2 header */
};

struct relay_stun {
	bool enabled;
	bool links;	  /* those that are signed in are answered, also where not enabled */
	bool links_asked; /* the document says so, and it is not the default alone */
	struct conf_array listen; /* of struct addr: besides those of "listen" */
	struct {
		struct addr address, other; /* len 0: RFC 5780 is off */
	} behaviour;
	struct conf_array alternate; /* of struct addr: at most one of each family */
	uint64_t rate, burst;	     /* answers to one prefix, per second and at once */
	uint64_t prefixes;	     /* counted at a time */
};

struct relay_limits {
	uint64_t connections;	    /* 0: as many as the descriptor limit allows */
	uint64_t unproven;	    /* of them; 0: a quarter */
	uint64_t per_source;	    /* unproven connections of one address; 512 */
	uint64_t publics;	    /* key "public": public sessions; 0: a quarter */
	uint64_t public_per_source; /* of one address; 256 */
	uint64_t public_per_name;   /* 0: three quarters of all */
	uint64_t handshakes, handshakes_per_source; /* a second; 0: no limit */
	uint64_t requests, requests_per_source;
	uint64_t sign_ins, sign_ins_per_source;
	uint64_t agents;	     /* links; 4096 */
	uint64_t services;	     /* of one agent; 128 */
	uint64_t legs;		     /* idle and opening, of one agent; 64 */
	uint64_t sessions;	     /* of one agent; 10000 */
	uint64_t client_hello_bytes; /* 16KiB */
	uint64_t hello_ms;	     /* from accepting to the first message or request; 60s */
	uint64_t handshake_ms;	     /* of it; 60s */
	uint64_t first_ms;	     /* of it, behind the handshake; and each further head; 60s */
	uint64_t open_ms;	     /* from OPEN to GO; 15s */
	uint64_t ping_ms;	     /* interval of link keep-alive; 25s; silent for 3: closed */
	uint64_t public_idle_ms;     /* a public session without a byte; 1h; 0: for ever */
	uint64_t session_idle_ms;    /* likewise between agents; 0 */
	uint64_t http_idle_ms;	     /* between requests; 75s */
	uint64_t buffer_bytes;	     /* large buffers of all threads; 64MiB */
	uint64_t memory_bytes;	     /* buffers, tables and TLS states together; 512MiB */
};

struct relay_config {
	char *name;		   /* relay.name in WELCOME and logs */
	struct conf_array listen;  /* of struct relay_listen; at least one */
	struct conf_array publics; /* key "public"; of struct relay_public */
	struct conf_identity identity;
	int engine;	  /* enum ring_engine; words auto io_uring epoll */
	uint64_t threads; /* 0: one per core */
	int log_level;	  /* enum log_level */
	struct {
		struct relay_public to; /* the web site's; its to NULL: none; no name */
		char *server;		/* of the Server field */
		char *page;		/* HTML text of "/"; NULL: a plain one; not beside to */
		bool healthz;		/* "/healthz" is answered */
	} site;
	struct {
		struct relay_public acme; /* where acme-tls/1 leads; to NULL: nowhere; no name */
		char *certificate;	  /* PEM, before all others; NULL: none */
		char *certificate_file, *key_file; /* both or none; NULL: the identity's */
	} tls;
	char *user;	 /* switch to this user after binding, when started as root */
	char *state_dir; /* where applied configurations are kept; NULL: nothing is written */
	struct {
		char *socket;		 /* path of the Unix socket for calls; NULL: none */
		struct conf_array admin; /* of uint64_t: user ids that may change things */
		struct conf_array read;	 /* likewise: that may look */
	} control;
	struct {
		struct addr listen; /* len 0: none */
	} metrics;
	struct {
		char *socket; /* where postern-natd listens; NULL: none */
	} nat;
	struct relay_stun stun;
	struct policy_conf policy_conf; /* keys groups, policy, grants, revoked */
	uint64_t drain_ms;		/* how long SIGTERM lets sessions finish; 30s */
	struct relay_limits limits;
	struct shaper_limits bandwidth;
};

/* From what was read of a file. False: errors tell, out is untouched. Also when true,
 * errors->warnings may tell. */
bool relay_config_bind(const struct conf_node *root, struct relay_config *out,
		       struct conf_errors *errors) MUST_CHECK;
void relay_config_free(struct relay_config *c);
/* The schema itself, for --help texts, manuals and tests. */
const struct conf_field *relay_config_fields(void);

#endif
