/* SPDX-License-Identifier: Apache-2.0 */
/* control: the control thread's beginning and end, its signals, and what transports and workers
 * see of it. */
#include "relay/control/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "core/container.h"
#include "core/log.h"
#include "relay/control/control_internal.h"
#include "relay/front/listener.h"
#include "relay/worker.h"

static const struct method *const tables[] = {
	methods_of_config, methods_see,	   methods_act, methods_policy,
	methods_events,	   methods_schema, NULL};

static void control_init(struct control *ctl)
{
	ctl->calls = (struct calls){
		.tables = tables,
		.owner = ctl,
		.configuring = &ctl->configuring,
		.admin_remedy = "ask for admin rights (control.admin in the relay's configuration)",
	};
}

struct relay *control_relay(struct control *ctl)
{
	return ctl->relay;
}

struct ring *control_ring(struct control *ctl)
{
	return ctl->ring;
}

void control_caller_add(struct control *ctl, struct caller *c)
{
	caller_add(&ctl->calls, c);
}

void control_caller_remove(struct control *ctl, struct caller *c)
{
	caller_remove(&ctl->calls, c);
}

void control_line(struct control *ctl, struct caller *c, const char *line, size_t len)
{
	calls_line(&ctl->calls, c, line, len);
}

/* ---- status ---- */

/* " stun_udp_answered=12 ..." of all that are not 0. */
static void stun_text(const struct relay_totals *t, char *out, size_t room)
{
	size_t n = 0;

	for (unsigned way = 0; way < STUN_WAYS; way++)
		for (unsigned i = 0; i < STUN_COUNTS; i++)
			if (t->stun[way][i] > 0 && n < room)
				n += (size_t)snprintf(out + n, room - n, " stun_%s_%s=%llu",
						      stun_way_name((enum stun_way)way),
						      stun_count_name(i),
						      (unsigned long long)t->stun[way][i]);
}

void control_log_status(struct relay *r)
{
	struct relay_totals t = relay_totals(r);
	char refused[1024] = "", stun[512] = "";
	size_t n = 0;

	for (unsigned code = 0; code < REASON_MAX; code++)
		if (t.refused[code] > 0 && n < sizeof refused)
			n += (size_t)snprintf(refused + n, sizeof refused - n, " refused_%s=%llu",
					      reason_name(code),
					      (unsigned long long)t.refused[code]);
	stun_text(&t, stun, sizeof stun);
	log_notice("status",
		   "links=%zu legs=%zu sessions=%llu sessions_total=%llu connections=%llu "
		   "accepted_total=%llu bytes_total=%llu%s%s",
		   t.tables.links, t.tables.legs, (unsigned long long)t.sessions,
		   (unsigned long long)t.sessions_total, (unsigned long long)t.connections,
		   (unsigned long long)t.accepted, (unsigned long long)t.bytes, stun, refused);
}

/* ---- signals ---- */

static void signal_came(struct control *ctl, uint32_t number)
{
	switch (number) {
	case SIGTERM:
	case SIGINT:
		if (ctl->stop_signals++ == 0) {
			control_drain(ctl, ctl->current->config.drain_ms, true);
		} else {
			log_notice("relay", "stopping at once");
			ring_stop(ctl->ring);
		}
		break;
	case SIGHUP:
		control_reload(ctl);
		break;
	default:
		control_log_status(ctl->relay);
		break;
	}
}

static void signals_ready(struct ring_op *op, int res)
{
	struct control *ctl = container(op, struct control, signal_op);
	struct signalfd_siginfo info;

	if (res < 0)
		return;
	while (read(ctl->signal_fd, &info, sizeof info) == sizeof info)
		signal_came(ctl, info.ssi_signo);
	ring_poll(ctl->ring, op, ctl->signal_fd, POLLIN);
}

/* ---- beginning and end ---- */

/* The socket is made while files may still be made. -1 and a sentence where it cannot be. */
static int open_local_socket(const struct relay_config *config)
{
	const char *path = config->control.socket;
	int fd;

	if (!path)
		return -1;
	fd = callers_listen(path);
	if (fd < 0)
		die("control.socket: cannot listen on %s: %s", path, strerror(-fd));
	return fd;
}

static int open_metrics(const struct relay_config *config)
{
	const struct addr *address = &config->metrics.listen;
	int fd;

	if (address->len == 0)
		return -1;
	fd = listener_bind(address);
	if (fd < 0)
		die("metrics.listen: cannot listen: %s", strerror(-fd));
	return fd;
}

static void control_nat_changed(struct nat_follow *n)
{
	control_event(container(n, struct control, nat), "nat.changed", nat_view_summary(&n->view));
}

void control_begin(struct control *ctl, struct relay *r, struct snapshot *snap,
		   struct keeper *keeper, const sigset_t *signals,
		   const struct configuring_start *start)
{
	const struct ring_options options = {.engine = RING_EPOLL, .small_buffers = 64};
	char why[256];
	int error = ring_open(&ctl->ring, &options, why, sizeof why);

	if (error < 0)
		die("cannot open the control thread's ring: %s", strerror(-error));
	ctl->relay = r;
	ctl->keeper = keeper;
	ctl->current = snap;
	ctl->nat = (struct nat_follow){.program = "relay", .changed = control_nat_changed};
	ctl->expiry_timer.fire = control_expiry_look;
	ctl->expiry = (struct expiry)EXPIRY_UNTOLD;
	ring_timer_set(ctl->ring, &ctl->expiry_timer, 0);
	ctl->signal_fd = signalfd(-1, signals, SFD_NONBLOCK | SFD_CLOEXEC);
	if (ctl->signal_fd < 0)
		die("cannot set up the control thread: %s", strerror(errno));
	control_init(ctl);
	if (!control_configure(ctl, start))
		die("out of memory");
	r->control = ctl;
	pacer_start(&r->pacer, ctl->ring);
	ctl->signal_op.done = signals_ready;
	ring_poll(ctl->ring, &ctl->signal_op, ctl->signal_fd, POLLIN);

	int local = open_local_socket(&snap->config);
	int metrics = open_metrics(&snap->config);
	if (metrics >= 0 && metrics_start(ctl, metrics) < 0)
		die("out of memory");
	if (local >= 0)
		local_start(ctl, local);
}

void control_end(struct control *ctl)
{
	ring_close(ctl->ring);
	local_stop(ctl);
	metrics_stop(ctl);
	nat_follow_free(&ctl->nat);
	records_free(&ctl->events);
	records_free(&ctl->audits);
	configuring_close(&ctl->configuring);
	snapshot_release(ctl->current);
	close(ctl->signal_fd);
	keeper_stop(ctl->keeper);
}
