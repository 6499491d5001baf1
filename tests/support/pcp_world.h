/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcp_world: a PCP client on a fake clock, a wire that delays and loses, a gateway with manners,
 * and a diary of what the client told. Used by one test at a time.
 */
#ifndef POSTERN_TESTS_PCP_WORLD_H
#define POSTERN_TESTS_PCP_WORLD_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "natpmp/pcp_client.h"

#define PCP_WORLD_ROOM	   64u
#define PCP_WORLD_LINE	   256u /* datagrams under way */
#define PCP_WORLD_IDS	   40u
#define PCP_WORLD_START_MS 1000000u

enum pcp_world_manners { ANSWERS, SILENT, NATPMP_ONLY, GARBLED, NO_OPTIONS, REFUSES };

struct pcp_world_datagram {
	uint64_t at_ms; /* 0: the place is free */
	bool to_client;
	size_t len;
	uint8_t bytes[PCP_REQUEST_BYTES];
};

struct pcp_world_mapping {
	bool there;
	uint8_t nonce[PCP_NONCE_BYTES];
	uint8_t protocol;
	uint16_t internal, external;
};

/* What was heard of one id. */
struct pcp_world_diary {
	unsigned mapped, failed, gone, lost; /* lost: unmapped, but without an answer */
	uint16_t port;
	struct addr external;
	uint32_t lifetime_s;
	enum portmap_failure failure;
	struct portmap_refusal refusal; /* its why is not to be read */
	char why[PORTMAP_TEXT_BYTES];
	uint64_t at_ms;
};

struct pcp_world {
	struct portmap_heard heard; /* first: the callbacks get this */
	struct pcp_client client;
	uint64_t now_ms, random;

	enum pcp_world_manners manners;
	unsigned loss_percent;
	uint64_t delay_ms, boot_ms;
	bool ignores_prefer_failure;
	uint8_t result;
	struct addr external;
	uint16_t taken;	  /* an external port that is another's */
	uint16_t ignored; /* an internal port that it never answers about */
	struct pcp_world_mapping table[PCP_WORLD_IDS];
	struct pcp_world_datagram line[PCP_WORLD_LINE];
	unsigned requests; /* that reached the gateway's side of the wire */
	uint64_t sent_ms[PCP_WORLD_LINE];
	unsigned sent;

	struct pcp_world_diary ids[PCP_WORLD_IDS];
	unsigned available, unavailable, restarted, doubted, external_changed;
	enum portmap_failure failure;
	char why[PORTMAP_TEXT_BYTES];
	uint64_t verdict_ms;
	bool remaps; /* asks again from inside failed() */
};

/* The client, not yet asked for anything; the same seed gives the same days. */
void pcp_world_make(struct pcp_world *w, uint64_t seed);
/* The same, with a gateway that answered a probe. */
void pcp_world_make_up(struct pcp_world *w, uint64_t seed);
void pcp_world_end(struct pcp_world *w);
void pcp_world_run_for(struct pcp_world *w, uint64_t ms);

/* What the engine would ask: id N is TCP if odd, and wants its own port outside. */
struct portmap_request pcp_world_request(uint32_t id);
void pcp_world_map(struct pcp_world *w, uint32_t id);
void pcp_world_unmap(struct pcp_world *w, uint32_t id);

/* The gateway loses everything; it announces itself. */
void pcp_world_reboot(struct pcp_world *w);
void pcp_world_announce(struct pcp_world *w);
uint32_t pcp_world_epoch_now(const struct pcp_world *w);
/* Its mapping that a MAP request names, or a free place. */
struct pcp_world_mapping *pcp_world_find_mapping(struct pcp_world *w, const uint8_t *in);

struct addr pcp_world_address(const char *text, uint16_t port);
void pcp_world_put_u32(uint8_t *at, uint32_t n);
uint64_t pcp_world_draw(struct pcp_world *w, uint64_t below);

#endif
