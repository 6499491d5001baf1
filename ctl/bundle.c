/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bundle: the one file that a relay or an agent runs from, written from a command's options.
 *
 * libyaml's emitter does the quoting; the comment at the head, which it cannot write, goes before
 * it. What a person may want to change stands first, the identity last.
 */
#include "ctl/bundle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "agent/config.h"
#include "ctl/pki_make.h"
#include "ctl/pki_store.h"
#include "relay/config.h"

struct writer {
	yaml_emitter_t emitter;
	FILE *to;
	bool ok;
};

bool bundle_split(const char *value, struct bundle_pair *out)
{
	const char *equals = strchr(value, '=');

	if (!equals || equals == value || equals[1] == '\0')
		return false;
	*out = (struct bundle_pair){value, equals + 1, (size_t)(equals - value)};
	return true;
}

/* ---- events ---- */

static int write_bytes(void *arg, unsigned char *bytes, size_t len)
{
	struct writer *w = arg;

	return fwrite(bytes, 1, len, w->to) == len;
}

/* Takes the event over; initialized is what its initializer returned. */
static void emit(struct writer *w, yaml_event_t *event, int initialized)
{
	if (initialized && w->ok)
		w->ok = yaml_emitter_emit(&w->emitter, event) != 0;
	else if (initialized)
		yaml_event_delete(event);
	else
		w->ok = false;
}

static void put(struct writer *w, const char *text, size_t len, yaml_scalar_style_t style)
{
	yaml_event_t event;

	emit(w, &event,
	     yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)len,
					  1, 1, style));
}

static void put_key(struct writer *w, const char *key)
{
	put(w, key, strlen(key), YAML_PLAIN_SCALAR_STYLE);
}

static void put_text(struct writer *w, const char *text, size_t len)
{
	/* A plain null is no text to a YAML reader. */
	bool is_null = len == 4 && memcmp(text, "null", 4) == 0;

	put(w, text, len, is_null ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_ANY_SCALAR_STYLE);
}

static void put_entry(struct writer *w, const char *key, const char *text)
{
	put_key(w, key);
	put_text(w, text, strlen(text));
}

static void put_pem(struct writer *w, const char *key, const char *pem)
{
	put_key(w, key);
	put(w, pem, strlen(pem), YAML_LITERAL_SCALAR_STYLE);
}

static void begin_map(struct writer *w)
{
	yaml_event_t event;

	emit(w, &event,
	     yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE));
}

static void end_map(struct writer *w)
{
	yaml_event_t event;

	emit(w, &event, yaml_mapping_end_event_initialize(&event));
}

static void begin_list(struct writer *w, const char *key)
{
	yaml_event_t event;

	put_key(w, key);
	emit(w, &event,
	     yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
						  YAML_BLOCK_SEQUENCE_STYLE));
}

static void end_list(struct writer *w)
{
	yaml_event_t event;

	emit(w, &event, yaml_sequence_end_event_initialize(&event));
}

/* ---- the parts ---- */

/* key: [{address: VALUE}, ...] */
static void put_addresses(struct writer *w, const struct arguments *a, const char *key,
			  const char *option)
{
	const char *value;
	size_t at = 0;

	begin_list(w, key);
	while ((value = arguments_next(a, option, &at))) {
		begin_map(w);
		put_entry(w, "address", value);
		end_map(w);
	}
	end_list(w);
}

/* key: [{left: LEFT, right: RIGHT}, ...]; nothing at all when the option was not given. */
static void put_pairs(struct writer *w, const struct arguments *a, const char *key,
		      const char *option, const char *left, const char *right)
{
	struct bundle_pair pair;
	const char *value;
	size_t at = 0;

	if (!arguments_flag(a, option))
		return;
	begin_list(w, key);
	while ((value = arguments_next(a, option, &at))) {
		if (!bundle_split(value, &pair))
			continue;
		begin_map(w);
		put_key(w, left);
		put_text(w, pair.left, pair.left_len);
		put_entry(w, right, pair.right);
		end_map(w);
	}
	end_list(w);
}

static bool same_left(const struct bundle_pair *a, const char *text, size_t len)
{
	return a->left_len == len && memcmp(a->left, text, len) == 0;
}

static void put_allow(struct writer *w, const struct arguments *a,
		      const struct bundle_pair *service)
{
	struct bundle_pair pair;
	const char *value;
	size_t at = 0;
	bool any = false;

	while ((value = arguments_next(a, "--allow", &at))) {
		if (!bundle_split(value, &pair) || !same_left(service, pair.left, pair.left_len))
			continue;
		if (!any)
			begin_list(w, "allow");
		any = true;
		put_text(w, pair.right, strlen(pair.right));
	}
	if (any)
		end_list(w);
}

static void put_publish(struct writer *w, const struct arguments *a)
{
	struct bundle_pair service;
	const char *value, *public;
	size_t at = 0, at_public;

	if (!arguments_flag(a, "--publish"))
		return;
	begin_list(w, "publish");
	while ((value = arguments_next(a, "--publish", &at))) {
		if (!bundle_split(value, &service))
			continue;
		begin_map(w);
		put_key(w, "service");
		put_text(w, service.left, service.left_len);
		put_entry(w, "target", service.right);
		put_allow(w, a, &service);
		at_public = 0;
		while ((public = arguments_next(a, "--public", &at_public))) {
			if (!same_left(&service, public, strlen(public)))
				continue;
			put_entry(w, "public", "true");
			break;
		}
		end_map(w);
	}
	end_list(w);
}

static void put_identity(struct writer *w, const struct bundle *b)
{
	put_key(w, "identity");
	begin_map(w);
	put_pem(w, "ca", b->ca_pem);
	put_pem(w, "certificate", b->certificate_pem);
	put_pem(w, "key", b->key_pem);
	end_map(w);
}

static void put_relay(struct writer *w, const struct arguments *a)
{
	put_addresses(w, a, "listen", "--listen");
	put_pairs(w, a, "public", "--public", "name", "to");
}

static void put_agent(struct writer *w, const struct arguments *a)
{
	const char *socks5 = arguments_text(a, "--socks5", NULL);
	const char *proxy = arguments_text(a, "--proxy", NULL);

	put_addresses(w, a, "relays", "--relay");
	put_publish(w, a);
	put_pairs(w, a, "forward", "--forward", "listen", "to");
	if (socks5) {
		put_key(w, "socks5");
		begin_map(w);
		put_entry(w, "listen", socks5);
		end_map(w);
	}
	if (proxy)
		put_entry(w, "proxy", proxy);
}

static void put_head(struct writer *w, const struct bundle *b)
{
	bool is_relay = b->role == IDENTITY_RELAY;
	const char *file = strcmp(b->file, "-") == 0 ? "FILE" : b->file;
	char date[PKI_DATE_BYTES], name[512];

	/* A file may be called anything, and a line break would end the comment. */
	log_escape(file, name, sizeof(name));
	fprintf(w->to,
		"# The Postern %s \"%s\" of %s, valid until %s.\n"
		"# Run it:  %s -c %s\n"
		"# Keep it secret: whoever has this file is this %s. It belongs on that machine "
		"alone, mode 0600.\n",
		is_relay ? "relay" : "agent", b->name, b->organisation,
		pki_date(b->not_after, date), is_relay ? "postern-relayd" : "postern-agent", name,
		is_relay ? "relay" : "agent");
}

static void put_document(struct writer *w, const struct bundle *b, const struct arguments *a)
{
	yaml_event_t event;

	emit(w, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
	emit(w, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
	begin_map(w);
	put_entry(w, "name", b->name);
	if (b->role == IDENTITY_RELAY)
		put_relay(w, a);
	else
		put_agent(w, a);
	put_identity(w, b);
	end_map(w);
	emit(w, &event, yaml_document_end_event_initialize(&event, 1));
	emit(w, &event, yaml_stream_end_event_initialize(&event));
}

char *bundle_write(const struct bundle *b, const struct arguments *a)
{
	struct writer w = {.ok = true};
	char *text = NULL;
	size_t len;

	w.to = open_memstream(&text, &len);
	if (!w.to)
		return NULL;
	if (yaml_emitter_initialize(&w.emitter)) {
		yaml_emitter_set_output(&w.emitter, write_bytes, &w);
		yaml_emitter_set_unicode(&w.emitter, 1);
		yaml_emitter_set_width(&w.emitter, -1);
		put_head(&w, b);
		put_document(&w, b, a);
		yaml_emitter_delete(&w.emitter);
	} else {
		w.ok = false;
	}
	if (fclose(w.to) != 0 || !w.ok) {
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
		ok = agent_config_bind(root, &agent, &errors);
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
