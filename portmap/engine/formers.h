/* SPDX-License-Identifier: Apache-2.0 */
/*
 * formers: what this host has had mapped, and under which address, so that it is known again when
 * the address is another one. Pure; natd keeps the bytes in its state directory.
 *
 * A mapping leads to an address. When a host gets another one, what the gateway still leads to the
 * old address is in the way (the external port is taken), and may open a port of the host that has
 * the old address now. Every mapping that a gateway holds for us is noted here with the address
 * that it leads to; what is noted for an address that is not ours any more is a *former* one, until
 * its lease at the gateway is over, it was deleted, or it got too old to matter.
 *
 * Two networks may have gateways and hosts of the same private addresses: a gateway is known again
 * by the address of its network card, and without that nothing is deleted by what is noted here.
 *
 * Times are seconds of the wall clock, since they outlive this start of the host. One that was set
 * back makes nothing older; one that was set ahead forgets early what the next grant notes again.
 */
#ifndef POSTERN_PORTMAP_ENGINE_FORMERS_H
#define POSTERN_PORTMAP_ENGINE_FORMERS_H

#include "portmap/engine/engine.h"

#define FORMERS_MAX	   192u
#define FORMERS_AGE_S	   (UINT64_C(90) * 24 * 3600) /* of one that has no lease, since it was seen */
#define FORMERS_CARD_BYTES 6u
#define FORMERS_BYTES	   (16u + FORMERS_MAX * 64u)

/* A gateway, as it is known again. */
struct former_gateway {
	struct addr address;		  /* port 0, no zone */
	uint8_t card[FORMERS_CARD_BYTES]; /* zeros: not known */
};

struct former {
	enum portmap_protocol protocol;
	enum portmap_transport transport;
	enum portmap_family family;
	struct former_gateway gateway;
	struct addr internal; /* our address of then, and the port */
	uint16_t external;
	uint64_t until_s; /* when the gateway forgets it; 0: not by itself */
	uint64_t seen_s;  /* when it was known to be there */
	/* Not in the file. */
	bool asked;	    /* the gateway is being asked to delete it, or has refused to */
	uint32_t id;	    /* of that request */
	bool of_other_host; /* another host answers at the address now */
};

struct formers {
	struct former list[FORMERS_MAX];
	size_t count;
	bool changed; /* since formers_encode() */
};

/* What was noted for the same places outside and inside, by whichever protocol; or NULL. */
const struct former *formers_find(const struct formers *f, const struct former *one);
/* The gateway has it, until then. One that was noted before is the same with another end. When the
 * table is full, what was seen longest ago goes. */
void formers_note(struct formers *f, const struct former *one);
/* The gateway has it no longer. */
void formers_drop(struct formers *f, const struct former *one);
/* A gateway's card is known only some time after it is used: what was noted of it without one gets
 * it; where it stays unknown they are forgotten, since they might be another's. */
void formers_name_gateway(struct formers *f, const struct former_gateway *gateway);
void formers_forget_nameless(struct formers *f);
/* Forgets what is over. */
void formers_age(struct formers *f, uint64_t now_s);

/* Whether it is of this gateway, and leads to another address than this one of ours. */
bool former_is_old(const struct former *one, const struct former_gateway *gateway,
		   const struct addr *own) MUST_CHECK;
bool former_gateway_same(const struct former_gateway *a, const struct former_gateway *b) MUST_CHECK;
/* "tcp 443 -> 8443": what people call it. */
void former_name(const struct former *one, char out[MAPPING_NAME_BYTES]);

/* Writes all of it; returns how many bytes. */
size_t formers_encode(struct formers *f, uint8_t out[FORMERS_BYTES]);
/* False: these are no such bytes, and *f is untouched. */
bool formers_decode(const uint8_t *in, size_t len, struct formers *f) MUST_CHECK;

#endif
