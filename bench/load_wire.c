/* SPDX-License-Identifier: Apache-2.0 */
/* load_wire: a connection to postern-relayd that speaks frames, and signing in over one. */
#include "bench/load_wire.h"

#include <string.h>
#include <time.h>

#include "bench/load.h"
#include "core/conf/conf.h"
#include "core/parse/reason.h"

/* ---- the bundle ---- */

static const char *text_at(const struct conf_node *map, const char *key, const char *path)
{
	const struct conf_node *n = conf_get(map, key);

	if (!n || n->kind != CONF_SCALAR)
		load_fail("%s: no identity.%s", path, key);
	return n->text;
}

static struct identity *load_identity(const char *path, struct conf_tag_keys *tag_keys)
{
	struct conf_errors errors = {.file = path};
	struct conf_node *root = conf_load(path, CONF_KEYS, &errors);
	const struct conf_node *map = root ? conf_get(root, "identity") : NULL;
	struct identity *id;
	char why[256];

	if (!map || map->kind != CONF_MAP)
		load_fail("%s: %s", path, errors.text ? errors.text : "no identity");
	id = identity_new(text_at(map, "ca", path), text_at(map, "certificate", path),
			  text_at(map, "key", path), time(NULL), why, sizeof why);
	if (!id)
		load_fail("%s: %s", path, why);
	if (!conf_tag_keys_parse(text_at(map, "tag_keys", path), tag_keys))
		load_fail("%s: no identity.tag_keys", path);
	conf_node_free(root);
	return id;
}

void load_self_open(struct load_self *self, const char *bundle)
{
	if (!bundle)
		load_fail("a bundle of 'postern pki issue' is needed: --source, --sink, --console");
	self->identity = load_identity(bundle, &self->tag_keys);
	self->context = identity_dial_context(self->identity);
	if (!self->context || !identity_self(self->identity, &self->peer))
		load_fail("%s holds no identity that can sign in", bundle);
}

/* ---- messages ---- */

void load_send_first(struct load_tls *c, const struct load_self *self, const struct wire_message *m)
{
	uint8_t bytes[TAG_BYTES + WIRE_FRAME_MAX];
	size_t len = wire_encode(m, bytes + TAG_BYTES, WIRE_FRAME_MAX);

	if (len == 0 || !tag_make(c->tls, self->tag_keys.keys[0], bytes))
		load_fail("cannot say %s", wire_type_name(m->type));
	load_tls_write(c, bytes, TAG_BYTES + len);
}

void load_send_message(struct load_tls *c, const struct wire_message *m)
{
	uint8_t frame[WIRE_FRAME_MAX];
	size_t len = wire_encode(m, frame, sizeof frame);

	if (len == 0)
		load_fail("%s breaks a limit", wire_type_name(m->type));
	load_tls_write(c, frame, len);
}

static void read_any(struct speaker *s, struct wire_message *m)
{
	enum wire_status status;

	memmove(s->in, s->in + s->used, s->len - s->used);
	s->len -= s->used;
	s->used = 0;
	while ((status = wire_decode(s->in, s->len, m, &s->used)) == WIRE_SHORT)
		s->len += load_tls_read_some(&s->tls, s->in + s->len, sizeof s->in - s->len);
	if (status == WIRE_UNKNOWN_EXTENSION)
		load_fail("the relay sent %s with an extension that bench/load does not know",
			  wire_type_name(m->type));
	if (status != WIRE_OK)
		load_fail("the relay sent a malformed frame");
}

/* What links are told, and means nothing to who measures. */
static bool is_news(const struct wire_message *m)
{
	return m->type == WIRE_REVOKED || m->type == WIRE_TAGKEY || m->type == WIRE_SIGNED ||
	       m->type == WIRE_PROVE || m->type == WIRE_ENDED;
}

void load_read_message(struct speaker *s, struct wire_message *m)
{
	do
		read_any(s, m);
	while (is_news(m));
}

_Noreturn void load_fail_unexpected(const struct wire_message *m)
{
	if (m->type == WIRE_FAIL)
		load_fail("FAIL: %s", reason_sentence(m->fail.reason));
	if (m->type == WIRE_BYE)
		load_fail("BYE: %s", reason_sentence(m->bye.reason));
	load_fail("unexpected %s", wire_type_name(m->type));
}

void load_expect(struct speaker *s, enum wire_type type, struct wire_message *m)
{
	load_read_message(s, m);
	if (m->type != type)
		load_fail_unexpected(m);
}

/* ---- signing in ---- */

void load_sign_in(struct speaker *s, const struct load_self *self, const struct addr *relay,
		  uint8_t flags, struct wire_message *welcome)
{
	uint8_t exported[TLS_EXPORT_BYTES], signature[WIRE_SIGNATURE_MAX];
	struct wire_message m = {
		.type = WIRE_HELLO,
		.hello.flags = flags,
		.hello.agent = wire_text(self->peer.name),
		.hello.software = wire_text("bench"),
		.hello.signature.data = signature,
	};

	load_tls_dial(&s->tls, relay, self->context);
	identity_certificate_der(self->identity, &m.hello.certificate.data,
				 &m.hello.certificate.len);
	if (!tls_export(s->tls.tls, TLS_EXPORT_HELLO, exported) ||
	    !identity_sign(self->identity, IDENTITY_HELLO, exported, signature, sizeof signature,
			   &m.hello.signature.len))
		load_fail("cannot sign HELLO");
	load_send_first(&s->tls, self, &m);
	load_expect(s, WIRE_WELCOME, welcome);
}
