/* SPDX-License-Identifier: Apache-2.0 */
/*
 * natd_scene: a whole natd, but for its process: networks of a fake kernel, a router and a STUN
 * server on loopback, and a caller of its control socket.
 */
#ifndef POSTERN_TESTS_NATD_SCENE_H
#define POSTERN_TESTS_NATD_SCENE_H

#include "tests/support/ring_fixture.h"

#include <jansson.h>

#include "portmap/natd.h"
#include "tests/support/fake_gateway.h"
#include "tests/support/fake_stun.h"

#define SCENE_PORT 8443
#define SCENE_UDP  "{protocol: udp, port: 8443, ipv6: false}"
#define SCENE_TCP  "{protocol: tcp, port: 8444, ipv6: false}"
#define SCENE_CARD 1u /* loopback's index in every network namespace */

struct natd_scene {
	struct natd natd; /* first */
	struct ring_fixture *f;
	struct fake_gateway gateway;
	struct fake_stun stun;
	struct natd_arguments arguments;
	unsigned stopped;
	int client; /* of the control socket */
	char in[1 << 16];
	size_t have;
	char address[2][ADDR_TEXT_BYTES]; /* the gateway's and ours, for the fake kernel */
	char config[96], socket[96];	  /* paths */
};

/* A host at 127.a.b.2 behind a router at 127.a.b.1; all are there before natd is. Its files are in
 * dir; maps are the configuration's mappings, more its further lines. */
struct natd_scene *natd_scene_begin(void **state, const char *dir, const char *maps,
				    const char *more);
/* Stops natd, and checks that it ends, once, with nothing left open. */
void natd_scene_end(struct natd_scene *w);
/* Writes the configuration again, and reads it into *config. */
void natd_scene_load(struct natd_scene *w, struct natd_config *config, const char *maps,
		     const char *more);

struct portmap_mapping *natd_scene_first(struct natd_scene *w);
void natd_scene_await(struct natd_scene *w, enum mapping_state state);

#define await_that(w, condition)                                                                   \
	do {                                                                                       \
		for (int turns = 0; turns < 1000 && !(condition); turns++)                         \
			run_for((w)->f, 5);                                                        \
		assert_true(condition);                                                            \
	} while (0)

/* ---- a caller of the control socket; what it hears is owned by the test ---- */

/* The next line that natd says. */
json_t *natd_scene_hear(struct natd_scene *w);
void natd_scene_say(struct natd_scene *w, const char *method, const char *params);
/* The result of a call; events on the way are passed over. */
json_t *natd_scene_ask(struct natd_scene *w, const char *method, const char *params);
/* The data of the next event of this kind. */
json_t *natd_scene_event(struct natd_scene *w, const char *kind);
/* j[a], or j[a][b] if there is a b; "" where there is none. */
const char *natd_scene_text(const json_t *j, const char *a, const char *b);

#endif
