/* SPDX-License-Identifier: Apache-2.0 */
/* control: the control thread's beginning and end, and who may call from this host. */
#include "relay/control/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/container.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/program/expiring.h"
#include "relay/control/control_internal.h"
#include "relay/session/pace.h"

static const struct method *const tables[] = {
	methods_of_config, methods_see,	   methods_act,	  methods_policy, methods_revoke,
	methods_identity,  methods_events, methods_trace, methods_schema, NULL};

const struct snapshot *control_snapshot(const struct relay_control *ctl)
{
	return ctl->current;
}

/* ---- our own certificate ---- */

/* Where the front door presents another one than the identity's. */
static void front_expiry_look(struct relay_control *ctl)
{
	const struct front_certificate *f = ctl->current->front_certificate;
	struct expiry_validity v;
	json_t *expiring;

	if (!f)
		return;
	v = front_certificate_validity(f);
	if (ctl->current->config.tls.certificate)
		expiring = expiring_look(&ctl->front_expiry, &v, "relay",
					 "it is tls.certificate, with its chain; 'postern relay "
					 "request --front' has a new key made, and 'postern relay "
					 "certificate --front' brings what its CA answers");
	else
		expiring = expiring_look(&ctl->front_expiry, &v, "relay",
					 "it is that of tls.certificate_file, %s, with its chain; "
					 "renew it and its key where its ACME client runs, then "
					 "SIGHUP",
					 ctl->certificate_file);
	if (expiring) {
		if (!ctl->current->config.tls.certificate)
			json_object_set_new(expiring, "file", json_string(ctl->certificate_file));
		control_event(ctl, "certificate.expiring", expiring);
	}
}

/* Tells the operator in time that it ends. Looks again every EXPIRY_LOOK_MS, and after a change. */
static void relay_expiry_look(struct timer *t, uint64_t now_ms)
{
	struct relay_control *ctl = container(t, struct relay_control, expiry_timer);
	struct expiry_validity v = identity_validity(ctl->current->identity);
	json_t *expiring;

	ring_timer_set(ctl->ring, t, EXPIRY_LOOK_MS);
	expiring =
		expiring_look(&ctl->expiry, &v, "relay",
			      ctl->current->config.state_dir
				      ? "type 'postern relay renew DIR' where its CA is, DIR: a "
					"key is made here, and relay %s goes on without a restart"
				      : "issue a new one with 'postern pki issue DIR relay %s', "
					"and put it into the relay's own file; then SIGHUP, or a "
					"restart where systemd hands the relay a copy",
			      ctl->current->config.name);
	if (expiring)
		control_event(ctl, "certificate.expiring", expiring);
	front_expiry_look(ctl);
}

/* ---- consoles ---- */

enum reason control_judge(const struct snapshot *s, const struct caller *caller)
{
	const struct entitled_rules rules =
		policy_entitles(s->policy, identity_anchors(s->identity));
	const struct entitled_proof proof = {.own = caller->credential};

	return entitled(&proof, &rules, time(NULL)).reason;
}

static const char *control_refuses(const struct calls *cs, const struct caller *caller)
{
	const struct relay_control *ctl = container(cs, const struct relay_control, calls);
	enum reason reason = control_judge(ctl->current, caller);

	return reason == REASON_OK ? NULL : reason_sentence(reason);
}

/* ---- the signer ---- */

bool control_failed(const struct relay_control *ctl)
{
	return ctl->failed;
}

/* Without it no handshake succeeds any more, and a sealed relay can have no other: what runs may
 * finish, as in any drain, and the service manager starts both again. */
static void control_signer_ready(struct ring_op *op, int res)
{
	struct relay_control *ctl = container(op, struct relay_control, signer_end);

	if (res >= 0 && signer_lives(ctl->signer)) {
		ring_poll(ctl->ring, op, ctl->signer->helper.fd, POLLIN);
		return;
	}
	log_error("relay", "the signer, which has the private key, is gone; the relay ends with a "
			   "failure, to be started again");
	ctl->failed = true;
	control_drain(ctl, ctl->current->config.drain_ms, true);
}

/* ---- the Unix socket: people and programs on the relay's own host ---- */

static bool uid_listed(const struct conf_array *uids, uid_t uid)
{
	const uint64_t *list = uids->items;

	for (size_t i = 0; i < uids->count; i++)
		if (list[i] == uid)
			return true;
	return false;
}

/* By the peer's credentials: root, the relay's own user and control.admin may change things,
 * control.read may look, no other user is let in.
 *
 * #syscalls getuid
 */
static const char *control_admit(struct callers *cs, uid_t uid, enum caller_level *level)
{
	const struct relay_control *ctl = container(cs, struct relay_control, local);
	const struct relay_config *config = &ctl->current->config;

	if (uid == 0 || uid == getuid() || uid_listed(&config->control.admin, uid))
		*level = CALLER_ADMIN;
	else if (uid_listed(&config->control.read, uid))
		*level = CALLER_READ;
	else
		return "this user may not use the relay's socket; see control.admin and "
		       "control.read in its configuration";
	return NULL;
}

/* 0, or -1 with a sentence. The socket is made while files may still be made. */
static int control_listen(struct relay_control *ctl, char *why, size_t why_size)
{
	const struct relay_config *config = &ctl->current->config;
	int fd;

	if (config->control.socket) {
		fd = callers_listen(config->control.socket);
		if (fd < 0) {
			snprintf(why, why_size, "control.socket: cannot listen on %s: %s; %s",
				 config->control.socket, strerror(-fd),
				 fd == -EEXIST
					 ? "it is no socket of the relay's user: take it away "
					   "or name another"
					 : "make its directory, where the relay's user may "
					   "write, or name another");
			return -1;
		}
		ctl->local = (struct callers){
			.ring = ctl->ring,
			.calls = &ctl->calls,
			.line_max = JSONRPC_LINE_MAX,
			.most = LOCAL_CONNECTIONS_MAX,
			.admit = control_admit,
		};
		ctl->has_local = true;
		callers_start(&ctl->local, fd);
	}
	if (config->metrics.listen.len > 0) {
		/* By the keeper, which can still bind below 1024. */
		int error = keeper_listen(ctl->keeper, &config->metrics.listen, &fd);

		if (error < 0)
			fd = error;
		if (fd >= 0 && metrics_start(ctl, fd) < 0) {
			close(fd);
			fd = -ENOMEM;
		}
		if (fd < 0) {
			snprintf(why, why_size, "metrics.listen: cannot listen: %s", strerror(-fd));
			return -1;
		}
	}
	return 0;
}

/* ---- the NAT helper on this host ---- */

static void relay_nat_changed(struct nat_follow *n)
{
	control_event(container(n, struct relay_control, nat), "nat.changed",
		      nat_view_summary(&n->view));
}

unsigned control_descriptors(void)
{
	return LOCAL_CONNECTIONS_MAX + SCRAPERS_MAX;
}

int control_follow_nat(struct relay_control *ctl)
{
	int error = nat_follow_open(&ctl->nat, ctl->current->config.nat.socket);

	if (error == 0)
		nat_follow_start(&ctl->nat, ctl->ring);
	return error;
}

/* ---- beginning and end ---- */

/* Takes pem over. False without memory. */
static bool control_keep_front(struct relay_control *ctl, char *pem)
{
	const struct relay_config *config = &ctl->current->config;

	ctl->front_pem = pem;
	if (!pem)
		return true;
	ctl->certificate_file = memory_text(config->tls.certificate_file);
	ctl->key_file = memory_text(config->tls.key_file);
	return ctl->certificate_file && ctl->key_file;
}

/* What was kept of signed revocations may be of a CA that has gone since. */
static void control_tell_lapsed(struct relay_control *ctl)
{
	struct signed_told told;

	signed_told_open(&told);
	signed_told_waiting(&told, &ctl->signed_revocations);
	revoke_tell_changes(ctl, &told, SIGNED_BY_OTHER_CAS);
	signed_told_free(&told);
}

int control_open(struct relay *r, const struct control_setup *setup, char *why, size_t why_size)
{
	const struct ring_options options = {.engine = RING_EPOLL, .small_buffers = 64};
	struct relay_control *ctl = memory_zeroed(sizeof *ctl);
	int error = ctl ? ring_open(&ctl->ring, &options, why, why_size) : -ENOMEM;

	if (error < 0) {
		snprintf(why, why_size, "cannot open the control thread's ring: %s",
			 strerror(-error));
		snapshot_release(setup->snap);
		signed_revocations_free(setup->signed_revocations);
		memory_free(setup->front_pem);
		memory_free(ctl);
		return -1;
	}
	ctl->relay = r;
	ctl->keeper = setup->keeper;
	ctl->signer = setup->signer;
	ctl->signer_end.done = control_signer_ready;
	ctl->isolation = setup->isolation;
	ctl->current = setup->snap;
	ctl->signed_revocations = *setup->signed_revocations;
	*setup->signed_revocations = (struct signed_revocations){.count = 0};
	ctl->overrides = setup->overrides ? *setup->overrides : (struct control_overrides){-1, -1};
	ctl->nat = (struct nat_follow){.program = "relay", .changed = relay_nat_changed};
	ctl->expiry_timer.fire = relay_expiry_look;
	ctl->expiry = ctl->front_expiry = (struct expiry)EXPIRY_UNTOLD;
	ctl->calls = (struct calls){
		.tables = tables,
		.owner = ctl,
		.configuring = &ctl->managed.configuring,
		.refuses = control_refuses,
		.admin_remedy = "ask for admin rights (control.admin in the relay's configuration)",
	};
	managed_init(&ctl->managed, ctl->ring, &ctl->calls, &ctl->events);
	ctl->path = setup->path;
	snprintf(why, why_size, "cannot set up the control thread: out of memory");
	if (!control_keep_front(ctl, setup->front_pem) || !change_open(ctl, setup->start) ||
	    !watch_open(ctl) || control_listen(ctl, why, why_size) < 0) {
		control_close(ctl);
		return -1;
	}
	control_tell_lapsed(ctl);
	ring_timer_set(ctl->ring, &ctl->expiry_timer, 0);
	ring_poll(ctl->ring, &ctl->signer_end, ctl->signer->helper.fd, POLLIN);
	r->control = ctl;
	r->control_ring = ctl->ring;
	pacer_start(r->pacer, ctl->ring);
	return 0;
}

void control_close(struct relay_control *ctl)
{
	ctl->relay->control = NULL;
	ctl->relay->control_ring = NULL;
	ring_close(ctl->ring);
	if (ctl->has_local)
		callers_free(&ctl->local);
	metrics_stop(ctl);
	nat_follow_free(&ctl->nat);
	console_stop(ctl);
	records_free(&ctl->events);
	records_free(&ctl->audits);
	configuring_close(&ctl->managed.configuring);
	snapshot_release(ctl->current);
	signed_revocations_free(&ctl->signed_revocations);
	keeper_stop(ctl->keeper);
	watch_close(ctl);
	signer_stop(ctl->signer);
	memory_free(ctl->front_pem);
	memory_free(ctl->certificate_file);
	memory_free(ctl->key_file);
	memory_free(ctl);
}
