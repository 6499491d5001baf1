/* SPDX-License-Identifier: Apache-2.0 */
/* signer_internal: the signer's side, which its tests play, too. */
#ifndef POSTERN_RELAY_SIGNER_INTERNAL_H
#define POSTERN_RELAY_SIGNER_INTERNAL_H

#include <stdbool.h>

#include "core/engine/keyring.h"
#include "relay/signer/made.h"
#include "relay/signer/signer.h"

/* A file that is larger is refused as the program that starts with it would (CONF_FILE_MAX). */
#define SIGNER_FILE_MAX (4u << 20)

/* Where a file lies. */
struct signer_place {
	int dir;      /* -1: there is no such file */
	int real_dir; /* of the file that dir's may be a link to */
	char name[256];
	char path[SIGNING_PATH_MAX + 1]; /* for sentences; its beginning */
};

struct signer_places {
	struct signer_place files[SIGNING_FILES];
};

struct signer_server {
	struct signer_places *places;
	struct keyring *keys;
	struct made made;
	char *text; /* SIGNER_FILE_MAX and a byte more, to see that a file is too large */
	bool sealed;
	int fds[1 + SIGNER_CHANNELS_MAX]; /* the control thread's, then the workers' */
	size_t count;
};

/* Its directory, in which it may be replaced by a new file any time, and that of what it leads to
 * if it is a link. 0 or -errno. */
int signer_place_open(const char *path, struct signer_place *p) MUST_CHECK;
void signer_place_close(struct signer_place *p);

/* Reads an open file into s->text, and closes it; its keys go to the ring, and out of the text. 0
 * or -errno; -EKEYREJECTED: s->text is a sentence, which names path, why it may hold none. */
#define SIGNER_TAKE_KEY	    1u /* it may hold one only if it is kept from others */
#define SIGNER_TAKE_REGULAR 2u /* no pipe */
int signer_take_file(struct signer_server *s, int fd, const char *path, unsigned how,
		     size_t *len) MUST_CHECK;

/* False without memory. fd and places stay the caller's. */
bool signer_server_open(struct signer_server *s, int fd, struct signer_places *places) MUST_CHECK;
void signer_server_close(struct signer_server *s);
/* Takes one packet of fds[i], which has one, and does what it asks for. False: the relay's control
 * thread has ended. */
bool signer_server_turn(struct signer_server *s, size_t i) MUST_CHECK;
/* All of this until then; the process ends. */
_Noreturn void signer_serve(int fd, struct signer_places *places);

#endif
