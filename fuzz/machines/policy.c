/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: documents with groups, rules, grants, revocations and tag keys, applied by a console for
 * good or on trial, and revocations that it has signed, while laptop asks home for services. What
 * the relay answers is held against the rules, read one by one; a session whose rule is gone ends
 * within a second; whoever comes with a tag is told something exactly where its key counts.
 *
 * Rules are numbers here, and texts there. A change that is under way is waited for.
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fuzz/machines/cast.h"
#include "tests/support/signed.h"

#define MEMORY_MOST (12u << 20)
#define RULES_MAX   4u
#define AT_ONCE_US  (1300 * MS) /* a second, and what a stalled machine and the way take */
#define SOON_S	    3u

/* ---- rules as numbers ---- */

struct rule {
	uint8_t from, to; /* bits: of askers[], of targets[] */
	bool grant;
	time_t until; /* 0: none */
};

struct rules {
	struct rule rules[RULES_MAX];
	unsigned count;
	bool any;	/* there is a policy, if only an empty one */
	bool staff;	/* laptop is of this group */
	bool revoked;	/* laptop is, by the relay's word */
	uint8_t tags;	/* bits: of tag_keys[], those that count */
	uint8_t newest; /* of them: agents are told this one */
};

static const char *const askers[] = {"laptop", "guest", "staff", "*", "public", "home"};
static const char *const targets[] = {"home/talk", "home/web", "home/*",  "*/talk",
				      "*/*",	   "h*/t*",    "guest/*", "*/w*"};
/* Which of targets[] hold home/talk, and home/web. */
static const uint8_t has_talk = 0x01 | 0x04 | 0x08 | 0x10 | 0x20,
		     has_web = 0x02 | 0x04 | 0x10 | 0x80;

/* Each is so many times this byte; the first is that of all who play. */
static const uint8_t tag_keys[] = {CERTS_TAG_KEY_BYTE, 0xc5, 0x11};
#define TAG_KEYS (sizeof(tag_keys) / sizeof(tag_keys[0]))

static struct rules now = {.tags = 1}; /* in force */
static struct rules before;	       /* what comes back if a trial is not confirmed */
static uint64_t trial_until_us;	       /* 0: no trial */
static json_t *base;		       /* the rest of the document */
static bool signed_out; /* laptop is revoked by a signature, which no rule and no trial touches */
static unsigned answered;
static bool refused, changed; /* what the last answer says; a change of nothing is none */

static time_t clock_s(void)
{
	return (time_t)(((int64_t)k_now_us + k_realtime_offset_us) / (int64_t)SECOND);
}

static bool asker_is_laptop(const struct rules *r, unsigned from)
{
	return (from & 1) || ((from & 4) && r->staff) || (from & 8);
}

/* 1: allowed, 0: not, -1: just about to change. */
static int allows(const struct rules *r, bool web)
{
	bool allowed = !r->any;
	time_t t = clock_s();

	for (unsigned i = 0; i < r->count; i++) {
		const struct rule *rule = &r->rules[i];

		if (!asker_is_laptop(r, rule->from) || !(rule->to & (web ? has_web : has_talk)))
			continue;
		if (rule->until && t + 1 >= rule->until && t <= rule->until + 1)
			return -1;
		allowed = allowed || !rule->until || t < rule->until;
	}
	return allowed;
}

static bool laptop_is_out(void)
{
	return now.revoked || signed_out;
}

static struct rules rules_of_script(void)
{
	struct rules r = {
		.count = script_below(RULES_MAX + 1), .tags = now.tags, .newest = now.newest};
	unsigned flags = script_byte();

	r.any = flags & 1 || r.count > 0;
	r.staff = flags & 2;
	for (unsigned i = 0; i < r.count; i++) {
		unsigned when = script_below(4);

		r.rules[i].from = (uint8_t)(1 + script_below(63));
		r.rules[i].to = (uint8_t)(1 + script_below(255));
		r.rules[i].grant = script_below(2);
		r.rules[i].until = when == 1 ? clock_s() + SOON_S : when == 2 ? clock_s() - 60 : 0;
	}
	return r;
}

/* ---- and as texts ---- */

static json_t *names_of(unsigned bits, const char *const *names, unsigned count)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < count; i++)
		if (bits & 1u << i)
			json_array_append_new(list, json_string(names[i]));
	return list;
}

/* The newest first. */
static json_t *tag_keys_of(const struct rules *r)
{
	char text[TAG_KEYS * (2 * CONF_TAG_KEY_BYTES + 1) + 1] = "";
	size_t len = 0;

	for (unsigned k = 0; k < TAG_KEYS; k++) {
		unsigned which = (r->newest + k) % TAG_KEYS;

		if (!(r->tags & 1u << which))
			continue;
		for (unsigned i = 0; i < CONF_TAG_KEY_BYTES; i++)
			len += (size_t)sprintf(text + len, "%02x", tag_keys[which]);
		text[len++] = '\n';
		text[len] = '\0';
	}
	return json_string(text);
}

static json_t *document_of(const struct rules *r)
{
	json_t *document = json_deep_copy(base), *policy = json_array(), *grants = json_array();

	for (unsigned i = 0; i < r->count; i++) {
		const struct rule *rule = &r->rules[i];
		json_t *text = json_pack("{s:o, s:o}", "from", names_of(rule->from, askers, 6),
					 "to", names_of(rule->to, targets, 8));
		char until[32];
		struct tm tm;

		if (rule->until) {
			strftime(until, sizeof(until), "%Y-%m-%dT%H:%M:%SZ",
				 gmtime_r(&rule->until, &tm));
			json_object_set_new(text, "until", json_string(until));
		}
		json_array_append_new(rule->grant ? grants : policy, text);
	}
	json_object_set_new(document, "groups",
			    json_pack("[{s:s, s:[s]}]", "name", "staff", "members",
				      r->staff ? "laptop" : "guest"));
	json_object_set_new(json_object_get(document, "identity"), "tag_keys", tag_keys_of(r));
	if (r->any)
		json_object_set_new(document, "policy", json_incref(policy));
	if (json_array_size(grants) > 0)
		json_object_set_new(document, "grants", json_incref(grants));
	json_decref(policy);
	json_decref(grants);
	return document;
}

/* ---- the console ---- */

static void hear(const uint8_t *bytes, size_t len)
{
	static char line[1u << 16];
	static size_t line_len;

	for (size_t i = 0; i < len; i++) {
		json_t *answer, *config;

		if (bytes[i] != '\n') {
			if (line_len < sizeof(line))
				line[line_len++] = (char)bytes[i];
			continue;
		}
		answer = json_loadb(line, line_len, 0, NULL);
		world_tell("%.*s", (int)line_len, line);
		line_len = 0;
		if (!json_is_integer(json_object_get(answer, "id"))) {
			json_decref(answer);
			continue;
		}
		answered++;
		refused = json_object_get(answer, "error") != NULL;
		changed = json_array_size(
				  json_object_get(json_object_get(answer, "result"), "diff")) > 0;
		config = json_object_get(json_object_get(answer, "result"), "config");
		if (!base && config)
			base = json_deep_copy(config);
		json_decref(answer);
	}
}

static bool has_answer(void *before_it)
{
	cast_work();
	return answered > *(unsigned *)before_it;
}

/* True: done. params is taken over. */
static bool call(const char *method, json_t *params)
{
	json_t *c = json_pack("{s:s, s:s, s:i, s:o*}", "jsonrpc", "2.0", "method", method, "id", 1,
			      "params", params);
	char *text = json_dumps(c, JSON_COMPACT);
	unsigned then = answered;

	cast_say(&players[CONSOLE], text, strlen(text));
	cast_say(&players[CONSOLE], "\n", 1);
	free(text);
	json_decref(c);
	return world_check(world_until(has_answer, &then, 5 * SECOND), "answers",
			   "%s is not answered", method) &&
	       !refused;
}

/* ---- what a change does to what runs ---- */

/* Sessions of laptop's legs that the rules no longer allow are gone. All are of talk. */
static void check_sessions(const char *why)
{
	struct player *const legs[] = {&players[LAPTOP_LEG_1], &players[LAPTOP_LEG_2]};

	if (allows(&now, false) != 0 && !laptop_is_out())
		return;
	cast_run(AT_ONCE_US);
	for (unsigned i = 0; i < 2; i++)
		if (legs[i]->session)
			world_check(peer_gone(&legs[i]->peer, 1), "entitled",
				    "%s, and a session of laptop goes on a second later", why);
}

static bool trial_runs(void)
{
	return trial_until_us > 0;
}

/* Near the end of a trial nobody knows; afterwards it is known again. */
static void settle(void)
{
	if (!trial_runs() || k_now_us + 200 * MS < trial_until_us)
		return;
	cast_run(k_now_us < trial_until_us + SECOND ? trial_until_us + SECOND - k_now_us : 1);
	trial_until_us = 0;
	now = before;
	check_sessions("a trial is over");
}

static void adopt(const struct rules *r, uint64_t trial_us)
{
	struct rules was = now;

	if (trial_runs())
		return;
	now = *r;
	if (trial_us > 0) {
		before = was;
		trial_until_us = k_now_us + trial_us;
	}
	check_sessions("a rule is gone");
}

/* ---- acts ---- */

static void act_apply(void)
{
	struct rules r = rules_of_script();
	unsigned trial_ms = script_below(2) ? 1000 * (1 + script_below(8)) : 0;
	json_t *params;

	settle();
	params = json_pack("{s:o, s:i}", "config", document_of(&r), "confirm_ms", (int)trial_ms);
	if (call("config.apply", params)) {
		if (!changed)
			return;
		world_check(!trial_runs(), "trial",
			    "a change is applied while another is on trial");
		adopt(&r, trial_ms * MS);
	} else {
		world_check(trial_runs(), "answers", "a good document is refused");
	}
}

static void act_confirm(void)
{
	settle();
	if (call("config.confirm", NULL)) {
		world_check(trial_runs(), "trial", "nothing was on trial, and it is confirmed");
		trial_until_us = 0;
	} else {
		world_check(!trial_runs(), "trial", "a trial cannot be confirmed");
	}
}

static void act_rollback(void)
{
	settle();
	if (call("config.rollback", NULL)) {
		world_check(trial_runs(), "trial", "nothing was on trial, and it is rolled back");
		trial_until_us = 0;
		now = before;
		check_sessions("a trial is rolled back");
	} else {
		world_check(!trial_runs(), "trial", "a trial cannot be rolled back");
	}
}

static void act_grant(void)
{
	unsigned from = script_below(6), to = script_below(8);
	struct rules r;

	settle();
	r = now;
	if (from == 4 || r.count == RULES_MAX)
		return;
	r.rules[r.count++] = (struct rule){(uint8_t)(1u << from), (uint8_t)(1u << to), true, 0};
	r.any = true;
	if (call("grant", json_pack("{s:s, s:s}", "agent", askers[from], "to", targets[to])))
		adopt(&r, 0);
}

static void act_odd_document(void)
{
	struct wire_bytes b = script_bytes(200);
	json_t *document = json_deep_copy(base);
	const char *const keys[] = {"policy", "grants", "groups", "revoked"};
	json_t *odd = json_loadb((const char *)b.data, b.len, JSON_DECODE_ANY, NULL);

	settle();
	if (odd)
		json_object_set_new(document, keys[script_below(4)], odd);
	if (call("config.check", json_pack("{s:o}", "config", document)))
		world_tell("it would do");
}

static void check_laptop_is_out(void)
{
	cast_run(AT_ONCE_US);
	world_check(peer_gone(&players[LAPTOP_LINK].peer, 1), "entitled",
		    "laptop is revoked, and linked a second later");
	check_sessions("laptop is revoked");
}

static void act_revoke(void)
{
	settle();
	if (!call("revoke", json_pack("{s:s}", "agent", "laptop")))
		return;
	now.revoked = true;
	check_laptop_is_out();
}

/* ---- what a console signs ---- */

/* The object as a parameter; each one counts more than those before. */
static json_t *signed_by_console(enum revocation_verb verb)
{
	struct signed_revocation r = {.verb = verb, .value = wire_text("laptop")};
	char text[REVOCATION_BASE64_BYTES];
	uint8_t object[REVOCATION_MAX];

	cast_run(2 * MS);
	r.counter = (uint64_t)(((int64_t)k_now_us + k_realtime_offset_us) / (int64_t)MS);
	revocation_to_text(object, signed_make(players[CONSOLE].peer.identity, &r, object), text);
	return json_pack("{s:s}", "signed", text);
}

static void act_revoke_signed(void)
{
	struct player *home = &players[HOME_LINK];
	unsigned told = home->told_signed;

	settle();
	if (!world_check(call("revoke", signed_by_console(REVOCATION_REVOKE)), "answers",
			 "what a console signed is refused"))
		return;
	signed_out = true;
	check_laptop_is_out();
	world_check(home->told_signed > told || home->peer.eof || home->peer.reset, "told",
		    "home is not told of a signed revocation");
}

/* And the relay's own word with it. */
static void act_take_back_signed(void)
{
	settle();
	if (!world_check(call("unrevoke", signed_by_console(REVOCATION_TAKE_BACK)), "answers",
			 "what a console takes back is refused"))
		return;
	signed_out = now.revoked = false;
}

/* With a tag by one of the keys, right or wrong. */
static bool dial_with_tag(struct player *p, unsigned which)
{
	uint8_t key[CONF_TAG_KEY_BYTES];

	cast_forget(p);
	memset(key, tag_keys[which], sizeof(key));
	return peer_dial(&p->peer, cast_relay_host) && tag_make(p->peer.tls, key, p->peer.frame);
}

static unsigned a_good_tag(void)
{
	unsigned which = now.newest;

	while (!(now.tags & 1u << which))
		which = (which + 1) % TAG_KEYS;
	return which;
}

static void act_laptop_comes(void)
{
	struct player *link = &players[LAPTOP_LINK];

	settle();
	peer_close(&link->peer, false);
	players[LAPTOP_LEG_1].proven = players[LAPTOP_LEG_2].proven = false;
	cast_run(100 * MS);
	if (!dial_with_tag(link, a_good_tag()))
		return;
	link->failed = REASON_OK;
	peer_frame_hello(&link->peer, 0);
	cast_flush(link);
	cast_run(100 * MS);
	world_check(link->proven != laptop_is_out() || link->failed == REASON_LIMIT_RATE,
		    "entitled", "laptop is %s, and %s", laptop_is_out() ? "revoked" : "not revoked",
		    link->proven ? "signs in" : "cannot sign in");
}

static void act_ask(void)
{
	struct player *leg = &players[script_below(2) ? LAPTOP_LEG_1 : LAPTOP_LEG_2];
	bool web = script_below(4) == 3;
	struct wire_message m = {.type = WIRE_OPEN}, no = {.type = WIRE_REFUSE};
	uint64_t offered;
	int expected;

	settle();
	expected = allows(&now, web);
	if (leg->session || leg->waits || !leg->proven || laptop_is_out() || leg->peer.eof ||
	    leg->peer.fd < 0 || expected < 0 || players[HOME_LINK].peer.eof)
		return;
	m.open.to = wire_text("home");
	m.open.service = wire_text(web ? "web" : "talk");
	offered = cast_offered;
	leg->failed = REASON_OK;
	cast_say_in_turn(leg, &m);
	cast_run(60 * MS);
	if (expected == 1)
		world_check(cast_offered != offered, "entitled",
			    "a rule allows laptop home/%s, and it is not offered (%s)",
			    web ? "web" : "talk", reason_name(leg->failed));
	else
		world_check(cast_offered == offered && leg->failed == REASON_NOT_ALLOWED,
			    "entitled", "no rule allows laptop home/%s, and it %s",
			    web ? "web" : "talk",
			    cast_offered != offered ? "is offered" : reason_name(leg->failed));
	if (cast_offered == offered)
		return;
	no.refuse.session = cast_offered;
	no.refuse.reason = REASON_SHUTDOWN;
	cast_say_in_turn(&players[HOME_LINK], &no);
	cast_run(60 * MS);
}

static void act_begin(void)
{
	settle();
	if (allows(&now, false) == 1 && !laptop_is_out())
		act_pair();
}

static void act_fresh_leg(void)
{
	struct player *p = &players[script_below(2) ? LAPTOP_LEG_1 : LAPTOP_LEG_2];

	settle();
	if (!dial_with_tag(p, a_good_tag()))
		return;
	peer_frame_leg(&p->peer, &players[LAPTOP_LINK].peer);
	cast_flush(p);
	cast_run(60 * MS);
}

/* ---- tag keys ---- */

static void act_tag_keys(void)
{
	const struct player *home = &players[HOME_LINK];
	struct rules r;
	unsigned trial_ms, was;

	settle();
	r = now;
	r.revoked = false; /* the document says nothing of it */
	was = a_good_tag();
	r.tags = (uint8_t)(1 + script_below((1u << TAG_KEYS) - 1));
	r.newest = (uint8_t)script_below(TAG_KEYS);
	trial_ms = script_below(2) ? 1000 * (1 + script_below(8)) : 0;
	if (!call("config.apply", json_pack("{s:o, s:i}", "config", document_of(&r), "confirm_ms",
					    (int)trial_ms))) {
		world_check(trial_runs(), "answers", "good tag keys are refused");
		return;
	}
	if (!changed)
		return;
	world_check(!trial_runs(), "trial", "tag keys are changed while a change is on trial");
	adopt(&r, trial_ms * MS);
	cast_run(100 * MS);
	if (trial_runs() && k_now_us + 200 * MS >= trial_until_us)
		return; /* sessions that ended took so long that it may be over */
	world_check(a_good_tag() == was || home->peer.eof || home->peer.reset ||
			    home->tag_key == tag_keys[a_good_tag()],
		    "told", "home is not told the newest tag key");
}

/* A holder of a key that counts is told yes, or why not; any other meets a web server. */
static void act_stranger_with_tag(void)
{
	struct player *p = &players[STRANGER_1];
	unsigned which = script_below(TAG_KEYS);

	settle();
	if (!dial_with_tag(p, which))
		return;
	peer_frame_hello(&p->peer, WIRE_HELLO_TRANSIENT);
	p->told = false;
	cast_flush(p);
	cast_run(60 * MS);
	world_check(p->told == !!(now.tags & 1u << which), "stranger", "a tag by a key that %s",
		    p->told ? "does not count is answered" : "counts is not answered");
	peer_close(&p->peer, false);
}

static void act_wait(void)
{
	act_time();
	settle();
	check_sessions("time has passed");
}

/* ---- beginning and end ---- */

static void set(void)
{
	cast_console_hears = hear;
	cast_set("limits:\n  open: 3s\n");
	if (!call("config.get", NULL) || !base)
		world_broken("the relay tells no configuration");
}

static void clear(void)
{
	cast_clear(true, MEMORY_MOST);
	json_decref(base);
}

static const struct act acts[] = {
	{"apply", act_apply},
	{"apply", act_apply},
	{"ask", act_ask},
	{"ask", act_ask},
	{"begin", act_begin},
	{"confirm", act_confirm},
	{"roll back", act_rollback},
	{"grant", act_grant},
	{"revoke", act_revoke},
	{"an odd document", act_odd_document},
	{"wait", act_wait},
	{"a fresh leg", act_fresh_leg},
	{"tag keys", act_tag_keys},
	{"a tag", act_stranger_with_tag},
	{"revoke signed", act_revoke_signed},
	{"take back signed", act_take_back_signed},
	{"laptop comes", act_laptop_comes},
	{NULL, NULL},
};

const struct machine machine_policy = {"policy", set, acts, clear, 32};
