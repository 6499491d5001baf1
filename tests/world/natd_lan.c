/* SPDX-License-Identifier: Apache-2.0 */
/* natd_lan: RFC 6887 and RFC 6886 from the router's side, the NAT, and a STUN server. */
#include "tests/world/natd_lan.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "stun/message.h"
#include "tests/world/kernel_internal.h"
#include "tests/world/programs.h"

#define GATEWAY_PORT  5351u
#define ANNOUNCE_PORT 5350u
#define NAT_PORTS     40000u /* of what has no lease, from here on */
#define PCP_MAP_BYTES 60u

struct lan lan;

static void put_u32(uint8_t *at, uint32_t n)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(n >> (24 - 8 * i));
}

static uint32_t get_u32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint16_t get_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void put_u16(uint8_t *at, uint16_t n)
{
	at[0] = (uint8_t)(n >> 8);
	at[1] = (uint8_t)n;
}

/* ---- sockets of these programs ---- */

static int udp_at(struct k_program *p, const struct addr *at)
{
	struct k_program *was = k_enter(p);
	int fd = k_udp_socket(AF_INET, true);

	if (fd < 0 || k_udp_bind(k_file_get(fd), &at->sa, at->len))
		world_broken("%s has no socket", p->name);
	k_enter(was);
	return fd;
}

static void udp_send(int fd, const uint8_t *bytes, size_t len, const struct addr *to)
{
	struct iovec whole = {(void *)(uintptr_t)bytes, len};
	struct msghdr m = {.msg_name = (void *)(uintptr_t)&to->sa,
			   .msg_namelen = to->len,
			   .msg_iov = &whole,
			   .msg_iovlen = 1};
	struct k_file *f = k_file_get(fd);

	(void)f->kind->sendmsg(f, &m, 0);
}

static ssize_t udp_receive(int fd, uint8_t *bytes, size_t room, struct addr *from)
{
	struct iovec whole = {bytes, room};
	struct msghdr m = {.msg_name = &from->sa,
			   .msg_namelen = sizeof(from->v6),
			   .msg_iov = &whole,
			   .msg_iovlen = 1};
	struct k_file *f = k_file_get(fd);
	ssize_t n = f->kind->recvmsg(f, &m, 0);

	from->len = m.msg_namelen;
	return n;
}

/* ---- a router's leases ---- */

/* A lease that natd wanted and that ran out although its router could have been asked. */
static void end_lease(struct lan_router *r, struct lan_lease *l)
{
	l->used = false;
	world_check(!l->late, "renewed-in-time",
		    "the lease of port %u ran out at a router that answered all the time",
		    l->internal);
}

static void expire(struct lan_router *r)
{
	for (size_t i = 0; i < LAN_LEASES_MAX; i++)
		if (r->leases[i].used && r->leases[i].until_us <= k_now_us)
			end_lease(r, &r->leases[i]);
}

/* The lease of its port, or NULL. */
static struct lan_lease *lan_lease_of(struct lan_router *r, const struct addr *client, bool tcp,
				      uint16_t internal)
{
	expire(r);
	for (size_t i = 0; i < LAN_LEASES_MAX; i++) {
		struct lan_lease *l = &r->leases[i];

		if (l->used && l->tcp == tcp && l->internal == internal &&
		    addr_same_host(&l->client, client))
			return l;
	}
	return NULL;
}

static bool is_taken(const struct lan_router *r, bool tcp, uint16_t external)
{
	for (size_t i = 0; i < LAN_LEASES_MAX; i++)
		if (r->leases[i].used && r->leases[i].tcp == tcp &&
		    r->leases[i].external == external)
			return true;
	return false;
}

static struct lan_lease *new_lease(struct lan_router *r, const struct addr *client, bool tcp,
				   uint16_t internal, uint16_t external)
{
	while (external == 0 || is_taken(r, tcp, external))
		external = (uint16_t)dice_between(&k_dice, 10000, 30000);
	for (size_t i = 0; i < LAN_LEASES_MAX; i++) {
		struct lan_lease *l = &r->leases[i];

		if (l->used)
			continue;
		*l = (struct lan_lease){.used = true,
					.tcp = tcp,
					.client = *client,
					.internal = internal,
					.external = external};
		return l;
	}
	world_broken("a router has no room for a lease");
}

unsigned lan_router_holds(struct lan_router *r, const struct addr *client)
{
	unsigned n = 0;

	expire(r);
	for (size_t i = 0; i < LAN_LEASES_MAX; i++)
		n += r->leases[i].used && addr_same_host(&r->leases[i].client, client);
	return n;
}

/* ---- what a router is asked ---- */

/* The granted lease; NULL: deleted, or there was none. */
static struct lan_lease *map(struct lan_router *r, const struct addr *client, bool tcp,
			     uint16_t internal, uint16_t external, uint32_t lifetime_s)
{
	struct lan_lease *l = lan_lease_of(r, client, tcp, internal);

	if (lifetime_s == 0) {
		r->deletions++;
		if (l)
			l->used = false;
		return NULL;
	}
	r->maps++;
	if (!l)
		l = new_lease(r, client, tcp, internal, external);
	l->until_us = k_now_us + (uint64_t)lifetime_s * SECOND;
	l->told |= !r->mute;
	return l;
}

static uint32_t epoch_of(const struct lan_router *r)
{
	return (uint32_t)((k_now_us - r->booted_us) / SECOND) +
	       (r->twins && r->requests % 2 ? 400000 : 0);
}

static void answer_pcp_map(struct lan_router *r, uint8_t *out, const struct addr *client)
{
	bool tcp = out[36] == 6;
	uint32_t lifetime_s = get_u32(out + 4);
	struct lan_lease *l = lan_lease_of(r, client, tcp, get_u16(out + 40));

	if (l && memcmp(l->nonce, out + 24, sizeof(l->nonce)) != 0) {
		out[3] = 2; /* NOT_AUTHORIZED */
		return;
	}
	l = map(r, client, tcp, get_u16(out + 40), get_u16(out + 42), lifetime_s);
	if (!l)
		return;
	memcpy(l->nonce, out + 24, sizeof(l->nonce));
	put_u16(out + 42, l->external);
	memset(out + 44, 0, 10);
	out[54] = out[55] = 0xff;
	memcpy(out + 56, r->external, 4);
}

static size_t answer_pcp(struct lan_router *r, const uint8_t *in, size_t len, uint8_t *out,
			 const struct addr *client)
{
	if (r->no_pcp) { /* as a NAT-PMP server answers another version */
		static const uint8_t unsupported[8] = {0, 128, 0, 1};

		memcpy(out, unsupported, sizeof(unsupported));
		put_u32(out + 4, epoch_of(r));
		return r->no_natpmp ? 0 : sizeof(unsupported);
	}
	memcpy(out, in, len);
	out[1] |= 0x80;
	out[2] = out[3] = 0;
	if (in[1] == 1 && len >= PCP_MAP_BYTES)
		answer_pcp_map(r, out, client);
	put_u32(out + 8, epoch_of(r));
	memset(out + 12, 0, 12);
	return len;
}

static size_t answer_natpmp(struct lan_router *r, const uint8_t *in, size_t len, uint8_t *out,
			    const struct addr *client)
{
	struct lan_lease *l;

	if (r->no_natpmp)
		return 0;
	memset(out, 0, 16);
	out[1] = (uint8_t)(in[1] + 128);
	put_u32(out + 4, epoch_of(r));
	if (in[1] == 0 || len < 12) {
		memcpy(out + 8, r->external, 4);
		return 12;
	}
	l = map(r, client, in[1] == 2, get_u16(in + 4), get_u16(in + 6), get_u32(in + 8));
	memcpy(out + 8, in + 4, 8);
	put_u16(out + 10, l ? l->external : 0);
	return 16;
}

static void router_answer(struct lan_router *r, const uint8_t *in, size_t len,
			  const struct addr *from)
{
	uint8_t out[1100];
	size_t n;

	r->requests++;
	if (r->deaf || len < 2)
		return;
	n = in[0] == 2 ? answer_pcp(r, in, len, out, from) : answer_natpmp(r, in, len, out, from);
	if (n > 0 && (!r->mute || in[1] == 0)) /* ANNOUNCE, or the external address */
		udp_send(r->fd, out, n, from);
}

static bool router_turn(void *context)
{
	struct lan_router *r = context;
	struct k_program *was = k_enter(r->program);
	struct addr from;
	uint8_t in[1100];
	ssize_t n;
	bool any = false;

	while ((n = udp_receive(r->fd, in, sizeof(in), &from)) >= 0) {
		router_answer(r, in, (size_t)n, &from);
		any = true;
	}
	k_enter(was);
	return any;
}

void lan_router_reboot(struct lan_router *r, const struct addr *to)
{
	uint8_t hello[24] = {2, 0x80};
	struct k_program *was;
	struct addr at;

	world_tell("a router reboots");
	memset(r->leases, 0, sizeof(r->leases));
	r->booted_us = r->troubled_us = k_now_us;
	if (!to || r->no_pcp)
		return;
	at = *to;
	addr_set_port(&at, ANNOUNCE_PORT);
	was = k_enter(r->program);
	udp_send(r->fd, hello, sizeof(hello), &at);
	k_enter(was);
}

void lan_router_flush(struct lan_router *r)
{
	world_tell("a router's filter is loaded anew");
	for (size_t i = 0; i < LAN_LEASES_MAX; i++)
		r->leases[i].dead = r->leases[i].used;
}

/* ---- the NAT, and the server behind it ---- */

/* What the server outside sees of a datagram from there. */
static struct addr seen_from_outside(const struct addr *from, struct lan_lease **lease)
{
	struct lan_router *r = lan.way_out;
	struct addr seen;
	char text[24];

	snprintf(text, sizeof(text), "%u.%u.%u.%u", r->external[0], r->external[1], r->external[2],
		 r->external[3]);
	*lease = lan_lease_of(r, from, false, addr_port(from));
	if (r->bare)
		return *from;
	seen = k_address(text, *lease ? (*lease)->external
				      : (uint16_t)(NAT_PORTS + addr_port(from) % 20000u));
	return seen;
}

static void count_let_in(uint16_t internal, const uint8_t id[STUN_ID_BYTES])
{
	for (size_t i = 0; i < LAN_PORTS_MAX; i++) {
		if (lan.let_in[i].internal != internal && lan.let_in[i].internal != 0)
			continue;
		lan.let_in[i].internal = internal;
		lan.let_in[i].count += memcmp(lan.let_in[i].last_id, id, STUN_ID_BYTES) != 0;
		memcpy(lan.let_in[i].last_id, id, STUN_ID_BYTES);
		return;
	}
}

unsigned lan_let_in(uint16_t internal)
{
	for (size_t i = 0; i < LAN_PORTS_MAX; i++)
		if (lan.let_in[i].internal == internal)
			return lan.let_in[i].count;
	return 0;
}

/* What a client must not take for its answer: no STUN, and another transaction's. */
static void stun_garble(const struct lan_stun *s, int fd, const struct stun_message *m,
			const struct addr *to)
{
	uint8_t bytes[STUN_ANSWER_MAX], id[STUN_ID_BYTES];
	struct stun_writer w;

	udp_send(fd, (const uint8_t *)"no STUN", 7, to);
	memset(id, 7, sizeof(id));
	stun_write_begin(&w, bytes, sizeof(bytes), STUN_SUCCESS, STUN_BINDING, id);
	stun_write_address(&w, STUN_XOR_MAPPED_ADDRESS, to);
	udp_send(fd, bytes, stun_write_end(&w), to);
}

static void stun_answer(struct lan_stun *s, unsigned a, unsigned p, const uint8_t *request,
			size_t len, const struct addr *from)
{
	const struct stun_server server = {.behaviour = s->one_address ? NULL : &s->behaviour};
	struct stun_message m;
	struct stun_answer out;
	struct lan_lease *lease;
	struct addr seen;
	bool change;

	if (!lan.way_out || stun_decode(request, len, &m) != STUN_OK ||
	    m.header.class != STUN_REQUEST)
		return;
	change = m.change_address || m.change_port;
	s->requests++;
	s->changes += change;
	if (s->deaf || (s->deaf_to_changes && change))
		return;
	seen = seen_from_outside(from, &lease);
	world_check(
		a == 0 || !lease, "proof",
		"a mapped port wrote to the address that has to prove it, which a NAT lets in now");
	if (s->garbles)
		stun_garble(s, s->fds[a][p], &m, from);
	if (stun_server_answer(&server, request, len, &seen, a, p, false, &out) >
	    STUN_ANSWERED_ERROR)
		return;
	if (s->one_address || s->ignores_changes || (out.from_address == a && out.from_port == p)) {
		udp_send(s->fds[a][p], out.bytes, out.len, from); /* an answer: the NAT knows it */
	} else if (((lease && !lease->dead) || lan.way_out->bare) && !lan.way_out->shuts_out) {
		count_let_in(addr_port(from), request + STUN_HEADER_BYTES - STUN_ID_BYTES);
		udp_send(s->fds[out.from_address][out.from_port], out.bytes, out.len, from);
	}
}

static bool stun_turn(void *context)
{
	struct lan_stun *s = context;
	struct k_program *was = k_enter(s->program);
	uint8_t in[STUN_REQUEST_MAX];
	struct addr from;
	bool any = false;
	ssize_t n;

	for (unsigned a = 0; a < 2; a++)
		for (unsigned p = 0; p < 2; p++)
			while ((n = udp_receive(s->fds[a][p], in, sizeof(in), &from)) >= 0) {
				stun_answer(s, a, p, in, (size_t)n, &from);
				any = true;
			}
	k_enter(was);
	return any;
}

/* ---- beginning and end ---- */

static void start_router(struct lan_router *r, const char *name, uint8_t last)
{
	struct addr at;

	r->host = k_host_new(name);
	r->program = k_program_new(name, r->host);
	r->external[0] = 45;
	r->external[3] = last;
	r->booted_us = k_now_us - dice_below(&world_dice, 1000) * SECOND;
	at = k_address(k_host_address(r->host), GATEWAY_PORT);
	r->fd = udp_at(r->program, &at);
	world_turns_add(router_turn, r);
}

static void start_stun(struct lan_stun *s)
{
	static const char other[] = "10.9.9.9";
	static const uint16_t ports[] = {3478, 3479};

	s->host = k_host_new("stun");
	k_host_add_address(s->host, other);
	names_forget_all();
	names_set("stun", k_host_address(s->host));
	s->program = k_program_new("stun", s->host);
	for (unsigned a = 0; a < 2; a++)
		for (unsigned p = 0; p < 2; p++) {
			struct addr at =
				k_address(a == 0 ? k_host_address(s->host) : other, ports[p]);

			s->behaviour.places[a][p] = at;
			s->fds[a][p] = udp_at(s->program, &at);
		}
	world_turns_add(stun_turn, s);
}

void lan_start(void)
{
	memset(&lan, 0, sizeof(lan));
	start_router(&lan.routers[0], "router-a", 10);
	start_router(&lan.routers[1], "router-b", 20);
	lan.way_out = &lan.routers[0];
	start_stun(&lan.stun);
}

void lan_stop(void)
{
	for (size_t i = 0; i < LAN_ROUTERS; i++) {
		world_turns_remove(&lan.routers[i]);
		k_program_end(lan.routers[i].program);
	}
	world_turns_remove(&lan.stun);
	k_program_end(lan.stun.program);
}
