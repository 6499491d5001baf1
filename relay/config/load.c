/* SPDX-License-Identifier: Apache-2.0 */
/* load: what a relay starts with. */
#include "relay/config/load.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <sys/stat.h>

#include "core/conf/json.h"
#include "core/engine/front_certificate.h"
#include "core/engine/identity.h"
#include "core/engine/owned.h"
#include "core/parse/keyblock.h"

/* What is kept by this name; NULL: nothing; json_null(): nothing whole. */
static json_t *load_kept(const char *state_dir, const char *name)
{
	char path[4096];
	json_error_t error;
	struct stat st;
	json_t *kept;

	snprintf(path, sizeof path, "%s/%s", state_dir, name);
	if (lstat(path, &st) < 0)
		return NULL;
	if (!S_ISREG(st.st_mode))
		log_error("relay", "%s: is no file that the relay has written", path);
	else if ((kept = json_load_file(path, JSON_REJECT_DUPLICATES, &error)))
		return kept;
	else
		log_error("relay", "%s:%d:%d: %s", path, error.line, error.column, error.text);
	return json_null();
}

void load_signed_revocations(const struct relay_config *config, struct signed_revocations *out)
{
	json_t *kept = config->state_dir ? load_kept(config->state_dir, SIGNED_REVOKED_NAME) : NULL;
	struct identity *id;
	char why[512];
	size_t lost;

	if (!kept)
		return;
	id = identity_new(config->identity.ca, config->identity.certificate, NULL, time(NULL), why,
			  sizeof why);
	lost = id ? signed_revocations_recall(out, id, kept) : json_array_size(kept);
	if (lost > 0)
		log_error("relay",
			  "%zu of the signed revocations that are kept in state_dir do not verify "
			  "any more, as when their CA is in identity.ca no longer; agents that "
			  "trust it keep what they have learned",
			  lost);
	identity_free(id);
	json_decref(kept);
}

bool load_key_apart(const struct relay_config *config, struct conf_errors *errors)
{
	uint8_t id[KEYBLOCK_ID_BYTES];

	if (keyblock_refers(config->identity.key, id))
		return true;
	conf_error(errors, NULL, "identity.key",
		   "is not a key that the relay's own file holds: write it there, as \"|\" and its "
		   "lines; a relay takes no private key over a console");
	return false;
}

/* The file's configuration, and the one with consoles' changes over it. */
struct load_binding {
	const struct load_source *from;
	const struct relay_config *file;
	struct relay_config together;
};

static bool load_front_key_there(const char *pem, load_has_key_fn *has, void *context, char *why,
				 size_t why_size)
{
	uint8_t key[SIGNING_KEY_BYTES];
	char clause[256];
	struct front_certificate *front = front_certificate_new(pem, clause, sizeof clause);

	if (!front) {
		snprintf(why, why_size, "tls.certificate: %s", clause);
		return false;
	}
	front_certificate_key_id(front, key);
	front_certificate_free(front);
	snprintf(why, why_size,
		 "tls.certificate: is for a key that this relay has not made; ask it for a request "
		 "('postern relay request --front')");
	return has(context, key, SIGNING_FRONT);
}

bool load_keys_there(const struct relay_config *config, load_has_key_fn *has, void *context,
		     char *why, size_t why_size)
{
	uint8_t key[SIGNING_KEY_BYTES];
	struct identity *id = identity_new(config->identity.ca, config->identity.certificate, NULL,
					   time(NULL), why, why_size);

	if (!id)
		return false;
	identity_key_id(id, key);
	identity_free(id);
	if (!has(context, key, SIGNING_IDENTITY)) {
		snprintf(why, why_size, "identity.key: does not match identity.certificate");
		return false;
	}
	return !config->tls.certificate ||
	       load_front_key_there(config->tls.certificate, has, context, why, why_size);
}

static bool text_same(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

/* Each of them may be well-formed, and the signer not have the key of a certificate any more. Where
 * nothing of that differs from the file it is the file's own, and not looked at here. */
static bool relay_identity_fits(const struct load_binding *b, struct conf_errors *errors)
{
	const struct relay_config *one = b->file, *other = &b->together;
	char why[512];

	if (strcmp(one->identity.ca, other->identity.ca) == 0 &&
	    strcmp(one->identity.certificate, other->identity.certificate) == 0 &&
	    text_same(one->tls.certificate, other->tls.certificate))
		return true;
	if (owned_judge_cas(one->identity.ca, other->identity.ca, 0) == OWNED_CAS_STRANGER) {
		conf_error(errors, NULL, "identity.ca",
			   "has a CA that none of the file's has signed; if it is to be trusted, "
			   "write it into the file");
		return false;
	}
	if (load_keys_there(other, b->from->has_key, b->from->context, why, sizeof why))
		return true;
	conf_error(errors, NULL, "", "%s", why);
	return false;
}

static bool relay_load_bind(const struct conf_node *root, void *binding, struct conf_errors *errors)
{
	struct load_binding *b = binding;

	if (!relay_config_bind(root, &b->together, errors))
		return false;
	if (load_key_apart(&b->together, errors) && relay_identity_fits(b, errors))
		return true;
	relay_config_free(&b->together);
	return false;
}

static void swap_text(char **a, char **b)
{
	char *was = *a;

	*a = *b;
	*b = was;
}

/* Puts what consoles changed over the file. False without memory. */
static bool load_use_kept(const struct load_source *from, struct relay_config *config,
			  struct configuring_start *s)
{
	json_t *kept = load_kept(config->state_dir, STATE_NAME), *file = json_incref(s->file);
	struct load_binding b = {.from = from, .file = config};
	bool ok;

	configuring_start_free(s);
	ok = configuring_begin_bound(relay_config_fields(), file, kept, relay_load_bind, &b,
				     "relay", from->path, s);
	if (ok && s->merged) {
		/* Where this host's files are is its own file's to say. */
		swap_text(&config->state_dir, &b.together.state_dir);
		relay_config_free(config);
		*config = b.together;
	}
	json_decref(kept);
	json_decref(file);
	return ok;
}

bool load_config(const struct load_source *from, struct relay_config *config,
		 struct configuring_start *s, struct conf_errors *errors)
{
	struct conf_node *root;
	json_t *file = NULL;
	bool ok;

	*s = (struct configuring_start){.document = NULL};
	errors->file = from->path;
	root = conf_parse(from->text, from->len, errors);
	ok = root && relay_config_bind(root, config, errors);
	if (ok && !load_key_apart(config, errors)) {
		relay_config_free(config);
		ok = false;
	}
	if (ok && config->state_dir)
		from->state(from->context, config->state_dir);
	if (ok) {
		file = conf_document(relay_config_fields(), root);
		ok = file && configuring_begin(relay_config_fields(), file, NULL, s) &&
		     (!config->state_dir || load_use_kept(from, config, s));
		if (!ok) {
			conf_error(errors, NULL, "", "out of memory");
			relay_config_free(config);
		}
	}
	json_decref(file);
	conf_node_free(root);
	return ok;
}

json_t *load_document(const char *text, size_t len, struct conf_errors *errors)
{
	struct conf_node *root = conf_parse(text, len, errors);
	struct relay_config config;
	json_t *document = NULL;

	if (root && relay_config_bind(root, &config, errors)) {
		if (load_key_apart(&config, errors))
			document = conf_document(relay_config_fields(), root);
		relay_config_free(&config);
	}
	conf_node_free(root);
	return document;
}
