/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check: 'postern check', every step from here to each relay, and what to do where one fails.
 *
 * The steps are those of an agent that dials (agent/relays/dial.c), taken apart: a name, a
 * connection, a handshake, a certificate. The last one, the sign-in, is the agent's own code.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/worker/connector.h"
#include "core/addr.h"
#include "core/engine/certificate.h"
#include "core/engine/tls_library.h"
#include "core/program/resolve.h"
#include "core/parse/wire.h"
#include "ctl/check_tls.h"
#include "ctl/check.h"
#include "ctl/talk/console_config.h"
#include "ctl/terminal/show.h"
#include "ctl/talk/tunnel.h"
#include "ctl/terminal/units.h"
#include "stun/client/round.h"

#define DAY_S	     86400
#define OWN_DAYS     7	/* of our own certificate: time to ask for a new one */
#define RELAY_DAYS   14 /* of a relay's */
#define CLOCK_WARN_S 30
#define CLOCK_FAIL_S 600
#define TOLD_BYTES   2560 /* a step's sentence, with all addresses of a name */

static const struct option_row check_options[] = {
	{"--json", NULL, false, "print JSON"},
	{NULL, NULL, false, NULL},
};

enum check_verdict { VERDICT_OK, VERDICT_WARN, VERDICT_FAIL };

/* A relay that answers does so at once; a person waits here. */
static const struct stun_pace udp_pace = {.rto_ms = 200, .sends = 3, .last_rto = 4};

struct check {
	bool quiet; /* --json: everything is printed at the end */
	json_t *steps;
	size_t failed;
	char relay[ENDPOINT_TEXT_BYTES]; /* "": none yet */

	enum bundle_kind kind;
	struct agent_config config;
	struct agent agent;

	/* What the ring's callbacks leave. */
	struct addr addresses[RESOLVE_ADDRESSES_MAX];
	size_t address_count;
	int fd;
	bool local; /* why says what to do */
	char why[CHECK_WHY_BYTES];
};

/* ---- telling ---- */

__attribute__((format(printf, 4, 5))) static void
tell(struct check *c, const char *step, enum check_verdict verdict, const char *format, ...)
{
	static const struct {
		const char *word;
		enum show_style style;
	} verdicts[] = {
		[VERDICT_OK] = {"ok", SHOW_GOOD},
		[VERDICT_WARN] = {"warn", SHOW_WARN},
		[VERDICT_FAIL] = {"fail", SHOW_BAD},
	};
	char text[TOLD_BYTES], shown[TOLD_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_escape(text, shown, sizeof(shown));
	c->failed += verdict == VERDICT_FAIL;
	json_array_append_new(c->steps,
			      json_pack("{s:s, s:s, s:s, s:s}", "relay", c->relay, "step", step,
					"state", verdicts[verdict].word, "text", shown));
	if (c->quiet)
		return;
	printf("  %s%-4s%s  %-12s  %s\n", show_style(stdout, verdicts[verdict].style),
	       verdicts[verdict].word, show_style(stdout, SHOW_PLAIN), step, shown);
	fflush(stdout); /* the next step may take a while */
}

/* Days left, in words and as a verdict. What has ended does not come here: agent_open() refuses our
 * own, and identity_check_relay() the relay's. */
static void tell_expiry(struct check *c, const char *step, const char *whose, time_t until,
			long least_days, const char *remedy)
{
	long days = (long)((until - time(NULL)) / DAY_S);
	char date[UNITS_MOMENT_BYTES];

	units_moment(until, date);
	if (days < least_days)
		tell(c, step, VERDICT_WARN, "%s ends in %ld days, on %s; %s", whose, days, date,
		     remedy);
	else
		tell(c, step, VERDICT_OK, "%s is good for %ld days, until %s", whose, days, date);
}

/* ---- name and TCP, on the agent's ring ---- */

static void check_resolved(void *owner, const struct addr *addresses, size_t count,
			   const char *error)
{
	struct check *c = owner;

	c->address_count = error ? 0 : count;
	if (error)
		snprintf(c->why, sizeof(c->why), "%s", error);
	else
		memcpy(c->addresses, addresses, count * sizeof(addresses[0]));
	ring_stop(c->agent.worker.ring);
}

static bool check_name(struct check *c, const struct endpoint *to)
{
	char list[RESOLVE_ADDRESSES_MAX * ADDR_TEXT_BYTES] = "", text[ADDR_TEXT_BYTES];

	if (addr_from_literal(to->host, to->port, &c->addresses[0])) {
		c->address_count = 1;
		return true; /* nothing to tell */
	}
	c->address_count = 0;
	snprintf(c->why, sizeof(c->why), "out of memory");
	if (resolve_start(&c->agent.worker.resolver, to->host, to->port, check_resolved, c) &&
	    ring_run(c->agent.worker.ring) < 0)
		return false;
	if (c->address_count == 0) {
		tell(c, "name", VERDICT_FAIL, "%s: %s; check the name, and this host's DNS",
		     to->host, c->why);
		return false;
	}
	for (size_t i = 0; i < c->address_count; i++) {
		addr_format(&c->addresses[i], text);
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? ", " : "",
			 text);
	}
	tell(c, "name", VERDICT_OK, "%s is %s", to->host, list);
	return true;
}

static void check_connected(void *owner, const struct connector_result *r)
{
	struct check *c = owner;

	c->fd = r->fd;
	if (r->fd < 0)
		snprintf(c->why, sizeof(c->why), "%s", r->error);
	c->local = r->local;
	ring_stop(c->agent.worker.ring);
}

static bool check_tcp(struct check *c, const struct endpoint *to, bool through_proxy)
{
	char text[ENDPOINT_TEXT_BYTES];

	endpoint_text(to, text);
	c->fd = -1;
	snprintf(c->why, sizeof(c->why), "out of memory");
	if (connector_start(&c->agent.worker, to, c->config.dial_ms, check_connected, c) &&
	    ring_run(c->agent.worker.ring) < 0)
		return false;
	if (c->fd < 0) {
		tell(c, "tcp", VERDICT_FAIL, "%s: %s%s%s", text, c->why,
		     c->local ? "" : "; check that it runs there, and that no firewall is between",
		     c->local || through_proxy
			     ? ""
			     : "; where only an HTTP proxy leads out, name it: proxy in the "
			       "file, or HTTPS_PROXY");
		return false;
	}
	tell(c, "tcp", VERDICT_OK, "%s answers", text);
	return true;
}

/* ---- the certificate ---- */

static void tell_leaf(struct check *c, SSL *ssl, const char *host, bool by_system)
{
	X509 *leaf = SSL_get_peer_certificate(ssl);
	char issuer[CERTIFICATE_TEXT_BYTES];

	if (!leaf)
		return;
	certificate_name_text(X509_get_issuer_name(leaf), true, issuer);
	tell(c, "interception", VERDICT_OK, "none: %s shows its own certificate, issued by \"%s\"",
	     host, issuer);
	tell_expiry(c, "certificate", "the relay's", certificate_time(X509_get0_notAfter(leaf)),
		    RELAY_DAYS,
		    by_system ? "its operator has its public CA make a new one"
			      : "its operator issues a new one with 'postern pki issue DIR relay'");
	X509_free(leaf);
}

static bool check_certificate(struct check *c, const struct agent_relay *relay, SSL *ssl,
			      const char *host)
{
	struct identity_peer proved;
	char why[CHECK_WHY_BYTES];

	if (identity_check_relay(c->agent.setup.self.identity, ssl, host,
				 relay->trust == AGENT_TRUST_SYSTEM, time(NULL), &proved, why,
				 sizeof(why))) {
		tell_leaf(c, ssl, host, proved.by_system);
		return true;
	}
	tell(c, strncmp(why, "TLS is being", 12) == 0 ? "interception" : "certificate",
	     VERDICT_FAIL, "%s", why);
	return false;
}

/* ---- the clock ---- */

static void check_clock(struct check *c, struct tls *tls)
{
	char why[CHECK_WHY_BYTES];
	long apart;
	time_t date;

	if (!check_date(c->fd, tls, (int)c->config.dial_ms, &date, why)) {
		tell(c, "clock", VERDICT_WARN, "%s", why);
		return;
	}
	apart = labs((long)(date - time(NULL)));
	if (apart <= CLOCK_WARN_S)
		tell(c, "clock", VERDICT_OK, "agrees with the relay's within %ld s", apart + 1);
	else
		tell(c, "clock", apart > CLOCK_FAIL_S ? VERDICT_FAIL : VERDICT_WARN,
		     "is %ld s %s the relay's; set the clock that is wrong, certificates and "
		     "grants go by it",
		     apart, date > time(NULL) ? "behind" : "ahead of");
}

/* ---- sign-in ---- */

static void check_sign_in(struct check *c, size_t place)
{
	bool console = c->kind == BUNDLE_CONSOLE;
	struct tunnel *t = tunnel_to_relay(&c->config, place,
					   console ? WIRE_HELLO_CONSOLE : WIRE_HELLO_TRANSIENT);
	const char *why;
	size_t label = strlen(c->relay);

	if (!t) {
		tell(c, "sign-in", VERDICT_FAIL, "out of memory, threads or descriptors");
		return;
	}
	if (tunnel_wait(t)) {
		tell(c, "sign-in", VERDICT_OK, "accepted, as %s %s", console ? "console" : "agent",
		     c->config.name);
	} else {
		why = tunnel_why(t);
		if (strncmp(why, c->relay, label) == 0 && strncmp(why + label, ": ", 2) == 0)
			why += label + 2;
		tell(c, "sign-in", VERDICT_FAIL, "refused: %s", why);
	}
	tunnel_close(t);
}

/* ---- UDP ---- */

static void check_udp_asked(struct stun_round *r)
{
	ring_stop(r->ring);
}

/* The address that the relay sees us come from over UDP; false when nothing comes back. */
static bool udp_answers(struct check *c, struct addr *external)
{
	struct stun_round r = {.ring = c->agent.worker.ring,
			       .pace = udp_pace,
			       .entries[0].server = c->addresses[0],
			       .count = 1,
			       .done = check_udp_asked};

	if (stun_round_start(&r) || ring_run(c->agent.worker.ring) < 0)
		return false;
	*external = r.entries[0].external;
	return external->len > 0;
}

static void check_udp(struct check *c, bool through_proxy)
{
	char text[ADDR_TEXT_BYTES];
	struct addr external;

	if (through_proxy) {
		tell(c, "udp", VERDICT_OK, "not tried: an HTTP proxy carries TCP only");
	} else if (udp_answers(c, &external)) {
		addr_format(&external, text);
		tell(c, "udp", VERDICT_OK, "the relay sees us as %s", text);
	} else {
		tell(c, "udp", VERDICT_OK,
		     "no answer: a firewall drops UDP, or the relay has stun.enabled: false; "
		     "everything goes over TCP");
	}
}

/* ---- one relay ---- */

/* From a connected socket on; closes it. False: no use in going on. */
static bool check_wire(struct check *c, const struct agent_relay *relay, bool through_proxy)
{
	const char *name = relay->server_name;
	const char *host = name && *name ? name : relay->address.host;
	int wait_ms = (int)c->config.dial_ms;
	char why[CHECK_WHY_BYTES];
	struct tls *tls = NULL;
	bool ok = false;

	if (through_proxy) {
		if (!check_proxy(c->fd, &c->agent.setup.self.proxy, c->relay, wait_ms, why)) {
			tell(c, "proxy", VERDICT_FAIL, "%s", why);
			goto out;
		}
		tell(c, "proxy", VERDICT_OK, "lets us through to %s", c->relay);
	}
	tls = check_handshake(c->fd, c->agent.setup.self.dial_context, host, wait_ms, why);
	if (!tls) {
		tell(c, "tls", VERDICT_FAIL, "%s", why);
		goto out;
	}
	tell(c, "tls", VERDICT_OK, "%s with %s, keys by %s", SSL_get_version(tls_ssl(tls)),
	     SSL_get_cipher_name(tls_ssl(tls)), tls_group_name(tls_group(tls)));
	ok = check_certificate(c, relay, tls_ssl(tls), host);
	if (ok)
		check_clock(c, tls);
out:
	tls_free(tls);
	close(c->fd);
	return ok;
}

static void check_one_relay(struct check *c, size_t place)
{
	const struct agent_relay *relays = c->config.relays.items, *relay = &relays[place];
	bool through_proxy = http_proxy_applies(&c->agent.setup.self.proxy, relay->address.host);
	const struct endpoint *to =
		through_proxy ? &c->agent.setup.self.proxy.address : &relay->address;

	endpoint_text(&relay->address, c->relay);
	if (!c->quiet)
		printf("%s%s%s\n", show_style(stdout, SHOW_BOLD), c->relay,
		       show_style(stdout, SHOW_PLAIN));
	if (!check_name(c, to) || !check_tcp(c, to, through_proxy) ||
	    !check_wire(c, relay, through_proxy))
		return;
	check_sign_in(c, place);
	check_udp(c, through_proxy);
}

/* ---- the command ---- */

static bool check_load(const struct arguments *a, struct check *c)
{
	struct conf_errors errors = {.file = a->as};
	struct conf_node *root = conf_load(a->as, CONF_KEYS, &errors);
	bool ok = false;

	c->kind = root ? console_config_kind(root) : BUNDLE_OTHER;
	if (c->kind == BUNDLE_CONSOLE)
		ok = console_config_bind(root, &c->config, &errors);
	else if (root)
		ok = agent_config_bind(root, &c->config, &errors);
	if (!ok)
		fputs(errors.text ? errors.text : "postern: out of memory\n", stderr);
	conf_node_free(root);
	conf_errors_free(&errors);
	return ok;
}

static void check_all(struct check *c)
{
	char why[512], library[TLS_LIBRARY_TEXT_BYTES];

	if (!c->quiet)
		printf("%s%s %s%s\n", show_style(stdout, SHOW_BOLD),
		       c->kind == BUNDLE_CONSOLE ? "console" : "agent", c->config.name,
		       show_style(stdout, SHOW_PLAIN));
	if (!agent_open(&c->agent, &c->config, RING_EPOLL, true, why, sizeof(why))) {
		tell(c, "identity", VERDICT_FAIL, "%s", why);
		return;
	}
	tell_expiry(c, "identity", "our certificate",
		    identity_not_after(c->agent.setup.self.identity), OWN_DAYS,
		    "the operator issues a new one with 'postern pki issue'");
	tls_library_text(library);
	tell(c, "library", VERDICT_OK, "TLS by %s", library);
	for (size_t i = 0; i < c->config.relays.count; i++)
		check_one_relay(c, i);
	agent_close(&c->agent);
}

static enum status check_command_run(const struct arguments *a)
{
	struct check c = {.quiet = arguments_flag(a, "--json")};
	json_t *result;

	if (!a->as) {
		complain_usage(a->command,
			       "whose way to its relays? Write postern --as FILE check");
		return STATUS_USAGE;
	}
	if (!check_load(a, &c))
		return STATUS_FAILED;
	c.steps = json_array();
	check_all(&c);
	if (c.quiet) {
		result = json_pack("{s:b, s:O}", "ok", (int)(c.failed == 0), "steps", c.steps);
		show_json(stdout, result);
		json_decref(result);
	}
	json_decref(c.steps);
	agent_config_free(&c.config);
	return c.failed == 0 ? STATUS_OK : STATUS_FAILED;
}

const struct command check_commands[] = {
	{"check", "", 0, 0, "Looks at every step from here to each relay, and says what to do.",
	 check_options, check_command_run},
	{.name = NULL},
};
