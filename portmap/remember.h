/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remember: natd's memory of what gateways hold for this host, also under addresses that it has no
 * longer (portmap/engine/formers.h), kept in state_dir (natd.mappings, mode 0600).
 *
 * What is held is noted within NOTE_MS, and written within five seconds more. When a gateway is
 * entered that has mappings to an old address of this host, they are told. Those that UPnP made are
 * deleted, which gateways allow more often than not; by PCP and NAT-PMP only the old address itself
 * could. What leads to a host that answers at the old address now is left alone, since that one may
 * have asked for the same, and told.
 *
 * An address is *young* when this host has come to have it while natd runs, or has had another one
 * at this gateway before: what is asked for then has a short lease (remember_lifetime()), so that
 * what would be left behind by the next change ends soon.
 */
#ifndef POSTERN_PORTMAP_REMEMBER_H
#define POSTERN_PORTMAP_REMEMBER_H

#include <jansson.h>

#include "portmap/engine/formers.h"

struct natd;

#define REMEMBER_NOTE_MS 60000u
#define REMEMBER_LOOK_MS 1500u /* for a host at an old address to answer */
#define REMEMBER_SAVE_MS 5000u
#define REMEMBER_ID	 0x80000000u /* of requests to drivers; the engine's ids are below */
#define REMEMBER_YOUNG_S 120u	     /* the shortest lease, of an address that is new */
#define REMEMBER_FILE	 "natd.mappings"

struct remember {
	int dir; /* -1: nothing is written */
	struct formers formers;
	struct former_gateway gateways[PORTMAP_FAMILIES];
	struct addr sources[PORTMAP_FAMILIES]; /* ours, as they were last */
	uint64_t young_ms[PORTMAP_FAMILIES];   /* since when we have it; 0: long since */
	bool known[PORTMAP_FAMILIES];	       /* the gateway, by its card; what is old was told */
	uint32_t last_id;
	uint64_t noted_ms, saved_ms;
	int save_error;	  /* of the last try to write it down, told once; 0: none */
	uint64_t look_ms; /* when hosts at old addresses have had their time; 0: not awaited */
	uint64_t deleted; /* mappings that the gateway said to have deleted, while stopping */
	void (*heard_unmapped)(struct portmap_heard *h, enum portmap_protocol p, uint32_t id,
			       bool ok); /* the engine's */
};

/* Before isolation; after portmap_engine_init(). A file that cannot be used is told, and replaced.
 */
void remember_open(struct natd *n);
void remember_close(struct natd *n);

/* A network is entered, whose gateways' cards may not be known yet. */
void remember_enter(struct natd *n);
/* A path of a gateway is there, or time has passed. */
void remember_look(struct natd *n);
/* What is held is another, or natd leaves. */
void remember_note(struct natd *n);
void remember_run(struct natd *n);
/* natd has left its gateway for good: what was deleted, and what is left. */
void remember_tell_end(struct natd *n);

/* For how long to ask, of this family, where the configuration says lifetime_s; and when that is
 * another time (MAPPING_NEVER: it stays). */
uint32_t remember_lifetime(const struct natd *n, enum portmap_family f, uint32_t lifetime_s,
			   uint64_t now_ms);
uint64_t remember_next(const struct natd *n, uint64_t now_ms);

/* [{name, address, external_port, by, left_s?, other_host}]: what leads to old addresses here. */
json_t *remember_report(const struct natd *n);

#endif
