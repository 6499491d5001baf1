/* SPDX-License-Identifier: Apache-2.0 */
/* natd_program: the NAT helper of a world: started and stopped as its main() would. */
#ifndef POSTERN_TESTS_WORLD_NATD_PROGRAM_H
#define POSTERN_TESTS_WORLD_NATD_PROGRAM_H

#include "core/program/signals.h"
#include "portmap/natd.h"
#include "tests/world/natd_lan.h"

struct world_natd {
	struct natd natd; /* first */
	struct k_host *host;
	struct k_program *program;
	struct signals signals;
	struct natd_arguments arguments;
	struct addr own; /* our address of now, port 0 */
	char gateway_text[ADDR_TEXT_BYTES], own_text[ADDR_TEXT_BYTES];
	bool up;
	bool listens; /* on NATD_SOCKET */
};

#define NATD_SOCKET "/run/natd.sock"

/* config: what follows the lines that every natd of a world has. */
void world_natd_write(struct world_natd *w, const char *config);
void world_natd_start(struct world_natd *w, struct k_host *host, const char *config);
/* The route leads through that router from now on, or nowhere (NULL); natd is told. */
void world_natd_route(struct world_natd *w, struct lan_router *r);
void world_natd_move(struct world_natd *w, const char *literal);
/* SIGTERM, until it has ended: checks that it does in time and that nothing is left; or from one
 * moment to the next. */
void world_natd_stop(struct world_natd *w);
void world_natd_crash(struct world_natd *w);
/* The mapping of that internal port, or NULL. */
struct portmap_mapping *world_natd_mapping(struct world_natd *w, enum portmap_transport t,
					   uint16_t internal);

#endif
