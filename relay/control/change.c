/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change: what core/engine/configuring.h does to a relay.
 *
 * A proposal is a snapshot. Everything that can fail comes first: the document is bound and
 * checked, the snapshot is made, and the keeper opens the listeners that are new. Only then the
 * workers are told, each by a message; all messages are made before the first is sent.
 *
 * An optional address (relay/config/bind_list.h) that cannot be had is missing: with each change,
 * and every MISSING_AGAIN_MS, it is tried again.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/conf/json.h"
#include "core/container.h"
#include "core/log.h"
#include "core/memory.h"
#include "relay/config/load.h"
#include "relay/control/control_internal.h"
#include "relay/session/limits.h"
#include "relay/signer/pair.h"

#define MISSING_AGAIN_MS 30000u

/* ---- proposals ---- */

static void change_drop(void *proposal)
{
	snapshot_release(proposal);
}

static bool change_has_key(struct relay_control *ctl, const uint8_t key[SIGNING_KEY_BYTES],
			   enum signing_use use, const char *missing,
			   char why[CONFIGURING_WHY_BYTES])
{
	int error = signer_has(ctl->signer, key, use);

	if (error == -ENOKEY)
		snprintf(why, CONFIGURING_WHY_BYTES, "%s", missing);
	else if (error)
		snprintf(why, CONFIGURING_WHY_BYTES, "the relay's signer does not answer: %s",
			 strerror(-error));
	return error == 0;
}

/* The signer has the keys that the certificates are for. */
static bool change_keys_are_there(struct relay_control *ctl, const struct snapshot *s,
				  char why[CONFIGURING_WHY_BYTES])
{
	uint8_t key[SIGNING_KEY_BYTES];

	identity_key_id(s->identity, key);
	if (!change_has_key(ctl, key, SIGNING_IDENTITY,
			    "identity.key: does not match identity.certificate; the relay's signer "
			    "has no key that this certificate is for",
			    why))
		return false;
	if (!s->config.tls.certificate)
		return true;
	front_certificate_key_id(s->front_certificate, key);
	return change_has_key(ctl, key, SIGNING_FRONT,
			      "tls.certificate: the relay's signer has no key that this "
			      "certificate is for; 'postern relay request --front' makes one",
			      why);
}

/* A lower limit must leave room: without it no call, no sign-in and no further change would find
 * any memory, and agents would lose their links. What a trial goes back to was in force before. */
static bool change_leaves_room(const struct relay_control *ctl, const struct relay_config *next,
			       struct conf_errors *errors)
{
	uint64_t most = next->limits.memory_bytes;
	int64_t used = ctl->relay->memory.used;
	bool back = changes_rollback(ctl->managed.configuring.changes) != NULL;

	if (back || most >= ctl->relay->memory.most || used <= (int64_t)(most / 8 * 7))
		return true;
	conf_error(errors, NULL, "limits.memory",
		   "is too little: %lld MiB are in use, and an eighth must be free; write %lldMiB "
		   "or more, or end sessions first",
		   (long long)(used >> 20) + 1, ((long long)(used >> 20) + 1) / 7 * 8 + 8);
	return false;
}

/* Until the way back is found, the limit is as it was before the trial: by the lower one there may
 * be no memory for it. */
static void change_go_back(struct configuring *c)
{
	struct relay_control *ctl = container(c, struct relay_control, managed.configuring);
	struct memory *m = &ctl->relay->memory;

	if (m->most < ctl->memory_before)
		m->most = ctl->memory_before;
}

static void *change_propose(struct configuring *c, const json_t *document,
			    struct conf_errors *errors, char why[CONFIGURING_WHY_BYTES])
{
	struct relay_control *ctl = container(c, struct relay_control, managed.configuring);
	const struct control_overrides *held = &ctl->overrides;
	unsigned refusals = memory_refusals();
	struct relay_config config;
	struct snapshot *s;
	struct conf_node *root = conf_from_json(document, errors);
	bool bound = root && relay_config_bind(root, &config, errors);

	conf_node_free(root);
	why[0] = '\0';
	if (!bound)
		return NULL;
	if (!load_key_apart(&config, errors) || !change_leaves_room(ctl, &config, errors)) {
		relay_config_free(&config);
		return NULL;
	}
	if (held->engine >= 0)
		config.engine = held->engine;
	if (held->log_level >= 0)
		config.log_level = held->log_level;
	s = snapshot_new(&config,
			 &(struct snapshot_beside){ctl->front_pem, &ctl->signed_revocations,
						   ctl->current->config.identity.ca},
			 changes_revision(c->changes) + 1, why, CONFIGURING_WHY_BYTES);
	if (s && !change_keys_are_there(ctl, s, why)) {
		snapshot_release(s);
		s = NULL;
	}
	if (s && memory_refusals() != refusals) { /* some part of it may be missing */
		snprintf(why, CONFIGURING_WHY_BYTES, "%s", JSONRPC_NO_MEMORY);
		snapshot_release(s);
		s = NULL;
	}
	return s;
}

static const char *change_cuts_off(const struct configuring *c, const struct caller *caller,
				   const void *proposal)
{
	const struct snapshot *s = proposal;
	const struct relay_config *next = &s->config;
	const struct relay_listen *items = next->listen.items;
	bool heard = false;

	if (caller->address.len == 0)
		return NULL;
	for (size_t i = 0; i < next->listen.count && !heard; i++)
		heard = addr_covers(&items[i].address, &caller->listener);
	if (!heard)
		return "no listener would be left where you came in";
	switch (control_judge(s, caller)) {
	case REASON_OK:
		return NULL;
	case REASON_REVOKED:
		return "your own certificate is revoked";
	case REASON_CERT_UNTRUSTED: /* none of the CAs, for there may be several */
		return "the new CA does not know your certificate";
	default:
		return "your certificate has expired";
	}
}

static bool addr_same(const struct addr *a, const struct addr *b)
{
	return a->len == 0 || b->len == 0 ? a->len == b->len : addr_equal(a, b);
}

static bool text_same(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static json_t *change_restart(const struct configuring *c, const void *proposal)
{
	const struct relay_control *ctl = container(c, struct relay_control, managed.configuring);
	const struct relay_config *was = &ctl->current->config;
	const struct relay_config *is = &((const struct snapshot *)proposal)->config;
	const struct {
		const char *key;
		bool same;
	} keys[] = {
		{"engine", was->engine == is->engine},
		{"threads", was->threads == is->threads},
		{"limits.buffer_bytes", was->limits.buffer_bytes == is->limits.buffer_bytes},
		{"metrics.listen", addr_same(&was->metrics.listen, &is->metrics.listen)},
		{"control.socket", text_same(was->control.socket, is->control.socket)},
		{"nat.socket", text_same(was->nat.socket, is->nat.socket)},
		{"state_dir", text_same(was->state_dir, is->state_dir)},
		{"tls.certificate_file",
		 text_same(was->tls.certificate_file, is->tls.certificate_file)},
		{"tls.key_file", text_same(was->tls.key_file, is->tls.key_file)},
		{"user", text_same(was->user, is->user)},
	};
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (!keys[i].same)
			json_array_append_new(list, json_string(keys[i].key));
	return list;
}

/* ---- addresses to bind ---- */

static int change_bind(struct relay_control *ctl, const struct bind_address *at, int *fd)
{
	if (at->kind == BIND_UDP)
		return keeper_bind_udp(ctl->keeper, &at->address, fd);
	return keeper_listen(ctl->keeper, &at->address, fd);
}

/* What opens for a configuration: of each address a socket for every worker, and whether it is
 * missing. */
struct opening {
	size_t addresses;
	unsigned workers;
	bool *missing;
	int *fds; /* workers x addresses; -1: none */
};

static bool opening_make(struct opening *o, const struct relay *r, size_t addresses)
{
	*o = (struct opening){.addresses = addresses, .workers = r->worker_count};
	o->missing = memory_array(addresses, sizeof *o->missing);
	o->fds = memory_array(o->workers * addresses, sizeof *o->fds);
	for (size_t i = 0; o->fds && i < o->workers * addresses; i++)
		o->fds[i] = -1;
	return o->missing && o->fds;
}

static void opening_close(struct opening *o, size_t address)
{
	for (unsigned w = 0; o->fds && w < o->workers; w++) {
		int *fd = &o->fds[w * o->addresses + address];

		if (*fd >= 0)
			close(*fd);
		*fd = -1;
	}
}

/* Also what has been opened, unless it was handed to the workers. */
static void opening_drop(struct opening *o, bool handed)
{
	for (size_t i = 0; !handed && i < o->addresses; i++)
		opening_close(o, i);
	memory_free(o->missing);
	memory_free(o->fds);
}

enum served { SERVED_NOT, SERVED_MISSING, SERVED_YES };

/* By the configuration in force. */
static enum served change_served(const struct relay_control *ctl, const struct bind_address *at)
{
	const struct bind_list *now = &ctl->current->binds;
	const struct bind_address *found = bind_list_find(now, at->kind == BIND_UDP, &at->address);

	if (!found)
		return SERVED_NOT;
	return ctl->relay->missing[found - now->items] ? SERVED_MISSING : SERVED_YES;
}

/* One address for all workers, or for none: 0, or -errno. */
static int change_bind_one(struct relay_control *ctl, const struct bind_address *at,
			   struct opening *o, size_t address)
{
	for (unsigned w = 0; w < o->workers; w++) {
		int error = change_bind(ctl, at, &o->fds[w * o->addresses + address]);

		if (error == 0)
			continue;
		opening_close(o, address);
		return error;
	}
	return 0;
}

/* A socket for each worker and each address that is not served yet. */
static bool change_bind_all(struct relay_control *ctl, const struct bind_list *next,
			    struct opening *o, char *why, size_t why_size)
{
	for (size_t d = 0; d < next->count; d++) {
		const struct bind_address *at = &next->items[d];
		enum served served = change_served(ctl, at);
		int error = served == SERVED_YES ? 0 : change_bind_one(ctl, at, o, d);

		if (error == 0)
			continue;
		if (!at->optional) {
			bind_complain(at, -error, why, why_size);
			return false;
		}
		o->missing[d] = true;
		if (served == SERVED_NOT)
			bind_go_without(at, -error);
	}
	return true;
}

/* For every worker; false without memory. */
static bool change_messages(struct relay *r, struct snapshot *next, const int *fds,
			    struct worker_switch **out)
{
	size_t count = next->binds.count;

	for (unsigned w = 0; w < r->worker_count; w++) {
		out[w] = worker_switch_new(&r->workers[w], next, fds + w * count, count);
		if (!out[w])
			return false;
	}
	return true;
}

/* What has been opened is theirs from now on. */
static void change_hand_out(struct relay *r, struct worker_switch *const *messages,
			    struct opening *o)
{
	bool *before = r->missing;

	r->missing = o->missing;
	o->missing = before;
	for (unsigned w = 0; w < r->worker_count; w++)
		worker_switch_send(messages[w]);
}

bool change_switch(struct relay_control *ctl, struct snapshot *next, char *why, size_t why_size)
{
	struct worker_switch *messages[RELAY_WORKERS_MAX] = {NULL};
	struct relay *r = ctl->relay;
	struct opening o;
	bool ok = opening_make(&o, r, next->binds.count);

	snprintf(why, why_size, "out of memory");
	ok = ok && change_bind_all(ctl, &next->binds, &o, why, why_size) &&
	     change_messages(r, next, o.fds, messages) && limits_adopt(r, next);
	if (ok)
		change_hand_out(r, messages, &o);
	for (unsigned w = 0; !ok && w < r->worker_count; w++)
		worker_switch_drop(messages[w]);
	opening_drop(&o, ok);
	return ok;
}

/* ---- addresses that are missing ---- */

/* Whether one of them can be had now, in o. */
static bool change_find_missing(struct relay_control *ctl, struct opening *o)
{
	const struct bind_list *now = &ctl->current->binds;
	char text[ADDR_TEXT_BYTES];
	bool found = false;

	for (size_t d = 0; d < now->count; d++) {
		if (!ctl->relay->missing[d])
			continue;
		o->missing[d] = change_bind_one(ctl, &now->items[d], o, d) < 0;
		if (o->missing[d])
			continue;
		addr_format(&now->items[d].address, text);
		log_notice("relay", "listening address=%s udp=links; it was missing", text);
		found = true;
	}
	return found;
}

static bool change_any_missing(const struct relay_control *ctl)
{
	for (size_t d = 0; d < ctl->current->binds.count; d++)
		if (ctl->relay->missing[d])
			return true;
	return false;
}

/* The program that had them may have gone. */
static void change_missing_due(struct timer *t, uint64_t now_ms)
{
	struct relay_control *ctl = container(t, struct relay_control, missing_timer);
	struct worker_switch *messages[RELAY_WORKERS_MAX] = {NULL};
	struct relay *r = ctl->relay;
	struct opening o;
	bool ok;

	ring_timer_set(ctl->ring, t, MISSING_AGAIN_MS);
	if (r->draining || !change_any_missing(ctl))
		return;
	ok = opening_make(&o, r, ctl->current->binds.count) && change_find_missing(ctl, &o) &&
	     change_messages(r, ctl->current, o.fds, messages);
	if (ok)
		change_hand_out(r, messages, &o);
	for (unsigned w = 0; !ok && w < r->worker_count; w++)
		worker_switch_drop(messages[w]);
	opening_drop(&o, ok);
}

/* ---- in force ---- */

static bool change_enforce(struct configuring *c, void *proposal, char why[CONFIGURING_WHY_BYTES])
{
	struct relay_control *ctl = container(c, struct relay_control, managed.configuring);
	struct snapshot *next = proposal;
	struct signed_revocations judged = {.count = 0};

	snprintf(why, CONFIGURING_WHY_BYTES, "out of memory");
	if (!signed_revocations_copy(&next->signed_revocations, &judged) ||
	    !change_switch(ctl, next, why, CONFIGURING_WHY_BYTES)) {
		signed_revocations_free(&judged);
		snapshot_release(next);
		return false;
	}
	log_set_level((enum log_level)next->config.log_level);
	if (!changes_rollback(c->changes)) /* amid a trial something beside it may change */
		ctl->memory_before = ctl->current->config.limits.memory_bytes;
	snapshot_release(ctl->current);
	ctl->current = next;
	signed_revocations_free(&ctl->signed_revocations);
	ctl->signed_revocations = judged;
	revoke_tell_changes(ctl, &next->signed_told, SIGNED_BY_OTHER_CAS);
	ring_timer_set(ctl->ring, &ctl->expiry_timer, 0);
	return true;
}

/* What is kept is two configurations; beyond YAML, JSON has quotes and commas at each value. */
static_assert(KEEPER_DATA_MAX >= 2 * (CONF_FILE_MAX + 6 * CONF_NODES_MAX), "what is kept fits");

static int change_keep(struct configuring *c, const json_t *kept)
{
	struct relay_control *ctl = container(c, struct relay_control, managed.configuring);
	char *text = json_dumps(kept, JSON_COMPACT);
	int error = text ? keeper_save(ctl->keeper, STATE_NAME, text, strlen(text)) : -ENOMEM;

	memory_free(text);
	return error;
}

static const struct configuring_ops change_ops = {
	.area = "control",
	.propose = change_propose,
	.drop = change_drop,
	.cuts_off = change_cuts_off,
	.restart = change_restart,
	.enforce = change_enforce,
	.go_back = change_go_back,
	.keep = change_keep,
	.set_trial = managed_set_trial,
	.event = managed_tell,
	.now = managed_now,
};

bool change_open(struct relay_control *ctl, const struct configuring_start *s)
{
	ctl->missing_timer.fire = change_missing_due;
	ring_timer_set(ctl->ring, &ctl->missing_timer, MISSING_AGAIN_MS);
	return configuring_open(&ctl->managed.configuring, &change_ops, relay_config_fields(), s,
				ctl->current->config.state_dir != NULL);
}

/* ---- the same configuration, and other things beside it ---- */

bool change_beside(struct relay_control *ctl, char why[CONFIGURING_WHY_BYTES])
{
	struct configuring *c = &ctl->managed.configuring;
	struct conf_errors errors = {0};
	struct snapshot *next = change_propose(c, changes_document(c->changes), &errors, why);

	if (!next && !why[0])
		snprintf(why, CONFIGURING_WHY_BYTES, "the configuration in force does not fit");
	conf_errors_free(&errors);
	if (next)
		next->revision = changes_revision(c->changes);
	return next && change_enforce(c, next, why);
}

/* ---- SIGHUP ---- */

/* tls.certificate_file and tls.key_file, which another program renews. A pair that does not fit, as
 * one that is half written, leaves the old one in force. */
static void control_reload_front(struct relay_control *ctl)
{
	const struct pair_paths paths = {ctl->certificate_file, ctl->key_file};
	char why[PAIR_WHY_BYTES], *before = ctl->front_pem, *pem;

	if (!before)
		return;
	pem = pair_read(ctl->signer, &paths, why);
	if (pem && strcmp(pem, before) == 0) {
		log_notice("control", "tls.certificate_file says nothing new");
		memory_free(pem);
		return;
	}
	if (pem) {
		ctl->front_pem = pem;
		if (change_beside(ctl, why)) {
			log_notice("control", "the certificate in %s is in force%s",
				   paths.certificate,
				   ctl->current->config.tls.certificate
					   ? " once there is no tls.certificate any more"
					   : "");
			memory_free(before);
			return;
		}
		ctl->front_pem = before;
		memory_free(pem);
	}
	log_error("control", "%s; the certificate before stays in force", why);
}

void control_reload(struct relay_control *ctl)
{
	struct conf_errors errors = {.file = ctl->path};
	json_t *document = NULL;
	char *text = NULL;
	size_t len = 0;
	int error;

	control_reload_front(ctl);
	if (!configuring_may_reread(&ctl->managed.configuring))
		return;
	error = signer_read(ctl->signer, SIGNING_CONFIG, &text, &len);
	if (error == 0)
		document = load_document(text, len, &errors);
	else if (error == -EKEYREJECTED)
		conf_error(&errors, NULL, "", "%s", text);
	log_lines(LOG_LEVEL_WARNING, "config", errors.warnings.text);
	if (!document)
		log_error("control", "the configuration file is not in force: %s",
			  error == -EINVAL			 ? "it is no regular file"
			  : error == 0 || error == -EKEYREJECTED ? "it has errors"
								 : strerror(-error));
	log_lines(LOG_LEVEL_ERROR, "config", errors.text);
	conf_errors_free(&errors);
	memory_free(text);
	configuring_reread(&ctl->managed.configuring, document);
}
