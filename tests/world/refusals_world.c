/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refusals_world: each refusal of a relay is counted once under its reason, on record once with who
 * would not and why, and in the log with the same code. An error of the relay's own file is in the
 * log with its place.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "relay/control/control_internal.h"
#include "tests/world/operator.h"
#include "tests/world/peer.h"
#include "tests/world/worlds.h"

static struct world_relay relay;
static struct operator hands;
static struct peer home, laptop, guest;	   /* links */
static struct peer asking, visitor, spare; /* a leg of laptop's, a public client, another */
static struct k_host *relay_host, *near_host;
static struct wire_message m;

/* ---- what is told ---- */

static char logged[4]; /* the code of the last refusal in the relay's log */

static bool went_back;	     /* a trial was not confirmed, as its log says */
static char complained[128]; /* the last that its log says of its file */

static void refusals_log_line(struct k_program *p, const char *line, size_t len)
{
	const char *config = memmem(line, len, "error config: ", 14);

	went_back |= p == relay.program && memmem(line, len, "was not confirmed", 17);
	const char *at = memmem(line, len, "refused from=", 13);
	const char *code = at ? memmem(at, len - (size_t)(at - line), " ending=", 8) : NULL;

	if (p == relay.program && code)
		snprintf(logged, sizeof(logged), "%.3s", code + 8);
	if (p == relay.program && config)
		snprintf(complained, sizeof(complained), "%.*s", (int)(line + len - config - 14),
			 config + 14);
}

static uint64_t counted(enum reason reason)
{
	struct relay_totals t;

	k_enter(relay.program);
	t = relay_totals(&relay.relay);
	k_enter(NULL);
	return t.refused[reason];
}

/* The records of refusals; the newest is *last, borrowed until the next call. */
static unsigned recorded(const json_t **last)
{
	json_t *answer = operator_call(&hands, "audit", NULL), *record;
	unsigned count = 0;
	size_t i;

	*last = NULL;
	json_array_foreach(json_object_get(answer, "audit"), i, record)
	{
		if (strcmp(json_string_value(json_object_get(record, "kind")), "session.refused") !=
		    0)
			continue;
		*last = record;
		count++;
	}
	return count;
}

static bool says(const json_t *record, const char *key, const char *value)
{
	const char *is = json_string_value(json_object_get(record, key));

	return world_check(is && strcmp(is, value) == 0, "on-record",
			   "a refusal's %s is %s, not %s", key, is ? is : "nothing", value);
}

static uint64_t counted_before;
static unsigned recorded_before;

/* A refusal for this reason is to come. */
static void before(enum reason reason)
{
	const json_t *last;

	counted_before = counted(reason);
	recorded_before = recorded(&last);
	logged[0] = '\0';
}

/* It has come: of this asker, who wanted this service of home's. */
static void after(enum reason reason, const char *ending, const char *from, const char *to,
		  const char *service)
{
	const json_t *record;
	unsigned count;

	world_run(SECOND);
	count = recorded(&record);
	world_check(counted(reason) == counted_before + 1, "counted",
		    "%s: %s is counted %llu times", ending, reason_name(reason),
		    (unsigned long long)(counted(reason) - counted_before));
	world_check(strcmp(logged, ending) == 0, "on-record", "%s: the log says \"%s\"", ending,
		    logged);
	if (!world_check(count == recorded_before + 1, "on-record", "%s: there are %u records",
			 ending, count - recorded_before))
		return;
	(void)(says(record, "ending", ending) && says(record, "reason", reason_name(reason)) &&
	       says(record, "from", from) && says(record, "to", to) &&
	       says(record, "service", service) && says(record, "session", "0000000000000000"));
}

/* ---- the cast ---- */

static void begin(const char *config)
{
	static char text[300000];

	snprintf(text, sizeof(text),
		 "listen:\n  - address: 0.0.0.0:443\nthreads: %llu\nlog_level: info\n"
		 "control:\n  socket: " OPERATOR_SOCKET "\n%s",
		 (unsigned long long)dice_between(&world_dice, 1, 3), config);
	world_relay_start(&relay, RELAY_A, relay_host, text);
	operator_start(&hands, &relay);
	peer_start(&home, "home", HOME, near_host);
	peer_start(&laptop, "laptop", LAPTOP, near_host);
	peer_start(&guest, "guest", GUEST, near_host);
	peer_start(&asking, "asking-leg", LAPTOP, near_host);
	peer_start(&visitor, "visitor", GUEST, near_host);
	peer_start(&spare, "spare", LAPTOP, near_host);
	(void)peer_sign_in(&home, relay_host, 0);
	peer_publish(&home, "talk");
	(void)peer_sign_in(&laptop, relay_host, 0);
	(void)peer_leg(&asking, relay_host, &laptop);
}

static void leave(void)
{
	struct peer *const all[] = {&home, &laptop, &guest, &asking, &visitor, &spare};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		peer_end(all[i]);
	operator_stop(&hands);
}

static void end(void)
{
	leave();
	world_run(120 * SECOND);
	world_relay_check_quiet(&relay);
	world_relay_stop(&relay);
}

static void fails(enum reason reason)
{
	if (peer_expect(&asking, WIRE_FAIL, &m))
		world_check(m.fail.reason == reason, "messages", "FAIL says %s, not %s",
			    reason_name(m.fail.reason), reason_name(reason));
}

/* The leg asks and hears no, for this reason. */
static void asks_in_vain(const char *to, const char *service, enum reason reason,
			 const char *ending)
{
	before(reason);
	peer_open(&asking, to, service);
	fails(reason);
	after(reason, ending, "laptop", to, service);
}

static uint64_t offered(void)
{
	return peer_expect(&home, WIRE_OFFER, &m) ? m.offer.session : 0;
}

static void home_refuses(uint64_t session, enum reason reason)
{
	struct wire_message no = {.type = WIRE_REFUSE};

	no.refuse.session = session;
	no.refuse.reason = (uint16_t)reason;
	no.refuse.text = wire_text("");
	peer_say(&home, &no);
}

static void public_hello(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_method());
	struct tls *t = tls_new(context, false);
	const uint8_t *hello;
	size_t len;

	if (!SSL_set_tlsext_host_name(tls_ssl(t), "www.example") || tls_handshake(t) != TLS_AGAIN)
		world_broken("no hello can be made");
	hello = tls_output(t, &len);
	peer_write(&visitor, hello, len);
	tls_free(t);
	SSL_CTX_free(context);
}

static uint64_t before_it_came; /* so many connections */

static uint64_t connections(void)
{
	uint64_t n;

	k_enter(relay.program);
	n = relay_totals(&relay.relay).connections;
	k_enter(NULL);
	return n;
}

static void public_comes(void)
{
	before_it_came = connections();
	(void)peer_connect(&visitor, relay_host);
}

static void public_ends(void)
{
	world_check(peer_has(&visitor, 7, 10 * SECOND) && visitor.got[0] == 21, "messages",
		    "a public client hears no alert");
	world_check(peer_gone(&visitor, 5 * SECOND), "ends", "a public client is kept");
	peer_close(&visitor, false);
	visitor.got_len = 0;
	world_run(SECOND / 2);
	world_check(connections() == before_it_came, "ends",
		    "a public client that was refused has left, and its connection is kept");
}

/* ---- refusals ---- */

/* Events are told beside the records. */
static void expect_event(const char *kind, const char *agent)
{
	json_t *answer = operator_call(&hands, "events", NULL), *event;
	bool there = false;
	size_t i;

	json_array_foreach(json_object_get(answer, "events"), i, event)
	{
		const char *k = json_string_value(json_object_get(event, "kind"));
		const char *a = json_string_value(json_object_get(event, "agent"));

		there |= k && a && strcmp(k, kind) == 0 && strcmp(a, agent) == 0;
	}
	world_check(there, "on-record", "no event %s of %s", kind, agent);
}

static void refused_by_the_relay(void)
{
	begin("policy:\n  - from: [laptop]\n    to: [\"home/*\", \"away/*\"]\n"
	      "limits:\n  sessions: 1\n");
	expect_event("agent.up", "laptop");
	asks_in_vain("other", "talk", REASON_NOT_ALLOWED, "SON");
	asks_in_vain("away", "talk", REASON_AGENT_OFFLINE, "SOO");
	asks_in_vain("home", "nothing", REASON_SERVICE_UNKNOWN, "SOY");
	(void)peer_leg(&spare, relay_host, &laptop);
	peer_open(&spare, "home", "talk");
	(void)offered();
	asks_in_vain("home", "talk", REASON_LIMIT_SESSIONS, "SOL");
	peer_close(&laptop, false);
	world_run(SECOND);
	before(REASON_LINK_GONE);
	peer_open(&asking, "home", "talk");
	fails(REASON_LINK_GONE);
	after(REASON_LINK_GONE, "SOO", "laptop", "home", "talk");
	end();
}

static void refused_by_the_publisher(void)
{
	begin("limits:\n  open: 2s\n");
	before(REASON_SERVICE_UNKNOWN);
	peer_open(&asking, "home", "talk");
	home_refuses(offered(), REASON_SERVICE_UNKNOWN);
	fails(REASON_SERVICE_UNKNOWN);
	after(REASON_SERVICE_UNKNOWN, "POY", "laptop", "home", "talk");
	/* It says nothing. */
	before(REASON_TIMEOUT);
	peer_open(&asking, "home", "talk");
	uint64_t session = offered();
	fails(REASON_TIMEOUT);
	home_refuses(session, REASON_SERVICE_UNKNOWN); /* too late: is not told twice */
	after(REASON_TIMEOUT, "POQ", "laptop", "home", "talk");
	/* It goes. */
	before(REASON_PEER_GONE);
	peer_open(&asking, "home", "talk");
	(void)offered();
	peer_close(&home, true);
	fails(REASON_PEER_GONE);
	after(REASON_PEER_GONE, "POG", "laptop", "home", "talk");
	end();
}

static void an_asker_that_leaves(void)
{
	begin("");
	world_check(peer_dial(&spare, relay_host), "links", "a leg cannot dial");
	world_run(SECOND);
	before(REASON_PEER_GONE);
	peer_frame_leg(&spare, &laptop);
	peer_frame(&spare, &(struct wire_message){.type = WIRE_OPEN,
						  .open = {wire_text("home"), wire_text("talk")}});
	peer_flush(&spare);
	peer_close(&spare, true);
	k_advance(k_now_us + SECOND); /* all of it is there at once */
	after(REASON_PEER_GONE, "AOG", "laptop", "home", "talk");
	k_enter(relay.program);
	world_check(relay_totals(&relay.relay).tables.meetings == 0, "accounts",
		    "the meeting of an asker that left is kept");
	k_enter(NULL);
	end();
}

/* The newest record of a session that is over. */
static const char *last_ending(void)
{
	static char code[8];
	json_t *answer = operator_call(&hands, "audit", NULL), *record;
	size_t i;

	code[0] = '\0';
	json_array_foreach(json_object_get(answer, "audit"), i, record)
	{
		const char *kind = json_string_value(json_object_get(record, "kind"));
		const char *ending = json_string_value(json_object_get(record, "ending"));

		if (kind && ending && strcmp(kind, "session.closed") == 0)
			snprintf(code, sizeof(code), "%s", ending);
	}
	return code;
}

/* A session that one side breaks off is on record as that side's doing. */
static void whose_end_it_was(void)
{
	struct peer accepting;

	begin("");
	for (unsigned side = 0; side < 2; side++) {
		peer_start(&accepting, "accepting-leg", HOME, near_host);
		(void)peer_leg(&asking, relay_host, &laptop);
		peer_open(&asking, "home", "talk");
		uint64_t session = offered();
		(void)peer_leg(&accepting, relay_host, &home);
		peer_accept(&accepting, session);
		(void)peer_go(&asking);
		(void)peer_go(&accepting);
		peer_close(side == 0 ? &asking : &accepting, true);
		world_check(peer_gone(side == 0 ? &accepting : &asking, 10 * SECOND), "ends",
			    "a session that one side breaks off goes on");
		world_run(SECOND);
		world_check(last_ending()[0] == (side == 0 ? 'A' : 'P'), "on-record",
			    "the %s side breaks off, and the record says %s",
			    side == 0 ? "asking" : "publishing", last_ending());
		peer_end(&accepting);
	}
	end();
}

/* ---- a console that asks for much ---- */

static struct peer admin;
static size_t tight_bytes; /* that others have of the relay's 64 MiB; 0: none, and it has 512 */

/* So many times in one record, so that the relay reads all of them. What comes back to one has some
 * 200 KiB. */
static void ask_for_much(unsigned times)
{
	static const char ask[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"config.get\"}\n";
	enum { NAMES = 3000, CALLS = 60 };
	static char config[NAMES * 80], asks[CALLS * sizeof(ask)];
	size_t n = (size_t)snprintf(config, sizeof(config), "limits:\n  memory: %s\npublic:\n",
				    tight_bytes > 0 ? "64MiB" : "512MiB"),
	       len = 0;

	for (unsigned i = 0; i < NAMES; i++)
		n += (size_t)snprintf(config + n, sizeof(config) - n,
				      "  - name: w%u.a-rather-long-name.example\n"
				      "    to: home/talk\n",
				      i);
	begin(config);
	peer_start(&admin, "admin", ADMIN, near_host);
	(void)peer_sign_in(&admin, relay_host, WIRE_HELLO_CONSOLE);
	k_enter(relay.program);
	if (tight_bytes > 0 && !memory_take(tight_bytes))
		world_broken("the relay's memory is full already");
	k_enter(NULL);
	admin.mute = true;
	for (unsigned i = 0; i < times; i++, len += sizeof(ask) - 1)
		memcpy(asks + len, ask, sizeof(ask) - 1);
	peer_write(&admin, asks, len);
	world_run(10 * SECOND);
}

static void a_console_that_does_not_read(void)
{
	ask_for_much(60);
	world_check(counted(REASON_NOT_READING) == 1 && counted(REASON_DEADLINE_IDLE) == 0,
		    "counted", "a console that does not read is counted as something else");
	peer_end(&admin);
	end();
}

/* More waits for it than an agent may leave unread. */
static void a_console_that_reads_late(void)
{
	enum { TIMES = 4 };
	unsigned answers = 0;

	ask_for_much(TIMES);
	admin.mute = false;
	(void)peer_has(&admin, PEER_KEPT, 10 * SECOND);
	for (size_t i = 0; i < admin.got_len; i++)
		answers += admin.got[i] == '\n';
	world_check(answers == TIMES && counted(REASON_NOT_READING) == 0, "bytes",
		    "a console that read late got %u of %d answers", answers, TIMES);
	peer_end(&admin);
	end();
}

/* While others fill the memory, a console may leave no more unread than an agent, though there
 * would be room for all that it asks for. */
static void a_console_that_reads_late_while_memory_is_tight(void)
{
	const size_t others = 46u << 20;
	uint64_t refused;

	tight_bytes = others;
	ask_for_much(4);
	refused = counted(REASON_LIMIT_MEMORY);
	admin.mute = false;
	world_check(refused == 1 && peer_gone(&admin, SECOND), "memory-bounded",
		    "a console leaves much unread while memory is tight, and %llu are refused",
		    (unsigned long long)refused);
	k_enter(relay.program);
	memory_give(others);
	k_enter(NULL);
	tight_bytes = 0;
	peer_end(&admin);
	end();
}

/* A client of the web site asks, and hears a status in the end. */
static void site_is_asked(void)
{
	static const char get[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

	visitor.got_len = visitor.looked_at = 0;
	peer_write(&visitor, get, sizeof(get) - 1);
}

static void site_fails(const char *status)
{
	world_check(peer_has(&visitor, 40, 10 * SECOND) && memcmp(visitor.got + 9, status, 3) == 0,
		    "messages", "a client of the web site hears %.*s, not %s",
		    visitor.got_len < 20 ? (int)visitor.got_len : 20, (const char *)visitor.got,
		    status);
}

static void site_clients(void)
{
	begin("limits:\n  open: 2s\nsite:\n  to: home/talk\n");
	world_check(peer_dial(&visitor, relay_host), "links", "a visitor cannot dial");
	before(REASON_NOT_ALLOWED);
	site_is_asked();
	home_refuses(offered(), REASON_NOT_ALLOWED);
	site_fails("502");
	after(REASON_NOT_ALLOWED, "PON", "public", "home", "talk");
	before(REASON_TIMEOUT);
	site_is_asked();
	(void)offered();
	site_fails("504");
	after(REASON_TIMEOUT, "POQ", "public", "home", "talk");
	world_check(counted(REASON_PEER_GONE) == 0, "counted",
		    "a client of the web site that was refused counts as gone, too");
	end();
}

static void public_clients(void)
{
	begin("limits:\n  open: 2s\npublic:\n  - name: www.example\n    to: home/talk\n");
	public_comes();
	before(REASON_NOT_ALLOWED);
	public_hello();
	home_refuses(offered(), REASON_NOT_ALLOWED);
	public_ends();
	after(REASON_NOT_ALLOWED, "PON", "public", "home", "talk");
	public_comes();
	before(REASON_TIMEOUT);
	public_hello();
	(void)offered();
	public_ends();
	after(REASON_TIMEOUT, "POQ", "public", "home", "talk");
	public_comes();
	world_run(SECOND);
	k_enter(relay.program);
	control_drain(relay.relay.control, 600000, false);
	k_enter(NULL);
	before(REASON_DRAINING);
	public_hello();
	public_ends();
	after(REASON_DRAINING, "SOD", "public", "home", "talk");
	end();
}

/* An asker that still waits when a relay leaves is told, and so is the log. */
static void a_relay_that_leaves(void)
{
	begin("drain: 600s\n");
	peer_open(&asking, "home", "talk");
	(void)offered();
	logged[0] = '\0';
	k_signal(relay.program, SIGTERM);
	fails(REASON_DRAINING);
	world_check(strcmp(logged, "SOD") == 0, "on-record", "SOD: the log says \"%s\"", logged);
	leave();
	world_relay_stop(&relay);
}

/* The relay's own file, read again. */
static void a_file_with_an_error(void)
{
	begin("");
	world_relay_write(&relay, "nonsense: 1\n");
	k_signal(relay.program, SIGHUP);
	world_run(SECOND);
	world_check(strncmp(complained, relay.config_path, strlen(relay.config_path)) == 0,
		    "messages", "an error of %s is said to be in %s", relay.config_path,
		    complained);
	end();
}

/* What is wrong with a grant is told in one line, with its places, and without
 * control characters, which a console shows as \x0a. */
static void a_grant_that_is_wrong(void)
{
	const char *said;

	begin("");
	(void)operator_call(
		&hands, "grant",
		json_pack("{s:s, s:s, s:s}", "agent", "laptop", "to", "home", "hours", "always"));
	said = json_string_value(
		json_object_get(json_object_get(hands.answer, "error"), "message"));
	world_check(said && !strstr(said, "\\x") && strstr(said, "grants[0].to") &&
			    strstr(said, "grants[0].hours"),
		    "answers", "a wrong grant is answered by \"%s\"", said ? said : "");
	end();
}

/* A change that is confirmed stays, after a restart, too. */
static void a_change_that_is_confirmed(void)
{
	json_t *config;

	begin("");
	config = json_deep_copy(
		json_object_get(operator_call(&hands, "config.get", NULL), "config"));
	json_object_set_new(config, "public",
			    json_pack("[{s:s, s:s}]", "name", "www.example", "to", "home/talk"));
	went_back = false;
	(void)operator_call(&hands, "config.apply",
			    json_pack("{s:o, s:i}", "config", config, "confirm_ms", 2000));
	world_check(operator_call(&hands, "config.confirm", NULL) != NULL, "answers",
		    "a trial cannot be confirmed");
	world_run(20 * SECOND);
	world_check(!went_back, "trial", "a trial that was confirmed runs out");
	end();
	begin("");
	config = json_object_get(operator_call(&hands, "config.get", NULL), "config");
	world_check(json_array_size(json_object_get(config, "public")) == 1, "kept",
		    "what a console changed is gone after a restart");
	end();
}

void world_refusals(void)
{
	k_log_line = refusals_log_line;
	relay_host = k_host_new("relay");
	near_host = k_host_new("near");
	k_cable_set(relay_host, near_host, (uint32_t)dice_size(&world_dice, 20000),
		    (uint32_t)dice_size(&world_dice, 5000));
	refused_by_the_relay();
	refused_by_the_publisher();
	whose_end_it_was();
	an_asker_that_leaves();
	a_console_that_does_not_read();
	a_console_that_reads_late();
	a_console_that_reads_late_while_memory_is_tight();
	public_clients();
	site_clients();
	a_relay_that_leaves();
	a_file_with_an_error();
	a_grant_that_is_wrong();
	a_change_that_is_confirmed();
	k_log_line = NULL;
}
