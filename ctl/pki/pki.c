/* SPDX-License-Identifier: Apache-2.0 */
/* pki: the commands that make a CA and issue the files of relays, agents and consoles. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/engine/certificate.h"
#include "core/engine/csr.h"
#include "core/parse/wire.h"
#include "core/utc.h"
#include "ctl/pki/bundle.h"
#include "ctl/pki/pki.h"
#include "ctl/terminal/files.h"
#include "ctl/pki/make.h"
#include "ctl/pki/store.h"
#include "ctl/terminal/units.h"

#define DAY_S		 86400L
#define CA_LIFE_S	 (3653 * DAY_S)
#define CLOCK_EARLIEST_S 1767225600L /* 2026-01-01: an earlier clock was never set */

static const struct option_row init_options[] = {
	{"--name", "NAME", false, "the organisation's name in certificates (Private)"},
	{NULL, NULL, false, NULL},
};

static const struct option_row issue_options[] = {
	{"--host", "HOST", true, "relay: a DNS name or address that agents dial; at least one"},
	{"--listen", "ADDR:PORT", true, "relay: where to listen; at least one"},
	{"--relay", "HOST:PORT", true, "agent, console: a relay to sign in to; at least one"},
	{"--trust", "WORD", false,
	 "agent, console: system, for a relay with a certificate of a public CA (ca)"},
	{"--publish", "SERVICE=ADDR:PORT", true, "agent: a service that others may reach"},
	{"--allow", "SERVICE=AGENT", true, "agent: an agent that may; otherwise all may"},
	{"--public", "SNI=AGENT/SERVICE", true,
	 "relay: a server name whose TLS goes to a service; agent: --public SERVICE"},
	{"--forward", "ADDR:PORT=AGENT/SERVICE", true, "agent: a local port that leads there"},
	{"--socks5", "ADDR:PORT", false, "agent: listen for SOCKS5"},
	{"--proxy", "URL", false, "agent, console: the HTTP proxy to dial through"},
	{"--expires", "TIME", false, "as 12h, 30d, 4w, 2y (relay: 398d, agent: 30d, console: 90d)"},
	{"--out", "FILE", false, "what to write; - is standard output (NAME.yaml)"},
	{"--force", NULL, false, "replace FILE when it exists"},
	{NULL, NULL, false, NULL},
};

/* Certificates made by a wrong clock fail elsewhere, later, for no visible reason. */
static void warn_clock(time_t now)
{
	char date[UTC_TEXT_BYTES];

	if (now < CLOCK_EARLIEST_S)
		complain("warning: the clock here says %s; set it, or no program will accept what "
			 "this makes",
			 utc_text(now, date));
}

/* ---- init ---- */

static enum status pki_run_init(const struct arguments *a)
{
	/* Strangers who look at the relay see this name: it says nothing of what a relay is. */
	const char *name = arguments_text(a, "--name", "Private");
	time_t now = time(NULL);

	if (*name == '\0' || strlen(name) > PKI_CA_NAME_MAX) {
		complain_usage(a->command, "--name: takes 1 to %u bytes", PKI_CA_NAME_MAX);
		return STATUS_USAGE;
	}
	for (const char *p = name; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f) {
			complain_usage(a->command, "--name: has a control character");
			return STATUS_USAGE;
		}
	}
	warn_clock(now);
	if (!pki_store_create(a->words[0], name, now, now + CA_LIFE_S))
		return STATUS_FAILED;
	printf("%s holds the CA of %s. Keep ca.key off every machine that relays or serves; next: "
	       "'postern pki issue %s relay ...'\n",
	       a->words[0], name, a->words[0]);
	return STATUS_OK;
}

/* ---- issue: what was asked for ---- */

struct issue_request {
	struct bundle bundle;
	struct pki_request pki;
	struct csr_hosts hosts;
	const char *host_list[CSR_HOSTS_MAX]; /* into it */
	uint64_t life_s;
	const char *out;
	char *own_out; /* NAME.yaml, or NULL */
};

static bool take_hosts(const struct arguments *a, struct issue_request *r)
{
	if (!pki_take_hosts(a, &r->hosts))
		return false;
	for (size_t i = 0; i < r->hosts.count; i++)
		r->host_list[i] = r->hosts.list[i];
	r->pki.hosts = r->host_list;
	r->pki.host_count = r->hosts.count;
	return true;
}

static const struct role {
	const char *word, *article;
	enum identity_role role;
	const char *needed[3], *refused[8];
} roles[] = {
	{"relay",
	 "a relay",
	 IDENTITY_RELAY,
	 {"--host", "--listen"},
	 {"--relay", "--trust", "--publish", "--allow", "--forward", "--socks5", "--proxy"}},
	{"agent", "an agent", IDENTITY_AGENT, {"--relay"}, {"--host", "--listen"}},
	{"console",
	 "a console",
	 IDENTITY_CONSOLE,
	 {"--relay"},
	 {"--host", "--listen", "--publish", "--allow", "--public", "--forward", "--socks5"}},
};
#define ROLES (sizeof(roles) / sizeof(roles[0]))

static const struct role *find_role(const char *word)
{
	for (size_t i = 0; i < ROLES; i++)
		if (strcmp(roles[i].word, word) == 0)
			return &roles[i];
	return NULL;
}

/* Options that belong to other roles, and those that must be there. */
static bool check_role_options(const struct arguments *a, const struct role *role)
{
	for (const char *const *option = role->refused; *option; option++) {
		if (!arguments_flag(a, *option))
			continue;
		complain_usage(a->command, "%s is not for %s", *option, role->article);
		return false;
	}
	for (const char *const *option = role->needed; *option; option++) {
		if (arguments_flag(a, *option))
			continue;
		complain_usage(a->command, "%s needs %s", role->article, *option);
		return false;
	}
	return true;
}

static bool check_pairs(const struct arguments *a, const char *option, const char *form)
{
	struct bundle_pair pair;
	const char *value;
	size_t at = 0;

	while ((value = arguments_next(a, option, &at))) {
		if (bundle_split(value, &pair))
			continue;
		complain_usage(a->command, "%s: '%s' is not %s", option, value, form);
		return false;
	}
	return true;
}

static bool is_published(const struct arguments *a, const char *service, size_t len)
{
	struct bundle_pair pair;
	const char *value;
	size_t at = 0;

	while ((value = arguments_next(a, "--publish", &at)))
		if (bundle_split(value, &pair) && pair.left_len == len &&
		    memcmp(pair.left, service, len) == 0)
			return true;
	return false;
}

/* --allow and --public speak of services that --publish names; a slip would lock out or let in. */
static bool check_services(const struct arguments *a)
{
	struct bundle_pair pair;
	const char *value;
	size_t at = 0;

	while ((value = arguments_next(a, "--allow", &at))) {
		if (bundle_split(value, &pair) && !is_published(a, pair.left, pair.left_len)) {
			complain_usage(a->command, "--allow: no --publish names '%.*s'",
				       (int)pair.left_len, pair.left);
			return false;
		}
	}
	at = 0;
	while ((value = arguments_next(a, "--public", &at))) {
		if (is_published(a, value, strlen(value)))
			continue;
		complain_usage(a->command, "--public: no --publish names '%s'", value);
		return false;
	}
	return true;
}

static bool take_role(const struct arguments *a, struct issue_request *r, const struct role **out)
{
	const struct role *role = find_role(a->words[1]);
	const char *name = a->words[2];

	if (!role) {
		complain_usage(a->command, "'%s' is no role; there are relay, agent and console",
			       a->words[1]);
		return false;
	}
	if (!wire_is_agent_name(name)) {
		complain_usage(a->command, "'%s' is no name; write " WIRE_AGENT_NAME_RULE, name);
		return false;
	}
	r->bundle.role = r->pki.role = role->role;
	r->bundle.name = r->pki.name = name;
	*out = role;
	return true;
}

static bool pki_take_request(const struct arguments *a, struct issue_request *r)
{
	const struct role *role;
	const char *life;
	bool relay;

	if (!take_role(a, r, &role))
		return false;
	relay = role->role == IDENTITY_RELAY;
	if (!check_role_options(a, role) || !check_pairs(a, "--publish", "SERVICE=ADDR:PORT") ||
	    !check_pairs(a, "--allow", "SERVICE=AGENT") ||
	    !check_pairs(a, "--forward", "ADDR:PORT=AGENT/SERVICE"))
		return false;
	if (relay ? !check_pairs(a, "--public", "SNI=AGENT/SERVICE") || !take_hosts(a, r)
		  : !check_services(a))
		return false;
	life = arguments_text(a, "--expires", pki_life(role->role));
	if (!units_parse_span(life, &r->life_s)) {
		complain_usage(a->command, "--expires: '%s' is not a time like 12h, 30d, 4w or 2y",
			       life);
		return false;
	}
	r->out = arguments_text(a, "--out", NULL);
	if (!r->out && asprintf(&r->own_out, "%s.yaml", r->bundle.name) < 0) {
		r->own_out = NULL;
		complain("out of memory");
		return false;
	}
	if (!r->out)
		r->out = r->own_out;
	r->bundle.file = r->out;
	return true;
}

static void free_request(struct issue_request *r)
{
	free(r->own_out);
}

/* ---- issue: doing it ---- */

static bool pki_set_times(struct issue_request *r, const struct pki_store *store, time_t now)
{
	time_t ca_from = certificate_time(X509_get0_notBefore(store->ca));
	char date[UTC_TEXT_BYTES], here[UTC_TEXT_BYTES];

	warn_clock(now);
	if (now < ca_from)
		complain("warning: the CA is valid from %s, but the clock here says %s; set it",
			 utc_text(ca_from, date), utc_text(now, here));
	if (!pki_store_end(store, now, r->life_s, &r->pki.not_after))
		return false;
	r->pki.not_before = now - CERTIFICATE_BACKDATE_S;
	r->bundle.not_after = r->pki.not_after;
	return true;
}

/* Two agents of one name replace each other at the relay, over and over. */
static bool note_earlier(const struct pki_store *store, const struct issue_request *r, time_t now)
{
	struct pki_record *records;
	char date[UTC_TEXT_BYTES];
	time_t latest = 0;
	size_t count;

	if (!pki_store_records(store, &records, &count))
		return false;
	for (size_t i = 0; i < count; i++)
		if (strcmp(records[i].role, "agent") == 0 &&
		    strcmp(records[i].name, r->bundle.name) == 0 && records[i].not_after > latest)
			latest = records[i].not_after;
	free(records);
	if (r->bundle.role == IDENTITY_AGENT && latest > now)
		complain("note: agent %s has an earlier certificate, good until %s; let only one "
			 "of the two run",
			 r->bundle.name, utc_text(latest, date));
	return true;
}

/* Asked before anything is signed; files_write() makes sure. */
static bool may_write(const struct arguments *a, const struct issue_request *r)
{
	return strcmp(r->out, "-") == 0 || arguments_flag(a, "--force") || files_absent(r->out);
}

/* Checks before it records, and records before the file appears. */
static bool pki_deliver(const struct arguments *a, struct issue_request *r,
			const struct pki_store *store, X509 *x)
{
	struct pki_record record = {.not_after = r->pki.not_after};
	char *text = bundle_write(&r->bundle, a);
	bool ok;

	snprintf(record.role, sizeof(record.role), "%s", a->words[1]);
	snprintf(record.name, sizeof(record.name), "%s", r->bundle.name);
	if (!text)
		complain("out of memory");
	ok = text && certificate_serial(x, record.serial) && bundle_check(&r->bundle, text) &&
	     note_earlier(store, r, time(NULL)) && pki_store_record(store, &record) &&
	     files_write_out(r->out, text, 0600, arguments_flag(a, "--force"));
	pki_free_secret(text);
	return ok;
}

static bool pki_issue(const struct arguments *a, struct issue_request *r,
		      const struct pki_store *store)
{
	char organisation[CERTIFICATE_TEXT_BYTES];
	EVP_PKEY *key = csr_new_key();
	X509 *x = key ? pki_make_certificate(&r->pki, key, store->ca, store->key) : NULL;
	char *pem = x ? pki_certificate_pem(x) : NULL;
	char *key_pem = x ? csr_key_pem(key) : NULL;
	bool ok = false;

	certificate_name_text(X509_get_subject_name(store->ca), false, organisation);
	r->bundle.organisation = organisation;
	r->bundle.ca_pem = store->pem;
	r->bundle.certificate_pem = pem;
	r->bundle.key_pem = key_pem;
	r->bundle.tag_keys = store->tag_keys;
	if (pem && key_pem)
		ok = pki_deliver(a, r, store, x);
	else
		complain("cannot make the certificate");
	r->bundle.organisation = r->bundle.certificate_pem = r->bundle.key_pem = NULL;
	r->bundle.tag_keys = NULL;
	pki_free_secret(key_pem);
	free(pem);
	X509_free(x);
	EVP_PKEY_free(key);
	return ok;
}

static enum status pki_run_issue(const struct arguments *a)
{
	struct issue_request r = {.out = NULL};
	enum status status = STATUS_FAILED;
	struct pki_store store;
	time_t now = time(NULL);
	char date[UTC_TEXT_BYTES];

	if (!pki_take_request(a, &r)) {
		free_request(&r);
		return STATUS_USAGE;
	}
	if (pki_store_open(a->words[0], true, &store)) {
		if (may_write(a, &r) && pki_set_times(&r, &store, now) && pki_issue(a, &r, &store))
			status = STATUS_OK;
		pki_store_close(&store);
	}
	if (status == STATUS_OK && strcmp(r.out, "-") != 0)
		printf("%s: %s %s, valid until %s. It holds a private key: send it as you would a "
		       "password.\n",
		       r.out, a->words[1], r.bundle.name, utc_text(r.pki.not_after, date));
	free_request(&r);
	return status;
}

/* ---- rotate ---- */

static enum status rotate_ca(const struct arguments *a)
{
	const char *directory = a->words[0];
	time_t now = time(NULL);

	if (arguments_flag(a, "--only")) {
		complain_usage(a->command, "--only is for tag: certificates of the old CA are in "
					   "use, and it leaves ca.pem by hand when they are not");
		return STATUS_USAGE;
	}
	warn_clock(now);
	if (!pki_store_rotate_ca(directory, now, now + CA_LIFE_S))
		return STATUS_FAILED;
	printf("%s/ca.pem has a new CA, which the old one has signed, and the old one behind it. "
	       "Put its text into identity.ca of every relay and agent, over a console or in "
	       "their files, and of every console's file; then give all of them new certificates "
	       "('postern relay renew', 'agent renew', 'pki renew', or new files); then take the "
	       "old one out of ca.pem and of every identity.ca, and destroy %s/ca.key.old.\n",
	       directory, directory);
	return STATUS_OK;
}

static enum status pki_run_rotate(const struct arguments *a)
{
	const char *directory = a->words[0];
	size_t count;

	if (strcmp(a->words[1], "ca") == 0)
		return rotate_ca(a);
	if (strcmp(a->words[1], "tag") != 0) {
		complain_usage(a->command, "'%s' is nothing that is rotated; there are ca and tag",
			       a->words[1]);
		return STATUS_USAGE;
	}
	if (!pki_store_rotate_tag(directory, arguments_flag(a, "--only"), &count))
		return STATUS_FAILED;
	printf("%s/tag.keys has %zu, a new one first. Put its text into identity.tag_keys of every "
	       "relay: agents learn the new key over their links. Consoles and agents that are "
	       "away need a new file ('postern pki issue'), or the line, before the relays lose "
	       "the old keys.\n",
	       directory, count);
	return STATUS_OK;
}

static const struct option_row rotate_options[] = {
	{"--only", NULL, false,
	 "tag: forget the keys before: what has none but these is locked out"},
	{NULL, NULL, false, NULL},
};

const struct command pki_commands[] = {
	{"pki init", "DIR", 1, 1, "Makes a CA in the new directory DIR.", init_options,
	 pki_run_init},
	{"pki issue", "DIR relay|agent|console NAME", 3, 3,
	 "Writes one file with all that a relay, agent or console needs.", issue_options,
	 pki_run_issue},
	{"pki renew", "DIR FILE", 2, 2,
	 "Puts a new certificate into FILE, for the key that the one in it is for.",
	 pki_renew_options, pki_renew_run},
	{"pki sign", "DIR relay|agent|console NAME REQUEST", 4, 4,
	 "Signs a request for a key that was made where it is used; prints the certificate.",
	 pki_sign_options, pki_sign_run},
	{"pki revoke", "DIR [NAME]", 1, 2,
	 "Signs a revocation with the CA's key, for 'postern revoke --file' to pass on.",
	 pki_revoke_options, pki_revoke_run},
	{"pki rotate", "DIR ca|tag", 2, 2,
	 "Makes a new CA that the old one signs, or a new tag key, by which relays know this "
	 "network's files.",
	 rotate_options, pki_run_rotate},
	{"pki show", "FILE|DIR", 1, 1,
	 "Shows whose a file is and until when, or what a CA has issued. Never shows keys.",
	 pki_show_options, pki_show_run},
	{.name = NULL},
};
