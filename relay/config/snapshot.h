/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot: one applied configuration with all that is made from it; immutable, counted, shared.
 *
 * The control thread makes a snapshot, checks it whole, and hands it to the workers; each switches
 * between two turns of its loop. A connection keeps what it began with only where it must (its TLS
 * context lives in its SSL); everything else asks the worker's snapshot when it needs to know. The
 * last to let go frees it.
 */
#ifndef POSTERN_RELAY_CONFIG_SNAPSHOT_H
#define POSTERN_RELAY_CONFIG_SNAPSHOT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "core/engine/front_certificate.h"
#include "core/engine/identity.h"
#include "core/engine/signed_told.h"
#include "relay/config/config.h"
#include "relay/config/bind_list.h"
#include "relay/policy/policy.h"

struct snapshot {
	_Atomic unsigned refs;
	uint64_t revision;
	struct relay_config config;
	struct identity *identity;
	struct conf_tag_keys tag_keys;
	uint64_t seed;				     /* of this installation: of its name and CA */
	struct front_certificate *front_certificate; /* NULL: the identity's */
	SSL_CTX *front;
	struct bind_list binds;
	const struct relay_public **publics; /* sorted by name */
	size_t public_count;
	struct snapshot_mark *marks; /* sorted: of what snapshot_public_leads() is asked about */
	size_t mark_count;
	struct policy *policy;
	struct signed_revocations signed_revocations; /* told to agents */
	struct signed_told signed_told; /* of them, what other CAs than before have changed */
};

/* Beside the configuration, borrowed. */
struct snapshot_beside {
	const char *front_pem; /* the front door's certificate and chain, where tls.certificate is
				  not set; NULL: the identity's */
	const struct signed_revocations *signed_revocations; /* NULL: none */
	const char *judged_by; /* the identity.ca by which these were judged; NULL: this one */
};

/* Takes over config (also on failure). NULL: why has a sentence. One reference is the caller's. */
struct snapshot *snapshot_new(struct relay_config *config, const struct snapshot_beside *beside,
			      uint64_t revision, char *why, size_t why_size) MUST_CHECK;
struct snapshot *snapshot_hold(struct snapshot *s);
void snapshot_release(struct snapshot *s);

/* What tls.acme and site.to count as, whatever name was asked for: no server's name. */
#define SNAPSHOT_ACME "acme-tls/1"
#define SNAPSHOT_SITE "http/1.1"

/* What a session keeps of the public name that it came by, or of one of those two: never 0. */
uint64_t snapshot_public_mark(const char *name);
/* Whether a name of this mark still leads there. */
bool snapshot_public_leads(const struct snapshot *s, uint64_t mark, const char *agent,
			   const char *service);
/* The public table's entry for a ClientHello's server name, or NULL. */
const struct relay_public *snapshot_public(const struct snapshot *s, const char *server_name);

#endif
