/* SPDX-License-Identifier: Apache-2.0 */
/*
 * messages: JSON lines between natd and the UPnP worker.
 *
 * One function per kind of message names its fields, for writing and for reading; so the two cannot
 * come apart. A codec that has failed does nothing more.
 */
#include "upnp/messages.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"

struct codec {
	json_t *object;
	bool writing, ok;
	size_t fields;
};

static const char *const duty_names[] = {
	[UPNP_DISCOVER] = "discover", [UPNP_INSPECT] = "inspect", [UPNP_MAP] = "map",
	[UPNP_UNMAP] = "unmap",	      [UPNP_PINHOLE] = "pinhole", [UPNP_UNPINHOLE] = "unpinhole",
	[UPNP_LOOK] = "look",	      [UPNP_ADDRESS] = "address",
};
static_assert(sizeof(duty_names) / sizeof(duty_names[0]) == UPNP_DUTIES, "a name each");

/* ---- fields ---- */

/* The value to read; NULL when writing, or when there is none. */
static json_t *field(struct codec *c, const char *key)
{
	json_t *value;

	if (!c->ok || c->writing)
		return NULL;
	value = json_object_get(c->object, key);
	c->ok = value != NULL;
	c->fields++;
	return value;
}

static void put(struct codec *c, const char *key, json_t *value)
{
	if (!c->ok)
		json_decref(value);
	else
		c->ok = json_object_set_new(c->object, key, value) == 0;
}

static void code_text(struct codec *c, const char *key, char *text, size_t room)
{
	json_t *value = field(c, key);
	size_t len;

	if (c->writing) {
		put(c, key, json_string(text));
		return;
	}
	len = json_is_string(value) ? json_string_length(value) : room;
	c->ok = c->ok && len < room && strlen(json_string_value(value)) == len;
	if (c->ok)
		memcpy(text, json_string_value(value), len + 1);
}

static void code_number(struct codec *c, const char *key, uint32_t *number, uint32_t least,
			uint32_t most)
{
	json_t *value = field(c, key);
	json_int_t n;

	if (c->writing) {
		put(c, key, json_integer(*number));
		return;
	}
	n = json_integer_value(value);
	c->ok = c->ok && json_is_integer(value) && n >= least && n <= most;
	if (c->ok)
		*number = (uint32_t)n;
}

static void code_port(struct codec *c, const char *key, uint16_t *port)
{
	uint32_t n = *port;

	code_number(c, key, &n, 0, UINT16_MAX);
	*port = (uint16_t)n;
}

static void code_bool(struct codec *c, const char *key, bool *yes)
{
	json_t *value = field(c, key);

	if (c->writing) {
		put(c, key, json_boolean(*yes));
		return;
	}
	c->ok = c->ok && json_is_boolean(value);
	*yes = json_is_true(value);
}

/* "" is no address. */
static void code_addr(struct codec *c, const char *key, struct addr *a)
{
	char text[ADDR_TEXT_BYTES] = "";

	if (c->writing && a->len)
		addr_format(a, text);
	code_text(c, key, text, sizeof(text));
	if (!c->writing && c->ok && text[0])
		c->ok = addr_parse(text, a);
}

/* The zone of a link-local host travels beside, since URLs have none here. */
static void code_location(struct codec *c, const char *key, struct location *l)
{
	char text[LOCATION_TEXT_BYTES] = "", zone_key[32];
	uint32_t zone = l->host.sa.sa_family == AF_INET6 ? l->host.v6.sin6_scope_id : 0;

	if (c->writing && l->host.len)
		location_format(l, text);
	code_text(c, key, text, sizeof(text));
	snprintf(zone_key, sizeof(zone_key), "%s_zone", key);
	code_number(c, zone_key, &zone, 0, UINT32_MAX);
	if (c->writing || !c->ok || !text[0])
		return;
	c->ok = location_parse(text, strlen(text), l);
	if (c->ok && l->host.sa.sa_family == AF_INET6)
		l->host.v6.sin6_scope_id = zone;
}

/* ---- structures in messages ---- */

static void code_service(struct codec *c, const char *type, const char *control,
			 struct upnp_service *s)
{
	code_text(c, type, s->type, sizeof(s->type));
	code_location(c, control, &s->control);
	/* One comes with the other. */
	c->ok = c->ok && (s->type[0] != '\0') == (s->control.host.len != 0);
}

static void code_device(struct codec *c, struct upnp_device *d)
{
	uint32_t meaning = d->meaning;

	code_location(c, "location", &d->location);
	code_addr(c, "from", &d->from);
	code_bool(c, "has_boot", &d->has_boot);
	code_number(c, "boot", &d->boot, 0, UINT32_MAX);
	code_text(c, "server", d->server, sizeof(d->server));
	code_number(c, "meaning", &meaning, SSDP_OTHER, SSDP_GATEWAY);
	d->meaning = (enum ssdp_meaning)meaning;
	c->ok = c->ok && d->location.host.len && d->from.len;
}

static void code_devices(struct codec *c, struct upnp_answer *a)
{
	json_t *list = c->writing ? json_array() : field(c, "devices");
	size_t count = c->writing ? a->device_count : json_array_size(list);

	c->ok = c->ok && json_is_array(list) && count <= UPNP_DEVICES_MAX;
	for (size_t i = 0; i < count && c->ok; i++) {
		struct codec each = {.object = c->writing ? json_object() : json_array_get(list, i),
				     .writing = c->writing,
				     .ok = true};

		code_device(&each, &a->devices[i]);
		c->ok = each.ok && (c->writing || each.fields == json_object_size(each.object));
		if (c->writing && json_array_append_new(list, each.object))
			c->ok = false;
	}
	if (c->writing)
		put(c, "devices", list);
	else
		a->device_count = count;
}

static void code_transport(struct codec *c, enum portmap_transport *t)
{
	uint32_t n = *t;

	code_number(c, "transport", &n, PORTMAP_TCP, PORTMAP_UDP);
	*t = (enum portmap_transport)n;
}

/* ---- requests ---- */

static void code_duty(struct codec *c, enum upnp_duty *duty)
{
	char name[16] = "";

	if (c->writing)
		snprintf(name, sizeof(name), "%s", duty_names[*duty]);
	code_text(c, "do", name, sizeof(name));
	if (c->writing || !c->ok)
		return;
	for (unsigned i = 0; i < UPNP_DUTIES; i++)
		if (strcmp(name, duty_names[i]) == 0) {
			*duty = (enum upnp_duty)i;
			return;
		}
	c->ok = false;
}

static void code_target(struct codec *c, struct upnp_request *r)
{
	code_service(c, "service", "control", &r->service);
	code_transport(c, &r->transport);
	code_addr(c, "internal", &r->internal);
	c->ok = c->ok && r->service.type[0] && r->internal.len;
}

static void code_request(struct codec *c, struct upnp_request *r)
{
	uint32_t prefix = r->prefix, index = r->index;

	code_duty(c, &r->duty);
	code_number(c, "n", &r->number, 1, UINT32_MAX);
	code_number(c, "wait_ms", &r->wait_ms, 1, 60000);
	code_addr(c, "source", &r->source);
	c->ok = c->ok && r->source.len;
	if (!c->ok)
		return;
	if (r->duty == UPNP_DISCOVER) {
		code_addr(c, "gateway", &r->gateway);
		code_number(c, "prefix", &prefix, 1, 128);
		code_number(c, "index", &index, 1, INT32_MAX);
		r->prefix = prefix;
		r->index = index;
		return;
	}
	if (r->duty == UPNP_INSPECT) {
		code_location(c, "location", &r->location);
		code_bool(c, "pinholes", &r->pinholes);
		c->ok = c->ok && r->location.host.len;
		return;
	}
	if (r->duty == UPNP_ADDRESS) {
		code_service(c, "service", "control", &r->service);
		c->ok = c->ok && r->service.type[0];
		return;
	}
	code_target(c, r);
	if (r->duty == UPNP_MAP || r->duty == UPNP_UNMAP || r->duty == UPNP_LOOK) {
		code_port(c, "external_port", &r->external_port);
		code_text(c, "description", r->description, sizeof(r->description));
		code_text(c, "shown", r->shown, sizeof(r->shown));
	} else {
		code_text(c, "uid", r->uid, sizeof(r->uid));
	}
	if (r->duty == UPNP_MAP) {
		code_bool(c, "fixed", &r->fixed);
		code_bool(c, "moved", &r->moved);
		code_number(c, "granted_s", &r->granted_s, 0, UINT32_MAX);
	}
	if (r->duty == UPNP_MAP || r->duty == UPNP_PINHOLE)
		code_number(c, "lease_s", &r->lease_s, 1, UINT32_MAX);
}

/* ---- answers ---- */

static void code_answer(struct codec *c, enum upnp_duty duty, struct upnp_answer *a)
{
	uint32_t failure = a->failure;

	code_number(c, "n", &a->number, 1, UINT32_MAX);
	code_bool(c, "ok", &a->ok);
	if (!c->ok)
		return;
	if (!a->ok) {
		code_number(c, "failure", &failure, 0, PORTMAP_FAILURES - 1);
		a->failure = (enum portmap_failure)failure;
		code_text(c, "why", a->why, sizeof(a->why));
		if (duty == UPNP_MAP)
			code_bool(c, "gone", &a->gone);
		if (c->ok && duty == UPNP_MAP && a->failure == PORTMAP_MISDIRECTED) {
			code_addr(c, "inside", &a->inside);
			code_port(c, "external_port", &a->external_port);
			code_text(c, "shown", a->shown, sizeof(a->shown));
		}
	} else if (duty == UPNP_DISCOVER) {
		code_devices(c, a);
	} else if (duty == UPNP_INSPECT) {
		code_service(c, "mappings", "mappings_at", &a->mappings);
		code_service(c, "pinholes", "pinholes_at", &a->pinholes);
		code_addr(c, "external", &a->external);
		code_text(c, "about", a->about, sizeof(a->about));
	} else if (duty == UPNP_MAP) {
		code_number(c, "lease_s", &a->lease_s, 0, UINT32_MAX);
		code_port(c, "external_port", &a->external_port);
		code_text(c, "shown", a->shown, sizeof(a->shown));
		c->ok = c->ok && a->external_port != 0;
	} else if (duty == UPNP_PINHOLE) {
		code_number(c, "lease_s", &a->lease_s, 0, UINT32_MAX);
		code_text(c, "uid", a->uid, sizeof(a->uid));
	} else if (duty == UPNP_LOOK) {
		code_bool(c, "there", &a->there);
	} else if (duty == UPNP_ADDRESS) {
		code_addr(c, "external", &a->external);
	}
}

/* ---- lines ---- */

static char *finish(struct codec *c, size_t *len)
{
	char *text = c->ok ? json_dumps(c->object, JSON_COMPACT) : NULL, *line = NULL;
	size_t size = text ? strlen(text) : 0;

	json_decref(c->object);
	if (text)
		line = memory_resize(text, size + 2);
	if (!line) {
		memory_free(text);
		return NULL;
	}
	line[size] = '\n';
	line[size + 1] = '\0';
	*len = size + 1;
	return line;
}

static struct codec start_reading(const char *line, size_t len)
{
	struct codec c = {.ok = false};

	if (len < UPNP_LINE_MAX)
		c.object = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	c.ok = json_is_object(c.object);
	return c;
}

/* True when every field was read and there is no other. */
static bool finish_reading(struct codec *c)
{
	bool ok = c->ok && c->fields == json_object_size(c->object);

	json_decref(c->object);
	return ok;
}

char *upnp_request_line(const struct upnp_request *r, size_t *len)
{
	struct codec c = {.object = json_object(), .writing = true, .ok = true};
	struct upnp_request copy = *r;

	code_request(&c, &copy);
	return finish(&c, len);
}

char *upnp_answer_line(enum upnp_duty duty, const struct upnp_answer *a, size_t *len)
{
	struct codec c = {.object = json_object(), .writing = true, .ok = true};
	struct upnp_answer copy = *a;

	code_answer(&c, duty, &copy);
	return finish(&c, len);
}

bool upnp_request_read(const char *line, size_t len, struct upnp_request *out)
{
	struct codec c = start_reading(line, len);
	struct upnp_request r;

	memset(&r, 0, sizeof(r));
	code_request(&c, &r);
	if (!finish_reading(&c))
		return false;
	*out = r;
	return true;
}

bool upnp_answer_read(enum upnp_duty duty, const char *line, size_t len, struct upnp_answer *out)
{
	struct codec c = start_reading(line, len);
	struct upnp_answer a;

	memset(&a, 0, sizeof(a));
	code_answer(&c, duty, &a);
	if (!finish_reading(&c))
		return false;
	*out = a;
	return true;
}
