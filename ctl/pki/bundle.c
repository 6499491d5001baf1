/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bundle: the one file that a relay, an agent or a console runs from, written from a command's
 * options.
 *
 * The comment at the head, which no YAML emitter can write, goes before the document. What a person
 * may want to change stands first, the identity last.
 */
#include "ctl/pki/bundle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/config.h"
#include "core/conf/yaml.h"
#include "core/utc.h"
#include "ctl/talk/console_config.h"
#include "ctl/pki/make.h"
#include "ctl/pki/store.h"
#include "relay/config/config.h"

bool bundle_split(const char *value, struct bundle_pair *out)
{
	const char *equals = strchr(value, '=');

	if (!equals || equals == value || equals[1] == '\0')
		return false;
	*out = (struct bundle_pair){value, equals + 1, (size_t)(equals - value)};
	return true;
}

/* ---- the parts ---- */

/* key: [{address: VALUE, trust: TRUST}, ...]; trust may be NULL. */
static void put_addresses(struct conf_yaml *w, const struct arguments *a, const char *key,
			  const char *option, const char *trust)
{
	const char *value;
	size_t at = 0;

	conf_yaml_key(w, key);
	conf_yaml_begin_list(w);
	while ((value = arguments_next(a, option, &at))) {
		conf_yaml_begin_map(w);
		conf_yaml_entry(w, "address", value);
		if (trust)
			conf_yaml_entry(w, "trust", trust);
		conf_yaml_end_map(w);
	}
	conf_yaml_end_list(w);
}

/* key: [{left: LEFT, right: RIGHT}, ...]; nothing at all when the option was not given. */
static void put_pairs(struct conf_yaml *w, const struct arguments *a, const char *key,
		      const char *option, const char *left, const char *right)
{
	struct bundle_pair pair;
	const char *value;
	size_t at = 0;

	if (!arguments_flag(a, option))
		return;
	conf_yaml_key(w, key);
	conf_yaml_begin_list(w);
	while ((value = arguments_next(a, option, &at))) {
		if (!bundle_split(value, &pair))
			continue;
		conf_yaml_begin_map(w);
		conf_yaml_key(w, left);
		conf_yaml_text(w, pair.left, pair.left_len);
		conf_yaml_entry(w, right, pair.right);
		conf_yaml_end_map(w);
	}
	conf_yaml_end_list(w);
}

static bool same_left(const struct bundle_pair *a, const char *text, size_t len)
{
	return a->left_len == len && memcmp(a->left, text, len) == 0;
}

static void put_allow(struct conf_yaml *w, const struct arguments *a,
		      const struct bundle_pair *service)
{
	struct bundle_pair pair;
	const char *value;
	size_t at = 0;
	bool any = false;

	while ((value = arguments_next(a, "--allow", &at))) {
		if (!bundle_split(value, &pair) || !same_left(service, pair.left, pair.left_len))
			continue;
		if (!any) {
			conf_yaml_key(w, "allow");
			conf_yaml_begin_list(w);
		}
		any = true;
		conf_yaml_text(w, pair.right, strlen(pair.right));
	}
	if (any)
		conf_yaml_end_list(w);
}

static void put_publish(struct conf_yaml *w, const struct arguments *a)
{
	struct bundle_pair service;
	const char *value, *public;
	size_t at = 0, at_public;

	if (!arguments_flag(a, "--publish"))
		return;
	conf_yaml_key(w, "publish");
	conf_yaml_begin_list(w);
	while ((value = arguments_next(a, "--publish", &at))) {
		if (!bundle_split(value, &service))
			continue;
		conf_yaml_begin_map(w);
		conf_yaml_key(w, "service");
		conf_yaml_text(w, service.left, service.left_len);
		conf_yaml_entry(w, "target", service.right);
		put_allow(w, a, &service);
		at_public = 0;
		while ((public = arguments_next(a, "--public", &at_public))) {
			if (!same_left(&service, public, strlen(public)))
				continue;
			conf_yaml_key(w, "public");
			conf_yaml_plain(w, "true");
			break;
		}
		conf_yaml_end_map(w);
	}
	conf_yaml_end_list(w);
}

static void put_identity(struct conf_yaml *w, const struct bundle *b)
{
	conf_yaml_key(w, "identity");
	conf_yaml_begin_map(w);
	conf_yaml_entry(w, "ca", b->ca_pem);
	conf_yaml_entry(w, "certificate", b->certificate_pem);
	conf_yaml_entry(w, "key", b->key_pem);
	conf_yaml_entry(w, "tag_keys", b->tag_keys);
	conf_yaml_end_map(w);
}

static void put_relay(struct conf_yaml *w, const struct arguments *a)
{
	put_addresses(w, a, "listen", "--listen", NULL);
	put_pairs(w, a, "public", "--public", "name", "to");
}

static void put_agent(struct conf_yaml *w, const struct arguments *a)
{
	const char *socks5 = arguments_text(a, "--socks5", NULL);
	const char *proxy = arguments_text(a, "--proxy", NULL);

	put_addresses(w, a, "relays", "--relay", arguments_text(a, "--trust", NULL));
	put_publish(w, a);
	put_pairs(w, a, "forward", "--forward", "listen", "to");
	if (socks5) {
		conf_yaml_key(w, "socks5");
		conf_yaml_begin_map(w);
		conf_yaml_entry(w, "listen", socks5);
		conf_yaml_end_map(w);
	}
	if (proxy)
		conf_yaml_entry(w, "proxy", proxy);
}

static void put_console(struct conf_yaml *w, const struct arguments *a)
{
	const char *proxy = arguments_text(a, "--proxy", NULL);

	put_addresses(w, a, "relays", "--relay", arguments_text(a, "--trust", NULL));
	if (proxy)
		conf_yaml_entry(w, "proxy", proxy);
}

/* What differs between the roles; use has the file's name in its middle. */
static const struct {
	const char *word, *use, *use_rest;
	void (*put)(struct conf_yaml *w, const struct arguments *a);
} roles[] = {
	[IDENTITY_RELAY] = {"relay", "postern-relayd -c ", "", put_relay},
	[IDENTITY_AGENT] = {"agent", "postern-agent -c ", "", put_agent},
	[IDENTITY_CONSOLE] = {"console", "postern --as ", " relay status", put_console},
};

static void put_head(FILE *to, const struct bundle *b)
{
	const char *file = strcmp(b->file, "-") == 0 ? "FILE" : b->file;
	const char *word = roles[b->role].word;
	char date[UTC_TEXT_BYTES], name[512];

	/* A file may be called anything, and a line break would end the comment. */
	log_escape(file, name, sizeof(name));
	fprintf(to,
		"# The Postern %s \"%s\" of %s, valid until %s.\n"
		"# Run it:  %s%s%s\n"
		"# Keep it secret: a holder of this file is this %s. It belongs on that machine "
		"alone, mode 0600.\n",
		word, b->name, b->organisation, utc_text(b->not_after, date), roles[b->role].use,
		name, roles[b->role].use_rest, word);
}

static void put_document(struct conf_yaml *w, const struct bundle *b, const struct arguments *a)
{
	conf_yaml_begin_map(w);
	conf_yaml_entry(w, "name", b->name);
	roles[b->role].put(w, a);
	put_identity(w, b);
	conf_yaml_end_map(w);
}

char *bundle_write(const struct bundle *b, const struct arguments *a)
{
	struct conf_yaml *w;
	char *text = NULL;
	size_t len;
	bool ok = false;
	FILE *to = open_memstream(&text, &len);

	if (!to)
		return NULL;
	put_head(to, b);
	w = conf_yaml_open(to);
	if (w) {
		put_document(w, b, a);
		ok = conf_yaml_close(w);
	}
	if (fclose(to) != 0 || !ok) {
		pki_free_secret(text);
		return NULL;
	}
	return text;
}

/* ---- the check ---- */

bool bundle_check(const struct bundle *b, const char *text)
{
	struct conf_errors errors = {.file = b->file};
	struct conf_node *root = conf_parse(text, strlen(text), &errors);
	struct relay_config relay;
	struct agent_config agent;
	bool ok = false;

	if (root && b->role == IDENTITY_RELAY) {
		ok = relay_config_bind(root, &relay, &errors);
		if (ok)
			relay_config_free(&relay);
	} else if (root) {
		ok = b->role == IDENTITY_AGENT ? agent_config_bind(root, &agent, &errors)
					       : console_config_bind(root, &agent, &errors);
		if (ok)
			agent_config_free(&agent);
	}
	if (!ok) {
		complain("these options do not make a valid configuration:");
		fputs(errors.text ? errors.text : "out of memory\n", stderr);
	}
	conf_node_free(root);
	conf_errors_free(&errors);
	return ok;
}
