/* SPDX-License-Identifier: Apache-2.0 */
/* pcp_world: a PCP client on a fake clock, and a gateway with manners. */
#include "tests/support/pcp_world.h"

#include <stdio.h>
#include <string.h>

#include "core/container.h"

static struct pcp_world *world_of(struct pcp_client *c)
{
	return container(c, struct pcp_world, client);
}

struct addr pcp_world_address(const char *text, uint16_t port)
{
	struct addr a;

	assert_true(addr_from_literal(text, port, &a));
	return a;
}

uint64_t pcp_world_draw(struct pcp_world *w, uint64_t below)
{
	w->random = w->random * 6364136223846793005u + 1442695040888963407u;
	return (w->random >> 33) % below;
}

/* ---- the wire and the gateway ---- */

static void put(struct pcp_world *w, bool to_client, const uint8_t *bytes, size_t len)
{
	if (pcp_world_draw(w, 100) < w->loss_percent)
		return;
	for (size_t i = 0; i < PCP_WORLD_LINE; i++) {
		struct pcp_world_datagram *d = &w->line[i];

		if (d->at_ms)
			continue;
		*d = (struct pcp_world_datagram){w->now_ms + w->delay_ms, to_client, len, {0}};
		memcpy(d->bytes, bytes, len);
		return;
	}
	fail_msg("more datagrams under way than the wire holds");
}

static void on_send(struct pcp_client *c, const uint8_t *bytes, size_t len)
{
	struct pcp_world *w = world_of(c);

	assert_true(len <= PCP_REQUEST_BYTES);
	w->sent_ms[w->sent++ % PCP_WORLD_LINE] = w->now_ms;
	put(w, false, bytes, len);
}

void pcp_world_put_u32(uint8_t *at, uint32_t n)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(n >> (24 - 8 * i));
}

struct pcp_world_mapping *pcp_world_find_mapping(struct pcp_world *w, const uint8_t *in)
{
	struct pcp_world_mapping *free_one = NULL;

	for (size_t i = 0; i < PCP_WORLD_IDS; i++) {
		struct pcp_world_mapping *m = &w->table[i];

		if (m->there && m->protocol == in[36] && m->internal == (in[40] << 8 | in[41]))
			return m;
		if (!m->there)
			free_one = m;
	}
	return free_one;
}

/* Sections 11.3 and 15.1, as far as the tests need them. */
static uint8_t serve_map(struct pcp_world *w, uint8_t *out, size_t len)
{
	struct pcp_world_mapping *m = pcp_world_find_mapping(w, out);
	uint16_t wanted = (uint16_t)(out[42] << 8 | out[43]);
	bool prefer_failure = len > 60, deletion = memcmp(out + 4, "\0\0\0\0", 4) == 0;

	if (w->manners == REFUSES)
		return w->result;
	if (w->manners == NO_OPTIONS && prefer_failure)
		return PCP_UNSUPP_OPTION;
	if (m->there && memcmp(m->nonce, out + 24, PCP_NONCE_BYTES) != 0)
		return PCP_NOT_AUTHORIZED;
	if (deletion) {
		m->there = false;
		return PCP_SUCCESS;
	}
	if (!m->there) {
		if (wanted == w->taken && prefer_failure && !w->ignores_prefer_failure)
			return PCP_CANNOT_PROVIDE_EXTERNAL;
		m->there = true;
		memcpy(m->nonce, out + 24, PCP_NONCE_BYTES);
		m->protocol = out[36];
		m->internal = (uint16_t)(out[40] << 8 | out[41]);
		m->external = wanted == w->taken ? (uint16_t)(wanted + 1000) : wanted;
	}
	out[42] = (uint8_t)(m->external >> 8);
	out[43] = (uint8_t)m->external;
	memcpy(out + 56, &w->external.v4.sin_addr, 4);
	return PCP_SUCCESS;
}

uint32_t pcp_world_epoch_now(const struct pcp_world *w)
{
	return (uint32_t)((w->now_ms - w->boot_ms) / 1000);
}

static void serve(struct pcp_world *w, const struct pcp_world_datagram *d)
{
	uint8_t out[PCP_REQUEST_BYTES];

	w->requests++;
	if (w->manners == SILENT)
		return;
	if (d->bytes[1] == PCP_MAP && w->ignored &&
	    (d->bytes[40] << 8 | d->bytes[41]) == w->ignored)
		return;
	memcpy(out, d->bytes, d->len);
	out[1] |= 0x80;
	if (w->manners == NATPMP_ONLY) {
		put(w, true, (const uint8_t *)"\0\x80\0\1\0\0\0\7", 8);
		return;
	}
	if (w->manners == GARBLED) {
		put(w, true, out, d->len - 1);
		return;
	}
	if (d->bytes[1] == PCP_MAP)
		out[3] = serve_map(w, out, d->len);
	pcp_world_put_u32(out + 8, pcp_world_epoch_now(w));
	memset(out + 12, 0, 12);
	put(w, true, out, d->len);
}

void pcp_world_announce(struct pcp_world *w)
{
	uint8_t out[24] = {2, 0x80};

	pcp_world_put_u32(out + 8, pcp_world_epoch_now(w));
	pcp_client_announced(&w->client, out, sizeof(out), w->now_ms);
}

void pcp_world_reboot(struct pcp_world *w)
{
	w->boot_ms = w->now_ms;
	for (size_t i = 0; i < PCP_WORLD_IDS; i++)
		w->table[i].there = false;
}

/* ---- what is heard ---- */

static void on_available(struct portmap_heard *h, enum portmap_protocol p, enum portmap_family f,
			 const struct portmap_gateway *gateway)
{
	struct pcp_world *w = (struct pcp_world *)h;

	assert_int_equal(p, PORTMAP_PCP);
	assert_int_equal(f, PORTMAP_IPV4);
	assert_string_equal(gateway->about, "PCP version 2");
	w->available++;
	w->verdict_ms = w->now_ms;
}

static void on_unavailable(struct portmap_heard *h, enum portmap_protocol p, enum portmap_family f,
			   enum portmap_failure failure, const char *why)
{
	struct pcp_world *w = (struct pcp_world *)h;

	w->unavailable++;
	w->failure = failure;
	w->verdict_ms = w->now_ms;
	snprintf(w->why, sizeof(w->why), "%s", why);
}

static void on_restarted(struct portmap_heard *h, enum portmap_protocol p, enum portmap_family f,
			 const char *why)
{
	struct pcp_world *w = (struct pcp_world *)h;

	assert_true(strlen(why) > 20);
	w->restarted++;
}

static void on_doubted(struct portmap_heard *h, enum portmap_protocol p, enum portmap_family f,
		       const char *why)
{
	struct pcp_world *w = (struct pcp_world *)h;

	assert_true(strlen(why) > 20);
	w->doubted++;
}

static void on_external_changed(struct portmap_heard *h, enum portmap_protocol p,
				const struct addr *external)
{
	struct pcp_world *w = (struct pcp_world *)h;

	assert_int_equal(addr_port(external), 0);
	w->external_changed++;
}

static void on_mapped(struct portmap_heard *h, enum portmap_protocol p, uint32_t id,
		      const struct addr *external, uint32_t lifetime_s)
{
	struct pcp_world *w = (struct pcp_world *)h;

	w->ids[id].mapped++;
	w->ids[id].port = addr_port(external);
	w->ids[id].external = *external;
	w->ids[id].lifetime_s = lifetime_s;
	w->ids[id].at_ms = w->now_ms;
}

static void on_failed(struct portmap_heard *h, enum portmap_protocol p, uint32_t id,
		      const struct portmap_refusal *refusal)
{
	struct pcp_world *w = (struct pcp_world *)h;
	struct portmap_request again = pcp_world_request(id);

	w->ids[id].failed++;
	w->ids[id].failure = refusal->failure;
	w->ids[id].refusal = *refusal;
	w->ids[id].at_ms = w->now_ms;
	snprintf(w->ids[id].why, sizeof(w->ids[id].why), "%s", refusal->why);
	if (w->remaps)
		pcp_client_map(&w->client, &again, w->now_ms);
}

static void on_unmapped(struct portmap_heard *h, enum portmap_protocol p, uint32_t id, bool ok)
{
	struct pcp_world *w = (struct pcp_world *)h;

	w->ids[id].gone += ok;
	w->ids[id].lost += !ok;
	w->ids[id].at_ms = w->now_ms;
}

/* ---- the loop ---- */

void pcp_world_make(struct pcp_world *w, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	w->heard = (struct portmap_heard){
		.available = on_available,
		.unavailable = on_unavailable,
		.restarted = on_restarted,
		.doubted = on_doubted,
		.external_changed = on_external_changed,
		.mapped = on_mapped,
		.failed = on_failed,
		.unmapped = on_unmapped,
	};
	w->now_ms = PCP_WORLD_START_MS;
	w->random = seed;
	w->delay_ms = 2;
	w->external = pcp_world_address("45.0.0.10", 0);
	w->client.heard = &w->heard;
	w->client.family = PORTMAP_IPV4;
	w->client.gateway = pcp_world_address("192.168.77.1", PCP_PORT);
	w->client.source = pcp_world_address("192.168.77.2", 0);
	w->client.send = on_send;
	assert_int_equal(pcp_client_init(&w->client, PCP_WORLD_ROOM, seed), 0);
}

struct portmap_request pcp_world_request(uint32_t id)
{
	struct portmap_request r;

	memset(&r, 0, sizeof(r));
	r.id = id;
	r.transport = id % 2 ? PORTMAP_TCP : PORTMAP_UDP;
	r.internal = pcp_world_address("192.168.77.2", (uint16_t)(4000 + id / 2));
	r.external = pcp_world_address("0.0.0.0", (uint16_t)(4000 + id / 2));
	r.lifetime_s = 7200;
	memset(r.nonce, (int)id + 1, sizeof(r.nonce));
	return r;
}

void pcp_world_map(struct pcp_world *w, uint32_t id)
{
	struct portmap_request r = pcp_world_request(id);

	pcp_client_map(&w->client, &r, w->now_ms);
}

void pcp_world_unmap(struct pcp_world *w, uint32_t id)
{
	struct portmap_request r = pcp_world_request(id);

	pcp_client_unmap(&w->client, &r, w->now_ms);
}

static void deliver(struct pcp_world *w)
{
	for (size_t i = 0; i < PCP_WORLD_LINE; i++) {
		struct pcp_world_datagram d = w->line[i];

		if (!d.at_ms || d.at_ms > w->now_ms)
			continue;
		w->line[i].at_ms = 0;
		if (d.to_client)
			pcp_client_receive(&w->client, d.bytes, d.len, w->now_ms);
		else
			serve(w, &d);
	}
}

static void run_until(struct pcp_world *w, uint64_t end_ms)
{
	unsigned idle = 0;

	while (w->now_ms < end_ms) {
		uint64_t next = pcp_client_due(&w->client), was = w->now_ms;

		for (size_t i = 0; i < PCP_WORLD_LINE; i++) {
			if (w->line[i].at_ms && w->line[i].at_ms < next)
				next = w->line[i].at_ms;
		}
		w->now_ms = next > end_ms ? end_ms : next > was ? next : was;
		idle = w->now_ms == was ? idle + 1 : 0;
		if (idle > 1000)
			fail_msg("something is due for ever");
		deliver(w);
		pcp_client_tick(&w->client, w->now_ms);
	}
}

void pcp_world_run_for(struct pcp_world *w, uint64_t ms)
{
	run_until(w, w->now_ms + ms);
}

/* A gateway that answers, looked at. */
void pcp_world_make_up(struct pcp_world *w, uint64_t seed)
{
	pcp_world_make(w, seed);
	pcp_client_probe(&w->client, w->now_ms);
	pcp_world_run_for(w, 100);
	assert_int_equal(w->available, 1);
}

void pcp_world_end(struct pcp_world *w)
{
	pcp_client_free(&w->client);
}
