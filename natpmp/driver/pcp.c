/* SPDX-License-Identifier: Apache-2.0 */
/* pcp: the PCP client on a socket and a timer of the ring. */
#include "natpmp/driver/pcp.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/container.h"
#include "core/log.h"
#include "natpmp/pcp_client.h"

#define ROOM	   256u /* mappings; the engine has fewer */
#define PER_TURN   16u	/* datagrams before others get their turn */
#define PAUSE_MS   1000u
#define WIDE_PROBE 3u /* unanswered twice, it is asked so that answers from elsewhere are seen */

struct driver_pcp {
	struct portmap_driver driver;
	struct pcp_client client;
	struct ring *ring;
	struct gateway_options options;
	int fd;
	struct gateway_wide wide;
	struct ring_op op;
	struct timer timer; /* the client's; after stop() it ends the driver */
	struct timer pause; /* after an error, until the socket is listened to again */
	int unsent;	    /* why the last datagram was not sent, an errno; 0: it was */
	bool stopping;
};

static struct driver_pcp *pcp_driver_of(struct portmap_driver *driver)
{
	return container(driver, struct driver_pcp, driver);
}

/* What answers from the gateway's port at another address. Looked at when time has passed. */
static void hear_widely(struct driver_pcp *d)
{
	struct addr from;

	for (unsigned i = 0; i < PER_TURN && gateway_wide_heard(&d->wide, &from); i++)
		pcp_client_elsewhere(&d->client, &from);
	if (!d->client.probing)
		gateway_wide_close(&d->wide);
}

/* ---- datagrams ---- */

/* #syscalls sendto */
static void pcp_driver_send(struct pcp_client *c, const uint8_t *bytes, size_t len)
{
	struct driver_pcp *d = container(c, struct driver_pcp, client);
	ssize_t n = send(d->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	/* An error that an earlier datagram brought back is told first, in place of sending. */
	if (n < 0 && errno == ECONNREFUSED)
		n = send(d->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno != d->unsent)
		log_warning("pcp", "requests are not sent, and will be sent again: %s",
			    strerror(errno));
	d->unsent = n < 0 ? errno : 0;
	if (c->probing && c->phase != PCP_PHASE_UP && c->probes == WIDE_PROBE)
		gateway_wide_ask(&d->wide, bytes, len);
}

/* After every call of the client. */
static void pcp_driver_rearm(struct driver_pcp *d)
{
	uint64_t due = pcp_client_due(&d->client), now = clock_ms(CLOCK_BOOTTIME);

	if (d->stopping)
		return;
	if (due == UINT64_MAX)
		ring_timer_cancel(d->ring, &d->timer);
	else
		ring_timer_set(d->ring, &d->timer, due > now ? due - now : 0);
}

static void listen_on(struct driver_pcp *d)
{
	if (!d->stopping)
		ring_poll(d->ring, &d->op, d->fd, POLLIN);
}

/* Nothing is under way any more. */
static void pcp_driver_end(struct driver_pcp *d)
{
	ring_timer_cancel(d->ring, &d->timer);
	ring_close_fd(d->ring, d->fd);
	d->fd = -1;
	gateway_wide_close(&d->wide);
	d->driver.stopped(&d->driver);
}

static void pcp_driver_resumes(struct timer *t, uint64_t now_ms)
{
	listen_on(container(t, struct driver_pcp, pause));
}

/* False when there is no more. */
static bool pcp_driver_take_one(struct driver_pcp *d)
{
	uint8_t in[PCP_BYTES_MAX + 1]; /* one more, to see what is too long */
	ssize_t n = recv(d->fd, in, sizeof(in), MSG_DONTWAIT);

	if (n >= 0)
		pcp_client_receive(&d->client, in, (size_t)n, clock_ms(CLOCK_BOOTTIME));
	else if (errno == ECONNREFUSED)
		pcp_client_unreachable(&d->client, clock_ms(CLOCK_BOOTTIME));
	return n >= 0;
}

static void pcp_driver_readable(struct ring_op *op, int res)
{
	struct driver_pcp *d = container(op, struct driver_pcp, op);

	for (unsigned i = 0; i < PER_TURN && res >= 0 && !d->stopping && pcp_driver_take_one(d);
	     i++)
		;
	if (d->stopping)
		ring_timer_set(d->ring, &d->timer, 0);
	else if (res < 0)
		ring_timer_set(d->ring, &d->pause, PAUSE_MS);
	else
		listen_on(d);
	pcp_driver_rearm(d);
}

static void pcp_driver_timer_fired(struct timer *t, uint64_t now_ms)
{
	struct driver_pcp *d = container(t, struct driver_pcp, timer);

	if (!d->stopping) {
		hear_widely(d);
		pcp_client_tick(&d->client, clock_ms(CLOCK_BOOTTIME));
		pcp_driver_rearm(d);
	} else if (!ring_op_busy(&d->op)) {
		pcp_driver_end(d);
	}
}

/* ---- what the engine asks ---- */

static void pcp_driver_probe(struct portmap_driver *driver)
{
	struct driver_pcp *d = pcp_driver_of(driver);

	pcp_client_probe(&d->client, clock_ms(CLOCK_BOOTTIME));
	pcp_driver_rearm(d);
}

static void pcp_driver_map(struct portmap_driver *driver, const struct portmap_request *r)
{
	struct driver_pcp *d = pcp_driver_of(driver);

	pcp_client_map(&d->client, r, clock_ms(CLOCK_BOOTTIME));
	pcp_driver_rearm(d);
}

static void pcp_driver_unmap(struct portmap_driver *driver, const struct portmap_request *r)
{
	struct driver_pcp *d = pcp_driver_of(driver);

	pcp_client_unmap(&d->client, r, clock_ms(CLOCK_BOOTTIME));
	pcp_driver_rearm(d);
}

static void pcp_driver_forget(struct portmap_driver *driver, uint32_t id)
{
	struct driver_pcp *d = pcp_driver_of(driver);

	pcp_client_forget(&d->client, id);
	pcp_driver_rearm(d);
}

static void pcp_driver_stop(struct portmap_driver *driver)
{
	struct driver_pcp *d = pcp_driver_of(driver);

	if (d->stopping)
		return;
	d->stopping = true;
	pcp_client_stop(&d->client);
	ring_timer_cancel(d->ring, &d->pause);
	ring_cancel(d->ring, &d->op);
	ring_timer_set(d->ring, &d->timer, 0);
}

static void pcp_driver_release(struct portmap_driver *driver)
{
	struct driver_pcp *d = pcp_driver_of(driver);

	pcp_client_free(&d->client);
	free(d);
}

void driver_pcp_announced(struct portmap_driver *driver, const uint8_t *in, size_t len)
{
	struct driver_pcp *d = pcp_driver_of(driver);

	pcp_client_announced(&d->client, in, len, clock_ms(CLOCK_BOOTTIME));
	pcp_driver_rearm(d);
}

int driver_pcp_open(struct portmap_driver **out, const struct gateway_options *options)
{
	bool v6 = options->place.gateway.sa.sa_family == AF_INET6;
	struct driver_pcp *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return -ENOMEM;
	d->driver = (struct portmap_driver){
		.protocol = PORTMAP_PCP,
		.families = {[PORTMAP_IPV4] = !v6, [PORTMAP_IPV6] = v6},
		.heard = options->heard,
		.probe = pcp_driver_probe,
		.map = pcp_driver_map,
		.unmap = pcp_driver_unmap,
		.forget = pcp_driver_forget,
		.stop = pcp_driver_stop,
		.release = pcp_driver_release,
	};
	d->client.heard = options->heard;
	d->client.family = v6 ? PORTMAP_IPV6 : PORTMAP_IPV4;
	d->client.gateway = gateway_address(options);
	d->client.source = options->place.source;
	d->client.send = pcp_driver_send;
	d->ring = options->ring;
	d->options = *options;
	d->wide = (struct gateway_wide){.options = &d->options, .fd = -1};
	d->op.done = pcp_driver_readable;
	d->timer.fire = pcp_driver_timer_fired;
	d->pause.fire = pcp_driver_resumes;
	d->fd = gateway_socket_open(options);
	err = d->fd < 0 ? d->fd : pcp_client_init(&d->client, ROOM, gateway_seed());
	if (err) {
		if (d->fd >= 0)
			ring_close_fd(d->ring, d->fd);
		free(d);
		return err;
	}
	listen_on(d);
	*out = &d->driver;
	return 0;
}
