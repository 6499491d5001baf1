/* SPDX-License-Identifier: Apache-2.0 */
/* proved: the newest certificate that each peer of a running session has proved. */
#include "agent/engine/proved.h"

#include <stdlib.h>
#include <string.h>

#include "core/table.h"

struct proved_key {
	enum identity_role role;
	char name[sizeof(((struct identity_peer *)0)->name)];
};

struct proved_peer {
	struct proved_key key;
	struct credential *newest;
	size_t sessions;
	UT_hash_handle hh;
};

/* Every byte of it counts. */
static void proved_key_make(const struct identity_peer *peer, struct proved_key *out)
{
	memset(out, 0, sizeof(*out));
	out->role = peer->role;
	memcpy(out->name, peer->name, strnlen(peer->name, sizeof(out->name) - 1));
}

static struct proved_peer *proved_peer_hold(struct proved *all, const struct identity_peer *peer)
{
	struct proved_key key;
	struct proved_peer *p;

	proved_key_make(peer, &key);
	HASH_FIND(hh, all->peers, &key, sizeof(key), p);
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return NULL;
		p->key = key;
		HASH_ADD(hh, all->peers, key, sizeof(p->key), p);
		if (!table_holds(p)) {
			free(p);
			return NULL;
		}
	}
	p->sessions++;
	return p;
}

static void proved_peer_drop(struct proved *all, struct proved_peer *p)
{
	if (--p->sessions > 0)
		return;
	HASH_DEL(all->peers, p);
	credential_release(p->newest);
	free(p);
}

bool proved_take(struct proved *all, const struct identity_peer *peer, struct proved_hold *out)
{
	struct proved_hold hold = {.own = credential_new(peer)};

	hold.peer = hold.own ? proved_peer_hold(all, peer) : NULL;
	if (!hold.peer) {
		credential_release(hold.own);
		return false;
	}
	if (credential_is_newer(hold.own, hold.peer->newest)) {
		credential_release(hold.peer->newest);
		hold.peer->newest = credential_hold(hold.own);
	}
	*out = hold;
	return true;
}

bool proved_renew(struct proved_hold *hold, const struct identity_peer *peer)
{
	struct proved_key key;
	struct credential *c;

	proved_key_make(peer, &key);
	if (!hold->own || memcmp(&key, &hold->peer->key, sizeof(key)) != 0)
		return false;
	c = credential_new(peer);
	if (!c || !credential_is_newer(c, hold->peer->newest)) {
		credential_release(c);
		return false;
	}
	credential_release(hold->peer->newest);
	hold->peer->newest = c;
	return true;
}

void proved_drop(struct proved *all, struct proved_hold *hold)
{
	if (!hold->own)
		return;
	proved_peer_drop(all, hold->peer);
	credential_release(hold->own);
	*hold = (struct proved_hold){0};
}

struct entitled_proof proved_proof(const struct proved_hold *hold)
{
	return (struct entitled_proof){.own = hold->own,
				       .newest = hold->peer ? hold->peer->newest : NULL};
}
