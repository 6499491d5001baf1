/* SPDX-License-Identifier: Apache-2.0 */
/* config: what postern-natd can be told; the tables behind it are the schema and the manual. */
#ifndef POSTERN_PORTMAP_CONFIG_H
#define POSTERN_PORTMAP_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/conf/conf.h"
#include "portmap/engine/asks.h"

#define NATD_STUN_MAX 4u

struct natd_map {	/* map: [{protocol: tcp, port: 443, external: 8443}] */
	int transport;	/* enum portmap_transport */
	char *port;	/* "443", or a range "5000-5009" */
	char *external; /* the same, or "any"; NULL: as port */
	char *host;	/* literal of another host of the LAN; NULL: this one */
	bool ipv4, ipv6;
};

enum natd_transports { NATD_BOTH, NATD_TCP, NATD_UDP };

struct natd_allow {		 /* allow: [{user: web, ports: [8443, 5000-5009]}] */
	char *user, *group;	 /* one of them: a name, or a number */
	struct conf_array ports; /* of char *: ports and ranges; none: 1024 to 65535 */
	int transports;		 /* enum natd_transports */
	uint64_t most;
};

struct natd_config {
	struct conf_array map;
	struct conf_array allow;
	char *interface; /* NULL: by the default route */
	char *gateway;	 /* its literal; NULL: as the default route says */
	bool pcp, natpmp, upnp;
	struct conf_array stun; /* of struct endpoint */
	char *hook;		/* program; NULL: none */
	uint64_t lifetime_ms;	/* of a mapping, asked for */
	uint64_t recheck_ms;	/* permanent mappings, and what the gateway speaks */
	char *socket;
	char *state_dir; /* NULL: nothing is ever written */
	char *user;	 /* NULL: as started */
	int engine;
	int log_level;
};

/* What the command line says beside a file or instead of one. */
struct natd_arguments {
	const char *config;			/* NULL: no file */
	const char *maps[PORTMAP_MAPPINGS_MAX]; /* "tcp:443", "udp:443:8443", "tcp:443:any" */
	size_t map_count;
	const char *stun[NATD_STUN_MAX];
	size_t stun_count;
	const char *interface, *gateway, *hook, *socket, *state_dir; /* NULL: not said */
	bool dry_run;
	bool again; /* the file is read while natd runs */
};

/* Loads and checks: the file, with what the command line adds (maps) and replaces (the rest).
 * False: errors tell, out is untouched. */
bool natd_config_load(const struct natd_arguments *a, struct natd_config *out,
		      struct conf_errors *errors) MUST_CHECK;
/* From a tree that was read before. */
bool natd_config_bind(const struct conf_node *root, struct natd_config *out,
		      struct conf_errors *errors) MUST_CHECK;
void natd_config_free(struct natd_config *c);
/* Something differs that a running natd cannot change. */
bool natd_config_needs_restart(const struct natd_config *a, const struct natd_config *b) MUST_CHECK;
const struct conf_field *natd_config_fields(void);

/* What the engine is to keep, without nonces: one want per port and family. Returns how many; more
 * than PORTMAP_MAPPINGS_MAX are an error of the configuration. */
size_t natd_config_wants(const struct natd_config *c,
			 struct portmap_want out[PORTMAP_MAPPINGS_MAX]);

/* The right of one entry of allow, but for whose it is: group and id are not set. */
void natd_config_right(const struct natd_allow *a, struct ask_right *out);

#endif
