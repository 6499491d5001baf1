/* SPDX-License-Identifier: Apache-2.0 */
/*
 * places_world: who takes all places that there are takes none of somebody else's: connections at
 * the front door none of the control socket's and the metrics', a user of the host none of root's.
 * And a worker that serves no more keeps no place: the relay notices it, and ends.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/world/peer.h"
#include "tests/world/stage.h"
#include "tests/world/worlds.h"

#define METRICS_PORT 9100u
#define USERS	     5u
#define EACH	     20u /* that a user opens, of 64 in all */
#define SHARE	     16u /* that one may have */

static const char call[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status\"}\n";

/* ---- callers of every kind, each a descriptor of a program's ---- */

static int connect_to(const struct sockaddr *to, socklen_t len, const char *say)
{
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	(void)connect(fd, to, len);
	for (ssize_t n; *say && (n = send(fd, say, strlen(say), MSG_NOSIGNAL)) != 0;) {
		if (n < 0 && errno != EAGAIN && errno != ENOTCONN)
			break;
		if (n > 0)
			say += n;
		world_run(MS);
	}
	return fd;
}

static int say_to_metrics(struct k_program *p, const char *say)
{
	struct addr to = k_address("127.0.0.1", METRICS_PORT);
	int fd;

	k_enter(p);
	fd = connect_to(&to.sa, to.len, say);
	k_enter(NULL);
	return fd;
}

static int scrape(struct k_program *p)
{
	return say_to_metrics(p, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
}

static int call_locally(struct k_program *p)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = OPERATOR_SOCKET};
	int fd;

	k_enter(p);
	fd = connect_to((const struct sockaddr *)&at, sizeof(at), call);
	k_enter(NULL);
	return fd;
}

/* What has come on it by now. */
static const char *heard_by(struct k_program *p, int fd)
{
	static char got[65536];
	size_t len = 0;
	ssize_t n;

	k_enter(p);
	while (len < sizeof(got) - 1 &&
	       (n = recv(fd, got + len, sizeof(got) - 1 - len, MSG_DONTWAIT)) > 0)
		len += (size_t)n;
	k_enter(NULL);
	got[len] = '\0';
	return got;
}

static bool hears(struct k_program *p, int fd, const char *text)
{
	return strstr(heard_by(p, fd), text) != NULL;
}

static void hang_up(struct k_program *p, int *fds, size_t count)
{
	k_enter(p);
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
	k_enter(NULL);
}

/* ---- connections at the front door ---- */

#define FLOOD	    1300u /* more than there are descriptors */
#define LOCAL_CALLS 64u
#define SCRAPES	    16u
#define FLOODED	    "metrics:\n  listen: 127.0.0.1:9100\nlimits:\n  per_source: 5000\n"

/* Those that descriptors allow leave some for the control socket and the metrics, and for each
 * address of a change beside the old ones: a listener and its reserve, of each thread. */
static void check_connections_possible(void)
{
	const struct relay *r = &stage.relays[0].relay;
	const struct k_program *p = stage.relays[0].program;
	uint64_t own, changing = 2 * r->worker_count;
	struct relay_totals t;

	k_enter(stage.relays[0].program);
	t = relay_totals(&stage.relays[0].relay);
	k_enter(NULL);
	own = p->open_count - t.connections;
	world_check(own + LOCAL_CALLS + SCRAPES + changing + r->connection_limit <= p->limit,
		    "descriptors",
		    "%llu connections are allowed, and %llu of %zu descriptors are the relay's own",
		    (unsigned long long)r->connection_limit, (unsigned long long)own, p->limit);
}

/* Scrapers that say nothing take all places of the metrics for five seconds; one more is told to
 * come again, where its request has not crossed the answer: then it is reset. */
static void check_scrapers(struct k_program *p)
{
	int silent[SCRAPES], more;
	unsigned told = 0, served = 0;

	for (unsigned i = 0; i < SCRAPES; i++) {
		silent[i] = say_to_metrics(p, "");
		world_run(20 * MS);
	}
	for (unsigned i = 0; i < 20; i++) {
		const char *got;

		more = scrape(p);
		world_run(SECOND / 5);
		got = heard_by(p, more);
		told += strstr(got, "503 Service Unavailable") != NULL;
		served += strstr(got, "200 OK") != NULL;
		hang_up(p, &more, 1);
	}
	world_check(served == 0 && told > 0, "told",
		    "of 20 scrapers too many %u are told so, and %u are served", told, served);
	world_run(2 * SECOND);
	more = scrape(p);
	world_run(SECOND / 2);
	world_check(hears(p, more, "200 OK"), "served",
		    "scrapers that say nothing keep their places for more than 5 s");
	hang_up(p, &more, 1);
	hang_up(p, silent, SCRAPES);
}

/* The front door has all that it may; the control socket and the metrics answer as ever, every
 * place of theirs, and no accept fails. */
void world_flood(void)
{
	struct k_program *caller;
	struct relay_totals t;
	int calls[LOCAL_CALLS], scrapes[SCRAPES];
	bool few = dice_chance(&world_dice, 500);
	unsigned answered = 0, scraped = 0, come = few ? FLOOD / 10 : FLOOD;
	uint64_t places = 0;
	struct addr to;

	/* With few places there are few for those that have to go, and some newcomers get none. */
	stage_set(1, few ? FLOODED "  unproven: 4\n" : FLOODED);
	check_connections_possible();
	to = stage_front_door(0);
	caller = k_program_new("caller", stage.relay_hosts[0]);
	for (unsigned i = 0; i < come; i++)
		stranger_come(&stage.visitors, STRANGER_SILENT, &to);
	world_run(2 * SECOND);
	k_enter(stage.relays[0].program);
	t = relay_totals(&stage.relays[0].relay);
	k_enter(NULL);
	world_check(t.refused[REASON_LIMIT_UNPROVEN] > 0 &&
			    t.ledger.used[LEDGER_UNPROVEN] == t.ledger.places[LEDGER_UNPROVEN],
		    "flooded", "%llu connections do not fill the relay, of which %llu are there",
		    (unsigned long long)come, (unsigned long long)t.connections);
	for (unsigned class = 0; class < LEDGER_CLASSES; class ++)
		places += t.ledger.used[class];
	world_check(t.connections == places, "accounts",
		    "%llu connections are there, of which %llu have a place",
		    (unsigned long long)t.connections, (unsigned long long)places);
	for (unsigned i = 0; i < LOCAL_CALLS; i++)
		calls[i] = call_locally(caller);
	for (unsigned i = 0; i < SCRAPES; i++)
		scrapes[i] = scrape(caller);
	world_run(2 * SECOND);
	for (unsigned i = 0; i < LOCAL_CALLS; i++)
		answered += hears(caller, calls[i], "\"result\"");
	for (unsigned i = 0; i < SCRAPES; i++)
		scraped += hears(caller, scrapes[i], "200 OK");
	world_check(answered == LOCAL_CALLS, "served",
		    "in a flood %u of %u callers of the control socket are answered", answered,
		    LOCAL_CALLS);
	world_check(scraped == SCRAPES, "served", "in a flood %u of %u scrapes are answered",
		    scraped, SCRAPES);
	world_check(stage.relays[0].program->open_count < stage.relays[0].program->limit,
		    "descriptors", "what was kept for control is not kept: %zu of %zu are open",
		    stage.relays[0].program->open_count, stage.relays[0].program->limit);
	hang_up(caller, calls, LOCAL_CALLS);
	hang_up(caller, scrapes, SCRAPES);
	check_scrapers(caller);
	(void)world_until(strangers_gone, NULL, 120 * SECOND);
	k_program_end(caller);
	stage_clear();
}

/* ---- users of the relay's host ---- */

static unsigned served(struct k_program *p, int fds[EACH], unsigned *told)
{
	unsigned count = 0;

	for (unsigned i = 0; i < EACH; i++) {
		const char *got = heard_by(p, fds[i]);

		count += strstr(got, "\"result\"") != NULL;
		*told += strstr(got, "close one of them") != NULL;
	}
	return count;
}

/* Each has a share of the places; root has one that no other gets. */
void world_local_users(void)
{
	struct k_program *users[USERS], *root;
	int fds[USERS][EACH], last;
	unsigned all = 0, told = 0;

	stage_set(1, "control:\n  socket: " OPERATOR_SOCKET
		     "\n  read: [1000, 1001, 1002, 1003, 1004]\n");
	for (unsigned u = 0; u < USERS; u++) {
		users[u] = k_program_new("user", stage.relay_hosts[0]);
		users[u]->uid = 1000 + u;
		for (unsigned i = 0; i < EACH; i++)
			fds[u][i] = call_locally(users[u]);
	}
	world_run(2 * SECOND);
	for (unsigned u = 0; u < USERS; u++) {
		unsigned here = served(users[u], fds[u], &told);

		world_check(here <= SHARE, "shared", "one user has %u places", here);
		world_check(u > 0 || here == SHARE, "shared",
			    "the first user has %u places, and may have %u", here, SHARE);
		all += here;
	}
	world_check(all == 63, "shared", "users have %u of 63 places", all);
	world_check(told == USERS * EACH - all, "told",
		    "%u of %u callers without a place were told why", told, USERS * EACH - all);
	root = k_program_new("root", stage.relay_hosts[0]);
	last = call_locally(root);
	world_run(SECOND);
	world_check(hears(root, last, "\"result\""), "served", "there is no place left for root");
	hang_up(root, &last, 1);
	for (unsigned u = 0; u < USERS; u++)
		hang_up(users[u], fds[u], EACH);
	world_run(SECOND);
	last = call_locally(users[4]);
	world_run(SECOND);
	world_check(hears(users[4], last, "\"result\""), "served",
		    "places that are free again are not given");
	hang_up(users[4], &last, 1);
	for (unsigned u = 0; u < USERS; u++)
		k_program_end(users[u]);
	k_program_end(root);
	stage_clear();
}

/* ---- links of one certificate ---- */

#define LINKS_AT_ONCE 260u /* that laptop's certificate opens, of 256 that only ask */

/* Many `ssh -o ProxyCommand` at once all work; more than that are told why not, and cost no other
 * agent its link. */
void world_many_links(void)
{
	static struct peer many[LINKS_AT_ONCE];
	unsigned up = 0, told = 0;
	struct peer last;

	stage_set(1, "limits:\n  agents: 300\n  per_source: 300\n  ping: 10m\n");
	for (unsigned i = 0; i < LINKS_AT_ONCE; i++) {
		struct wire_message m;

		peer_start(&many[i], "laptop", LAPTOP, stage.laptop_host);
		if (!peer_dial(&many[i], stage.relay_hosts[0]))
			continue;
		peer_frame_hello(&many[i], WIRE_HELLO_TRANSIENT);
		peer_flush(&many[i]);
		if (!peer_hear(&many[i], &m, 10 * SECOND))
			continue;
		up += m.type == WIRE_WELCOME;
		told += m.type == WIRE_BYE && m.bye.reason == REASON_LIMIT_LINKS;
	}
	world_check(up == 256, "shared", "one certificate has %u links at once", up);
	world_check(told == LINKS_AT_ONCE - 256, "told", "%u of %u links too many were told why",
		    told, LINKS_AT_ONCE - 256);
	peer_start(&last, "guest", GUEST, stage.guest_host);
	world_check(peer_sign_in(&last, stage.relay_hosts[0], WIRE_HELLO_TRANSIENT), "links",
		    "the links of one certificate leave none for another");
	peer_end(&last);
	peer_end(&many[0]);
	world_run(2 * SECOND);
	peer_start(&many[0], "laptop", LAPTOP, stage.laptop_host);
	world_check(peer_sign_in(&many[0], stage.relay_hosts[0], WIRE_HELLO_TRANSIENT), "links",
		    "a link that has ended is not given back");
	for (unsigned i = 0; i < LINKS_AT_ONCE; i++)
		peer_end(&many[i]);
	stage_clear();
}

/* ---- a worker that serves no more ---- */

static void set_asleep(bool asleep)
{
	struct relay *r = &stage.relays[0].relay;

	for (unsigned i = 0; i <= r->worker_count; i++) {
		struct ring *ring = i < r->worker_count ? r->workers[i].ring : r->control_ring;

		if (asleep)
			world_ring_remove(ring);
		else
			world_ring_add(ring, stage.relays[0].program);
	}
}

/* Seconds until the relay takes a worker for lost; 60: never. */
static unsigned seconds_to_failure(void)
{
	struct world_relay *r = &stage.relays[0];
	unsigned before = r->workers_failed, seconds = 0;

	for (r->may_fail = true; seconds < 60 && r->workers_failed == before; seconds++)
		world_run(SECOND);
	return seconds;
}

void world_worker_gone(void)
{
	struct world_relay *r = &stage.relays[0];
	unsigned lost, took;

	stage_set(1, "");
	lost = (unsigned)dice_below(&world_dice, r->relay.worker_count);
	world_run(90 * SECOND);
	for (unsigned i = 0; i < 3; i++) { /* suspended as a whole: it has had no time to answer */
		set_asleep(true);
		world_run(50 * SECOND);
		set_asleep(false);
		world_run(10 * SECOND);
	}
	for (unsigned i = 0; i < 4; i++) { /* busy, and not for ever */
		world_ring_remove(r->relay.workers[lost].ring);
		world_run(20 * SECOND);
		world_ring_add(r->relay.workers[lost].ring, r->program);
		world_run(2 * SECOND);
	}
	world_ring_remove(r->relay.workers[lost].ring);
	took = seconds_to_failure();
	world_check(took >= 29 && took <= 33, "ends",
		    "a worker that takes no turns is noticed after %u s", took);
	world_ring_add(r->relay.workers[lost].ring, r->program);
	world_run(5 * SECOND);
	r->worker_ended = true;
	took = seconds_to_failure();
	world_check(took <= 2, "ends", "a worker whose thread has ended is noticed after %u s",
		    took);
	r->worker_ended = false;
	stage_clear();
}
