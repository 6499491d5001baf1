/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stun_world: a relay that answers STUN over UDP: how much a source may have, from which of the
 * four sockets an answer comes, what a draining relay says, and that a burst ends nothing. Where it
 * answers links alone: that they are answered, that no other is, what their agent makes of it, and
 * what becomes of it where another program has the port.
 *
 * Each scene has a relay of its own.
 */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/engine/stun_credentials.h"
#include "relay/control/control_internal.h"
#include "stun/integrity.h"
#include "tests/world/programs.h"
#include "tests/world/worlds.h"

#define OTHER_HOST "203.0.113.9" /* of the relay's, too */
#define ALTERNATE  "192.0.2.9:3478"

static struct world_relay relay;
static struct k_host *relay_host, *outside, *home_host;
static struct world_agent home;
static struct k_program *client;
static int client_fd;
static unsigned threads;
static const char *engine;

/* What came last, and how much has come. */
static struct stun_message heard;
static struct addr heard_from;
static uint8_t heard_bytes[1024]; /* heard points into them */
static unsigned heard_count;

/* anyone: gets answers; else links alone. */
static void write_config(char *out, size_t room, bool anyone, const char *stun)
{
	snprintf(out, room,
		 "listen:\n  - address: 0.0.0.0:443\nthreads: %u\nengine: %s\nstun:\n  enabled: "
		 "%s\n%s",
		 threads, engine, anyone ? "true" : "false", stun);
}

static void begin_with(bool anyone, const char *stun)
{
	char text[1024];

	threads = (unsigned)dice_between(&world_dice, 1, 3);
	engine = dice_chance(&world_dice, 500) ? "io_uring" : "epoll";
	write_config(text, sizeof(text), anyone, stun);
	world_relay_start(&relay, RELAY_A, relay_host, text);
	k_enter(client);
	client_fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	k_enter(NULL);
	heard_count = 0;
}

static void begin(const char *stun)
{
	begin_with(true, stun);
}

static void end(void)
{
	k_enter(client);
	close(client_fd);
	k_enter(NULL);
	world_relay_check_quiet(&relay);
	world_relay_stop(&relay);
}

/* ---- asking ---- */

static void send_bytes(const struct addr *to, uint8_t *bytes, size_t len)
{
	struct sockaddr_storage name;
	struct iovec all = {bytes, len};
	struct msghdr m = {
		.msg_name = &name, .msg_namelen = to->len, .msg_iov = &all, .msg_iovlen = 1};

	memcpy(&name, &to->sa, to->len);
	k_enter(client);
	(void)!sendmsg(client_fd, &m, MSG_DONTWAIT);
	k_enter(NULL);
}

/* A Binding request; change: that the answer come from another address, another port. */
static void ask(const struct addr *to, bool change_address, bool change_port)
{
	static const uint8_t id[STUN_ID_BYTES] = "twelve bytes";
	uint8_t bytes[64];
	struct stun_writer w;

	stun_write_begin(&w, bytes, sizeof(bytes), STUN_REQUEST, STUN_BINDING, id);
	if (change_address || change_port)
		stun_write_change_request(&w, change_address, change_port);
	send_bytes(to, bytes, stun_write_end(&w));
}

/* All that has come. */
static void hear(void)
{
	struct iovec all = {heard_bytes, sizeof(heard_bytes)};
	ssize_t n;

	world_run(SECOND / 2);
	for (;;) {
		struct addr from = {0};
		struct msghdr m = {.msg_name = &from.sa,
				   .msg_namelen = sizeof(from.v6),
				   .msg_iov = &all,
				   .msg_iovlen = 1};

		k_enter(client);
		n = recvmsg(client_fd, &m, MSG_DONTWAIT);
		k_enter(NULL);
		if (n < 0)
			return;
		from.len = m.msg_namelen;
		heard_from = from;
		heard_count++;
		world_check(stun_decode(heard_bytes, (size_t)n, &heard) == STUN_OK, "bytes",
			    "an answer of %zd bytes is no STUN", n);
	}
}

static struct addr front_door(void)
{
	return k_address(k_host_address(relay_host), 443);
}

static uint64_t counted(unsigned count)
{
	uint64_t n;

	k_enter(relay.program);
	n = relay_totals(&relay.relay).stun[STUN_UDP][count];
	k_enter(NULL);
	return n;
}

/* ---- scenes ---- */

/* A source has its burst at once, and what is over it is counted, not answered. */
static void scene_no_more_than_a_source_may_have(void)
{
	enum { ASKED = 40, BURST = 5 };
	struct addr to = front_door();

	begin("  rate: 1\n  burst: 5\n");
	for (unsigned i = 0; i < ASKED; i++)
		ask(&to, false, false);
	hear();
	world_check(heard_count == BURST, "bounded", "a source may have %d answers, and gets %u",
		    BURST, heard_count);
	world_check(counted(STUN_LIMITED) == ASKED - BURST, "counted",
		    "%d requests are over the limit, and %llu are counted", ASKED - BURST,
		    (unsigned long long)counted(STUN_LIMITED));
	world_run(2 * SECOND);
	ask(&to, false, false);
	hear();
	world_check(heard_count == BURST + 1, "served",
		    "a source that has been quiet gets no answer");
	end();
}

/* RFC 5780: the answer comes from the socket that was asked, or from that which the client named.
 * A client would take any other for the work of its NAT. */
static void scene_from_the_socket_that_was_named(void)
{
	static const uint16_t ports[] = {3478, 3479};
	const char *const hosts[] = {k_host_address(relay_host), OTHER_HOST};
	char stun[160];

	snprintf(stun, sizeof(stun),
		 "  behaviour:\n    address: %s:3478\n    other: " OTHER_HOST ":3479\n", hosts[0]);
	begin(stun);
	for (unsigned i = 0; i < 16; i++) {
		unsigned host = i & 1, port = i >> 1 & 1, change = i >> 2;
		struct addr to = k_address(hosts[host], ports[port]);
		struct addr named =
			k_address(hosts[host ^ (change & 1)], ports[port ^ change >> 1]);
		unsigned before = heard_count;
		char is[ADDR_TEXT_BYTES], should[ADDR_TEXT_BYTES];

		ask(&to, change & 1, change >> 1);
		hear();
		if (!world_check(heard_count == before + 1, "served", "%u answers to one request",
				 heard_count - before))
			continue;
		addr_format(&heard_from, is);
		addr_format(&named, should);
		world_check(addr_equal(&heard_from, &named), "truth",
			    "an answer is wanted from %s and comes from %s", should, is);
		world_check((heard.has & STUN_HAS_RESPONSE_ORIGIN) != 0 &&
				    addr_equal(&heard.origin, &named),
			    "truth", "an answer from %s names another origin", should);
	}
	end();
}

/* So much at once that the socket is looked at again a moment later; what comes after is answered,
 * too. */
static void scene_after_a_burst(void)
{
	enum { BURST = 60 };
	struct addr to = front_door();

	begin("  rate: 100000\n  burst: 100000\n");
	for (unsigned i = 0; i < BURST; i++)
		ask(&to, false, false);
	hear();
	world_check(heard_count == BURST, "served", "%u of %d requests of a burst are answered",
		    heard_count, BURST);
	for (unsigned i = 0; i < BURST; i++) {
		ask(&to, false, false);
		hear();
	}
	world_check(heard_count == 2 * BURST, "served",
		    "%u of %d requests that come after a burst are answered", heard_count - BURST,
		    BURST);
	end();
}

static void check_sent_elsewhere(const char *when, bool elsewhere)
{
	enum { ASKED = 24 }; /* so many reach each of the relay's threads */
	struct addr to = front_door();
	unsigned before = heard_count;

	for (unsigned i = 0; i < ASKED; i++) {
		ask(&to, false, false);
		hear();
		if (!world_check((heard.header.class == STUN_ERROR &&
				  heard.error_code == STUN_TRY_ALTERNATE) == elsewhere,
				 "drains", "%s, and clients are %s", when,
				 elsewhere ? "not sent elsewhere" : "sent elsewhere"))
			return;
	}
	world_check(heard_count == before + ASKED, "served",
		    "%s, and %u of %d requests are answered", when, heard_count - before, ASKED);
}

/* A relay that drains sends clients elsewhere, until the drain is taken back; a file that is read
 * again meanwhile changes nothing of it. */
static void scene_a_draining_relay_sends_elsewhere(void)
{
	struct relay_control *ctl;
	char why[256], text[1024];

	begin("  alternate: [\"" ALTERNATE "\"]\n");
	check_sent_elsewhere("a relay runs", false);
	ctl = relay.relay.control;
	k_enter(relay.program);
	control_drain(ctl, 600000, false);
	k_enter(NULL);
	world_run(SECOND);
	check_sent_elsewhere("a relay drains", true);
	write_config(text, sizeof(text), true, "  alternate: [\"" ALTERNATE "\"]\n  rate: 200\n");
	world_relay_write(&relay, text);
	k_signal(relay.program, SIGHUP);
	world_run(SECOND);
	check_sent_elsewhere("a relay drains and has read its file again", true);
	k_enter(relay.program);
	world_check(control_undrain(ctl, why, sizeof(why)), "ends", "a drain is not taken back: %s",
		    why);
	k_enter(NULL);
	world_run(SECOND);
	check_sent_elsewhere("a drain was taken back", false);
	end();
}

/* ---- links ---- */

/* A request with credentials, kept to be sent again. */
struct proof {
	struct stun_credentials by;
	uint32_t round;
	uint16_t method;
	uint8_t bytes[160];
	size_t len;
};

static void proof_make(struct proof *p)
{
	static const uint8_t id[STUN_ID_BYTES] = "by a link...";
	struct stun_writer w;

	stun_credentials_set_round(&p->by, p->round);
	stun_write_begin(&w, p->bytes, sizeof(p->bytes), STUN_REQUEST, p->method, id);
	stun_write_bytes(&w, STUN_USERNAME, (const uint8_t *)p->by.username,
			 STUN_CREDENTIALS_USERNAME);
	stun_write_integrity_sha256(&w, (struct stun_bytes){(const uint8_t *)p->by.password,
							    STUN_CREDENTIALS_PASSWORD});
	stun_write_fingerprint(&w);
	p->len = stun_write_end(&w);
}

static const struct agent_link *link_of_home(void)
{
	return home.agent.links.list[0];
}

static void proof_next(struct proof *p)
{
	p->round++;
	proof_make(p);
}

/* What home's link asks with now, in its first round. */
static void proof_of_home(struct proof *p)
{
	const struct agent_link *l = link_of_home();

	*p = (struct proof){.round = 1, .method = STUN_BINDING};
	world_check(stun_credentials_make(l->id, l->secret, &p->by), "served", "no credentials");
	proof_make(p);
}

static void start_home(const char *more)
{
	char text[256];

	snprintf(text, sizeof(text), "relays:\n  - address: relay-a:443\n%s", more);
	names_set("relay-a", k_host_address(relay_host));
	world_agent_start(&home, HOME, home_host, text);
	for (unsigned i = 0; i < 50 && !world_agent_linked(&home); i++)
		world_run(SECOND / 10);
	world_check(world_agent_linked(&home), "served", "an agent is not linked");
}

/* Whether this is answered, by one answer made with its password that tells the truth. */
static bool answered(struct proof *p)
{
	struct addr to = front_door(), self = {.len = sizeof(self.v6)};
	unsigned before = heard_count;

	send_bytes(&to, p->bytes, p->len);
	hear();
	if (heard_count == before)
		return false;
	k_enter(client);
	(void)!getsockname(client_fd, &self.sa, &self.len);
	k_enter(NULL);
	world_check(heard_count == before + 1, "bounded", "%u answers to one request",
		    heard_count - before);
	world_check(stun_integrity_sha256_ok(&heard, heard_bytes,
					     (struct stun_bytes){(const uint8_t *)p->by.password,
								 STUN_CREDENTIALS_PASSWORD}),
		    "proof", "an answer to a link is not made with its password");
	world_check((heard.has & STUN_HAS_XOR_MAPPED_ADDRESS) != 0 &&
			    addr_port(&heard.xor_mapped) == addr_port(&self),
		    "truth", "an answer to a link tells another port than its own");
	return true;
}

/* What was seen on the way, sent again from another port. */
static bool answered_elsewhere(struct proof *p)
{
	int own = client_fd;
	bool is;

	k_enter(client);
	client_fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	k_enter(NULL);
	is = answered(p);
	k_enter(client);
	close(client_fd);
	k_enter(NULL);
	client_fd = own;
	return is;
}

/* What the front door's TCP port answers to these bytes, in one piece or with a pause within. */
static size_t over_tcp(const uint8_t *bytes, size_t first, size_t len, uint8_t *out, size_t room)
{
	struct addr to = front_door();
	size_t got = 0;
	ssize_t n;

	k_enter(client);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	(void)!connect(fd, &to.sa, to.len);
	k_enter(NULL);
	world_run(SECOND / 2);
	for (size_t sent = 0; sent < len; sent = first < len && sent == 0 ? first : len) {
		k_enter(client);
		(void)!send(fd, bytes + sent, sent == 0 ? first : len - sent, MSG_NOSIGNAL);
		k_enter(NULL);
		world_run(SECOND / 2);
	}
	k_enter(client);
	while (got < room && (n = recv(fd, out + got, room - got, 0)) > 0)
		got += (size_t)n;
	close(fd);
	k_enter(NULL);
	return got;
}

/* A link is told its address over TCP, and whoever is none what nginx says. */
static void check_tcp(struct proof *p, size_t first, bool link, const char *what)
{
	static const char stranger[] = "HTTP/1.1 400 ";
	uint8_t said[1024];
	size_t n = over_tcp(p->bytes, first, p->len, said, sizeof(said));
	struct stun_message m;

	if (link)
		world_check(stun_decode(said, n, &m) == STUN_OK && m.header.class == STUN_SUCCESS &&
				    stun_integrity_sha256_ok(
					    &m, said,
					    (struct stun_bytes){(const uint8_t *)p->by.password,
								STUN_CREDENTIALS_PASSWORD}),
			    "served", "%s is not answered over TCP", what);
	else
		world_check(n > sizeof(stranger) &&
				    memcmp(said, stranger, sizeof(stranger) - 1) == 0,
			    "hidden", "%s hears over TCP what nginx would not say", what);
}

static void end_with_home(void)
{
	if (home.up)
		world_agent_stop(&home);
	world_run(20 * SECOND); /* what was said over TCP is over */
	end();
}

/* A link is answered where STUN is off; not one that guesses, and not the same bytes once the link
 * has gone: to them the port is as behind a packet filter that drops. */
static void scene_a_link_alone_is_answered(void)
{
	struct addr to = front_door();
	struct proof right, wrong, unknown, other, old;
	uint64_t unproven;

	begin_with(false, "");
	start_home("stun: false\n");
	proof_of_home(&right);
	wrong = unknown = other = right;
	wrong.by.password[0] = wrong.by.password[0] == '0' ? '1' : '0';
	proof_make(&wrong);
	unknown.by.username[0] = unknown.by.username[0] == '0' ? '1' : '0';
	proof_make(&unknown);
	other.method = 3;
	other.round = UINT32_MAX;
	other.by.password[0] = wrong.by.password[0];
	proof_make(&other);
	world_run(3 * SECOND);
	world_check(counted(STUN_ANSWERED) == 0, "hidden",
		    "an agent asks although its file says no");
	world_check(answered(&right), "served", "a link is not answered");
	unproven = counted(STUN_IGNORED_UNPROVEN);
	world_check(!answered(&wrong), "hidden", "a wrong password is answered");
	world_check(!answered(&unknown), "hidden", "an unknown name is answered");
	world_check(!answered(&other), "hidden", "another method of a link's is answered");
	world_check(!answered_elsewhere(&right), "hidden",
		    "a copy of a link's request is answered elsewhere");
	world_check(answered(&right), "served", "a link is not answered when it asks again");
	old = right;
	proof_next(&right);
	world_check(answered(&right), "served", "a link is not answered in its second round");
	world_check(!answered(&old), "hidden", "a round that is over is answered");
	ask(&to, false, false);
	ask(&to, true, true);
	hear();
	world_check(heard_count == 3, "hidden", "a request without credentials is answered");
	world_check(counted(STUN_IGNORED_UNPROVEN) == unproven + 7, "counted",
		    "7 requests are not answered, and %llu counted",
		    (unsigned long long)(counted(STUN_IGNORED_UNPROVEN) - unproven));
	check_tcp(&right, right.len, false, "a copy of a link's request");
	proof_next(&right);
	check_tcp(&right, 30, false, "a link's request in pieces");
	check_tcp(&right, right.len, true, "a link");
	check_tcp(&right, right.len, false, "a copy of what a link asked over TCP");
	check_tcp(&other, other.len, false, "another method of a link's");
	check_tcp(&wrong, wrong.len, false, "a wrong password");
	check_tcp(&unknown, unknown.len, false, "an unknown name");
	proof_next(&right);
	old = right;
	world_agent_stop(&home);
	world_run(SECOND);
	world_check(!answered(&old), "hidden", "a link that has gone is answered");
	check_tcp(&old, old.len, false, "a link that has gone");
	start_home("stun: false\n");
	proof_of_home(&right);
	world_check(answered(&right), "served", "a new link is not answered");
	world_check(!answered(&old), "hidden",
		    "a link that has gone is answered beside its successor");
	end_with_home();
}

/* Many requests of one link: its name has so many, whatever its network has. */
static void scene_no_more_than_a_name_may_have(void)
{
	enum { ROUNDS = 9, EACH = 7, ASKED = ROUNDS * EACH, MOST = 8 * 4 };
	struct addr to = front_door();
	struct proof right;

	begin_with(dice_chance(&world_dice, 500), "");
	start_home("stun: false\n");
	proof_of_home(&right);
	for (unsigned i = 0; i < ROUNDS; i++, proof_next(&right)) {
		for (unsigned n = 0; n < EACH; n++)
			send_bytes(&to, right.bytes, right.len);
		world_run(SECOND / 20); /* workers must not have them in another order */
	}
	hear();
	world_check(heard_count >= MOST - 1 && heard_count <= MOST + 8, "bounded",
		    "a name may have %d answers, and gets %u", MOST, heard_count);
	world_check(counted(STUN_LIMITED) == ASKED - heard_count, "counted",
		    "%u requests are over the limit, and %llu are counted", ASKED - heard_count,
		    (unsigned long long)counted(STUN_LIMITED));
	world_run(2 * SECOND);
	world_check(answered(&right), "served", "a link that was quiet gets no answer");
	end_with_home();
}

/* Copies with a forged sender look like a request that is sent again. */
static void scene_copies_use_up_nothing(void)
{
	enum { ASKED = 60, OF_A_ROUND = 8 };
	struct addr to = front_door();
	struct proof right;

	begin_with(false, "");
	start_home("stun: false\n");
	proof_of_home(&right);
	for (unsigned i = 0; i < ASKED; i++)
		send_bytes(&to, right.bytes, right.len);
	hear();
	world_check(heard_count == OF_A_ROUND, "bounded", "%u answers to one round of a link",
		    heard_count);
	proof_next(&right);
	world_check(answered(&right), "served",
		    "copies of a link's request use up what its name may ask for");
	end_with_home();
}

static const struct addr *seen_by_home(uint64_t *age_ms)
{
	const struct agent_link *l = link_of_home();

	return reflexive_address(l->reflexive, ring_now_ms(l->worker->ring), age_ms);
}

/* What home tells the agents at the other end of its sessions. */
static void check_told_to_peers(bool told, const char *when)
{
	char should[ADDR_TEXT_BYTES + 16] = "", text[ADDR_TEXT_BYTES], said[512];
	struct candidates own;
	uint64_t age_ms;

	if (told && seen_by_home(&age_ms)) {
		addr_format(seen_by_home(&age_ms), text);
		snprintf(should, sizeof(should), "udp:%s/srflx", text);
	}
	agent_control_candidates(home.agent.control, &own);
	candidates_text(&own, said, sizeof(said));
	world_check(strcmp(said, should) == 0, "truth", "%s peers are told \"%s\", not \"%s\"",
		    when, said, should);
}

static void reload(const char *stun)
{
	char text[1024];

	write_config(text, sizeof(text), false, stun);
	world_relay_write(&relay, text);
	k_signal(relay.program, SIGHUP);
	world_run(SECOND);
}

/* An agent learns its address, also where the first datagrams are lost, and asks again. */
static void scene_an_agent_learns_its_address(void)
{
	const struct addr *seen;
	struct addr first;
	uint64_t age_ms, before;
	size_t limit;

	begin_with(dice_chance(&world_dice, 500), "");
	k_faults.datagram_loss = dice_chance(&world_dice, 500) ? 1000 : 0;
	start_home("");
	world_run(3 * SECOND);
	world_check((seen_by_home(&age_ms) == NULL) == (k_faults.datagram_loss > 0), "truth",
		    "an agent knows what no relay told, or not what one has");
	k_faults.datagram_loss = 0;
	world_run(6 * SECOND);
	seen = seen_by_home(&age_ms);
	if (world_check(seen != NULL, "served", "an agent has not learnt its address")) {
		first = k_address(k_host_address(home_host), addr_port(seen));
		world_check(addr_equal(seen, &first), "truth", "an agent has learnt another's");
	}
	before = counted(STUN_ANSWERED);
	world_check(before == 1, "bounded", "an agent needs %llu answers for one address",
		    (unsigned long long)before);
	world_run(370 * SECOND);
	world_check(counted(STUN_ANSWERED) - before == 1, "served",
		    "an agent has asked %llu times in six minutes",
		    (unsigned long long)(counted(STUN_ANSWERED) - before));
	world_check(seen_by_home(&age_ms) && age_ms < 140000, "served",
		    "what an agent has learnt is old");
	check_told_to_peers(true, "with an address");
	/* Without a descriptor it cannot ask, and does not know whether that still holds. */
	limit = home.program->limit;
	home.program->limit = home.program->open_count;
	world_run(370 * SECOND);
	check_told_to_peers(false, "of an agent that could not ask again");
	home.program->limit = limit;
	world_run(370 * SECOND);
	check_told_to_peers(true, "with an address again");
	/* Once the relay does not answer any more, it stays in the status, with its age. */
	reload("  links: false\n");
	world_run(410 * SECOND);
	world_check(seen_by_home(&age_ms) && age_ms > 400000, "truth",
		    "an agent has forgotten what it had learnt, or learnt what no relay told");
	check_told_to_peers(false, "of a relay that is silent");
	end_with_home();
}

/* Nothing to peers where the file says so. */
static void scene_an_agent_does_not_share(void)
{
	uint64_t age_ms;

	begin_with(false, "");
	start_home("nat:\n  share: false\n");
	world_run(3 * SECOND);
	world_check(seen_by_home(&age_ms) != NULL, "served", "an agent has not learnt its address");
	check_told_to_peers(false, "with nat.share: false");
	end_with_home();
}

/* Another program has the UDP port. The relay starts all the same, and has the port once it is
 * free: by itself, or with the next change. What is asked for by name is an error. */
static void scene_a_port_that_is_taken(void)
{
	struct k_program *neighbour = k_program_new("neighbour", relay_host);
	bool waits = dice_chance(&world_dice, 500);
	struct addr at = k_address("0.0.0.0", 443);
	struct proof right;

	k_enter(neighbour);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	world_check(bind(fd, &at.sa, at.len) == 0, "served", "the port is taken already");
	k_enter(NULL);
	begin_with(false, "");
	start_home("stun: false\n");
	proof_of_home(&right);
	world_check(!answered(&right), "truth", "a relay answers where it has no socket");
	check_tcp(&right, right.len, true, "a link whose relay has no UDP port");
	proof_next(&right);
	reload("  links: true\n");
	world_check(control_snapshot(relay.relay.control)->revision == 1, "truth",
		    "a port that cannot be had is in force");
	world_run(dice_size(&world_dice, 40) * SECOND);
	world_check(!answered(&right), "truth", "a relay answers where it has no socket");
	k_enter(neighbour);
	close(fd);
	k_enter(NULL);
	if (waits)
		world_run(31 * SECOND);
	else
		reload(dice_chance(&world_dice, 500) ? "  links: true\n" : "  rate: 200\n");
	world_check(answered(&right), "served", "a port that is free again is not the relay's");
	end_with_home();
}

/* A relay that answers nobody, by its file: it has no such socket, and its agent lives without. */
static void scene_a_relay_that_answers_nobody(void)
{
	struct proof right;
	uint64_t age_ms;

	begin_with(false, "  links: false\n");
	start_home("");
	proof_of_home(&right);
	world_check(!answered(&right), "hidden", "links are answered where the file says no");
	check_tcp(&right, right.len, false, "a link where the file says no");
	world_run(60 * SECOND);
	world_check(world_agent_linked(&home) && !seen_by_home(&age_ms), "served",
		    "an agent whose relay answers no STUN is not linked");
	world_check(counted(STUN_ANSWERED) + counted(STUN_IGNORED_UNPROVEN) == 0, "hidden",
		    "a relay that answers nobody over UDP has a socket for it");
	end_with_home();
}

static void (*const scenes[])(void) = {
	scene_no_more_than_a_source_may_have,
	scene_from_the_socket_that_was_named,
	scene_after_a_burst,
	scene_a_draining_relay_sends_elsewhere,
	scene_a_link_alone_is_answered,
	scene_no_more_than_a_name_may_have,
	scene_copies_use_up_nothing,
	scene_an_agent_learns_its_address,
	scene_an_agent_does_not_share,
	scene_a_port_that_is_taken,
	scene_a_relay_that_answers_nobody,
};

void world_stun(void)
{
	relay_host = k_host_new("relay");
	k_host_add_address(relay_host, OTHER_HOST);
	outside = k_host_new("outside");
	home_host = k_host_new("home");
	k_cable_set(relay_host, outside, (uint32_t)dice_size(&world_dice, 20000), 0);
	k_cable_set(relay_host, home_host, (uint32_t)dice_size(&world_dice, 20000), 0);
	client = k_program_new("client", outside);
	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		world_tell("---- scene %zu", i);
		scenes[i]();
	}
}
