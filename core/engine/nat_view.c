/* SPDX-License-Identifier: Apache-2.0 */
/* nat_view: natd's answers and events, field by field. */
#include "core/engine/nat_view.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

#include "core/parse/json_read.h"

#define STATUS_ID 2 /* in NAT_VIEW_HELLO */

static const char *const transport_words[] = {"tcp", "udp"};
static const char *const family_words[] = {"ipv4", "ipv6"};
static const char *const state_words[] = {
	[NAT_MAPPING_REQUESTED] = "requested",	   [NAT_MAPPING_MAPPED] = "mapped",
	[NAT_MAPPING_VERIFIED] = "verified",	   [NAT_MAPPING_CONFLICTING] = "conflicting",
	[NAT_MAPPING_MISDIRECTED] = "misdirected", [NAT_MAPPING_REFUSED] = "refused",
	[NAT_MAPPING_UNSUPPORTED] = "unsupported",
};
static_assert(sizeof(state_words) / sizeof(*state_words) == NAT_MAPPING_STATES, "a word each");

/* ---- fields ---- */

/* A text without control characters, shorter than room. Absent: "", unless it must be there. */
static bool read_text(const json_t *from, const char *key, bool required, char *out, size_t room)
{
	const json_t *value = json_object_get(from, key);
	const char *text = json_string_value(value);
	size_t len = json_string_length(value);

	if (!value) {
		out[0] = '\0';
		return !required;
	}
	if (!text || len >= room)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	memcpy(out, text, len + 1);
	return true;
}

static bool read_word(const json_t *from, const char *key, const char *const *words, size_t count,
		      size_t *out)
{
	const char *text = json_string_value(json_object_get(from, key));

	for (size_t i = 0; text && i < count; i++) {
		if (strcmp(text, words[i]) == 0) {
			*out = i;
			return true;
		}
	}
	return false;
}

static bool read_number(const json_t *from, const char *key, json_int_t least, json_int_t most,
			json_int_t *out)
{
	const json_t *value = json_object_get(from, key);

	if (!json_is_integer(value) || json_integer_value(value) < least ||
	    json_integer_value(value) > most)
		return false;
	*out = json_integer_value(value);
	return true;
}

/* An IPv4 literal, in its one spelling. Absent: "". */
static bool read_ipv4(const json_t *from, const char *key, char out[INET_ADDRSTRLEN])
{
	char text[NAT_VIEW_WORD_BYTES];
	struct in_addr address;

	if (!read_text(from, key, false, text, sizeof(text)))
		return false;
	out[0] = '\0';
	return text[0] == '\0' || (inet_pton(AF_INET, text, &address) == 1 &&
				   inet_ntop(AF_INET, &address, out, INET_ADDRSTRLEN));
}

/* ---- mappings ---- */

/* Of the mapping's family. Absent: len 0. */
static bool read_place(const json_t *from, bool ipv6, struct addr *out)
{
	char text[ADDR_TEXT_BYTES];

	*out = (struct addr){.len = 0};
	if (!read_text(from, "external", false, text, sizeof(text)))
		return false;
	return text[0] == '\0' ||
	       (addr_parse(text, out) && (out->sa.sa_family == AF_INET6) == ipv6);
}

static bool read_mapping(const json_t *from, struct nat_view_mapping *out)
{
	char host[ADDR_TEXT_BYTES];
	size_t transport, family, state;
	json_int_t id, port;
	struct addr external;

	if (!read_number(from, "id", 0, UINT32_MAX, &id) ||
	    !read_number(from, "port", 1, UINT16_MAX, &port) ||
	    !read_word(from, "protocol", transport_words, 2, &transport) ||
	    !read_word(from, "family", family_words, 2, &family) ||
	    !read_word(from, "state", state_words, NAT_MAPPING_STATES, &state) ||
	    !read_text(from, "host", false, host, sizeof(host)) ||
	    !read_place(from, family == 1, &external))
		return false;
	*out = (struct nat_view_mapping){
		.id = (uint32_t)id,
		.udp = transport == 1,
		.ipv6 = family == 1,
		.other_host = host[0] != '\0',
		.port = (uint16_t)port,
		.external = external,
		.state = (enum nat_mapping_state)state,
	};
	return true;
}

/* Takes the place of what had its id, or comes last. */
static void put_mapping(struct nat_view *v, const struct nat_view_mapping *m)
{
	size_t i = 0;

	while (i < v->mapping_count && v->mappings[i].id != m->id)
		i++;
	if (i == NAT_VIEW_MAPPINGS_MAX) {
		v->more = true;
		return;
	}
	v->mappings[i] = *m;
	if (i == v->mapping_count)
		v->mapping_count++;
}

static bool read_mappings(const json_t *from, struct nat_view *v)
{
	const json_t *list = json_object_get(from, "mappings"), *item;
	struct nat_view_mapping m;
	size_t i;

	if (!json_is_array(list))
		return false;
	v->mapping_count = 0;
	v->more = false;
	json_array_foreach(list, i, item)
	{
		if (!read_mapping(item, &m))
			return false;
		put_mapping(v, &m);
	}
	return true;
}

/* ---- the address and the verdict ---- */

/* Where there is no NAT, what STUN servers see is the host's own address. */
static bool read_external(const json_t *from, struct nat_view *v)
{
	char gateway[INET_ADDRSTRLEN], stun[INET_ADDRSTRLEN];

	if (!json_is_object(from) ||
	    !read_text(from, "verdict", true, v->verdict, sizeof(v->verdict)) ||
	    !read_text(from, "sentence", true, v->sentence, sizeof(v->sentence)) ||
	    !read_text(from, "advice", false, v->advice, sizeof(v->advice)) ||
	    !read_ipv4(from, "gateway", gateway) || !read_ipv4(from, "stun", stun) ||
	    v->verdict[0] == '\0')
		return false;
	memcpy(v->external, strcmp(v->verdict, "no_nat") == 0 ? stun : gateway,
	       sizeof(v->external));
	return true;
}

/* ---- lines ---- */

static bool read_event(const json_t *event, struct nat_view *v)
{
	const char *kind = json_string_value(json_object_get(event, "kind"));
	struct nat_view_mapping m;

	if (!kind)
		return false;
	if (strcmp(kind, "mapping") == 0) {
		if (!read_mapping(event, &m))
			return false;
		put_mapping(v, &m);
		return true;
	}
	if (strcmp(kind, "mappings") == 0)
		return read_mappings(event, v);
	if (strcmp(kind, "external") == 0)
		return read_ipv4(event, "address", v->external) && v->external[0];
	if (strcmp(kind, "verdict") == 0)
		return read_external(event, v);
	return true;
}

/* Brings the view up to date; it may be half done when this fails. */
static bool read_message(const json_t *message, struct nat_view *v)
{
	const char *method = json_string_value(json_object_get(message, "method"));
	const json_t *id = json_object_get(message, "id");
	const json_t *result = json_object_get(message, "result");

	if (!json_is_object(message) || (!method && !result))
		return false;
	if (method)
		return strcmp(method, "event") != 0 || !v->connected ||
		       read_event(json_object_get(message, "params"), v);
	if (!json_is_integer(id))
		return false;
	if (json_integer_value(id) != STATUS_ID)
		return true;
	v->connected = true;
	return read_external(json_object_get(result, "external"), v) && read_mappings(result, v);
}

static bool same_summary(const struct nat_view *a, const struct nat_view *b)
{
	return a->connected == b->connected && strcmp(a->external, b->external) == 0 &&
	       strcmp(a->verdict, b->verdict) == 0;
}

static bool same_mapping(const struct nat_view_mapping *a, const struct nat_view_mapping *b)
{
	if (a->id != b->id || a->udp != b->udp || a->ipv6 != b->ipv6 || a->port != b->port ||
	    a->other_host != b->other_host || a->state != b->state ||
	    a->external.len != b->external.len)
		return false;
	return a->external.len == 0 || addr_equal(&a->external, &b->external);
}

static bool same_mappings(const struct nat_view *a, const struct nat_view *b)
{
	if (a->mapping_count != b->mapping_count || a->more != b->more)
		return false;
	for (size_t i = 0; i < a->mapping_count; i++)
		if (!same_mapping(&a->mappings[i], &b->mappings[i]))
			return false;
	return true;
}

enum nat_view_news nat_view_line(struct nat_view *v, const char *line, size_t len)
{
	const struct json_extent extent = json_extent_of(line, len);
	json_error_t error;
	json_t *message = json_read(line, len, &extent, &error);
	struct nat_view next = *v;
	enum nat_view_news news = NAT_VIEW_NOTHING;
	bool ok = message && read_message(message, &next);

	json_decref(message);
	if (!ok) {
		v->malformed++;
		return NAT_VIEW_MALFORMED;
	}
	if (!same_summary(v, &next))
		news = NAT_VIEW_CHANGED;
	else if (!same_mappings(v, &next))
		news = NAT_VIEW_MAPPINGS;
	*v = next;
	return news;
}

bool nat_view_gone(struct nat_view *v)
{
	bool was_there = v->connected;

	*v = (struct nat_view){.malformed = v->malformed};
	return was_there;
}

/* ---- what is told of it ---- */

static void set_text(json_t *to, const char *key, const char *text)
{
	if (text[0])
		json_object_set_new(to, key, json_string(text));
}

static json_t *mapping_json(const struct nat_view_mapping *m)
{
	json_t *out =
		json_pack("{s:s, s:s, s:i, s:s}", "protocol", transport_words[m->udp], "family",
			  family_words[m->ipv6], "port", m->port, "state", state_words[m->state]);
	char text[ADDR_TEXT_BYTES];

	if (m->external.len > 0) {
		addr_format(&m->external, text);
		json_object_set_new(out, "external", json_string(text));
	}
	return out;
}

json_t *nat_view_summary(const struct nat_view *v)
{
	json_t *out = json_pack("{s:b, s:s}", "connected", v->connected, "verdict",
				v->verdict[0] ? v->verdict : "unknown");

	set_text(out, "external", v->external);
	set_text(out, "sentence", v->sentence);
	set_text(out, "advice", v->advice);
	return out;
}

json_t *nat_view_json(const struct nat_view *v)
{
	json_t *out = nat_view_summary(v), *list = json_array();

	for (size_t i = 0; i < v->mapping_count; i++)
		json_array_append_new(list, mapping_json(&v->mappings[i]));
	json_object_set_new(out, "mappings", list);
	if (v->more)
		json_object_set_new(out, "more", json_true());
	return out;
}
