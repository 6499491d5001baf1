/* SPDX-License-Identifier: Apache-2.0 */
/* ssdp: reads and writes what is sent to and from UDP port 1900. */
#include "upnp/ssdp.h"

#include <stdio.h>
#include <string.h>
#include <openssl/bytestring.h>

#include "core/parse/text.h"

/* Takes word off the front of text, if it is there. */
static bool take_prefix(CBS *text, const char *word)
{
	CBS rest = *text, front;

	if (!CBS_get_bytes(&rest, &front, strlen(word)) || !text_is_word(front, word))
		return false;
	*text = rest;
	return true;
}

/* The next line without its end, which is CRLF, LF, or that of the datagram. */
static bool take_line(CBS *in, CBS *line)
{
	CBS rest;
	uint8_t c;

	if (CBS_len(in) == 0)
		return false;
	if (CBS_get_until_first(in, line, '\n')) {
		if (!CBS_skip(in, 1))
			return false;
	} else {
		*line = *in;
		CBS_init(in, NULL, 0);
	}
	rest = *line;
	if (CBS_get_last_u8(&rest, &c) && c == '\r')
		*line = rest;
	return true;
}

/* ---- values ---- */

/* A text that names something: whole, printable, and said once. */
static bool copy_once(CBS value, char *out, size_t room)
{
	size_t len = 0;
	uint8_t c;

	if (out[0] != '\0' || CBS_len(&value) == 0 || CBS_len(&value) >= room)
		return false;
	while (CBS_get_u8(&value, &c)) {
		if (c < 0x20 || c > 0x7e)
			return false;
		out[len++] = (char)c;
	}
	out[len] = '\0';
	return true;
}

/* A text for people: cut where it must be. */
static void copy_some(CBS value, char *out, size_t room)
{
	size_t len = 0;
	uint8_t c;

	while (len < room - 1 && CBS_get_u8(&value, &c))
		out[len++] = c >= 0x20 && c <= 0x7e ? (char)c : '?';
	out[len] = '\0';
}

/* A decimal number of at most 32 bits (BOOTID is 31). */
static bool read_number(CBS value, uint32_t *out)
{
	uint64_t n = 0;
	uint8_t c;

	if (CBS_len(&value) == 0 || CBS_len(&value) > 10)
		return false;
	while (CBS_get_u8(&value, &c)) {
		if (c < '0' || c > '9')
			return false;
		n = n * 10 + (c - '0');
	}
	if (n > UINT32_MAX)
		return false;
	*out = (uint32_t)n;
	return true;
}

static bool read_number_once(CBS value, bool *has, uint32_t *out)
{
	if (*has || !read_number(value, out))
		return false;
	*has = true;
	return true;
}

/* "max-age = 1800", perhaps among other directives. */
static uint32_t read_max_age(CBS value)
{
	uint32_t n;
	CBS part;

	while (CBS_len(&value) > 0) {
		if (CBS_get_until_first(&value, &part, ',')) {
			if (!CBS_skip(&value, 1))
				return 0;
		} else {
			part = value;
			CBS_init(&value, NULL, 0);
		}
		text_trim(&part);
		if (!take_prefix(&part, "max-age"))
			continue;
		text_trim(&part);
		if (!take_prefix(&part, "="))
			continue;
		text_trim(&part);
		if (read_number(part, &n))
			return n;
	}
	return 0;
}

/* ---- messages ---- */

struct reading {
	struct ssdp_message m;
	bool notify, has_nts, has_location;
};

static bool read_start(CBS line, struct reading *r)
{
	CBS rest = line;

	if (take_prefix(&rest, "notify * http/1.")) {
		r->notify = true;
		return true;
	}
	r->m.kind = SSDP_ANSWER;
	return take_prefix(&rest, "http/1.") && CBS_skip(&rest, 1) && take_prefix(&rest, " 200");
}

static bool read_nts(CBS value, struct reading *r)
{
	if (r->has_nts)
		return false;
	r->has_nts = true;
	if (text_is_word(value, "ssdp:alive"))
		r->m.kind = SSDP_ALIVE;
	else if (text_is_word(value, "ssdp:byebye"))
		r->m.kind = SSDP_BYEBYE;
	else if (text_is_word(value, "ssdp:update"))
		r->m.kind = SSDP_UPDATE;
	else
		return false;
	return true;
}

/* False: this field makes the message worthless. */
static bool read_field(CBS name, CBS value, struct reading *r)
{
	struct ssdp_message *m = &r->m;

	if (text_is_word(name, r->notify ? "nt" : "st"))
		return copy_once(value, m->target, sizeof(m->target));
	if (text_is_word(name, "usn"))
		return copy_once(value, m->usn, sizeof(m->usn));
	if (text_is_word(name, "nts") && r->notify)
		return read_nts(value, r);
	if (text_is_word(name, "location")) {
		if (r->has_location ||
		    !location_parse((const char *)CBS_data(&value), CBS_len(&value), &m->location))
			return false;
		r->has_location = true;
		return true;
	}
	if (text_is_word(name, "bootid.upnp.org"))
		return read_number_once(value, &m->has_boot, &m->boot);
	if (text_is_word(name, "nextbootid.upnp.org"))
		return read_number_once(value, &m->has_next_boot, &m->next_boot);
	if (text_is_word(name, "configid.upnp.org"))
		return read_number_once(value, &m->has_config, &m->config);
	if (text_is_word(name, "server"))
		copy_some(value, m->server, sizeof(m->server));
	else if (text_is_word(name, "cache-control"))
		m->max_age_s = read_max_age(value);
	return true;
}

/* A line without a colon is no field, and passed over. */
static bool read_line(CBS line, struct reading *r)
{
	CBS name;

	if (!CBS_get_until_first(&line, &name, ':') || !CBS_skip(&line, 1))
		return true;
	text_trim(&name);
	text_trim(&line);
	return read_field(name, line, r);
}

bool ssdp_parse(const uint8_t *in, size_t len, struct ssdp_message *out)
{
	struct reading r;
	CBS rest, line;

	memset(&r, 0, sizeof(r));
	CBS_init(&rest, in, len);
	if (len > SSDP_DATAGRAM_MAX || CBS_contains_zero_byte(&rest) || !take_line(&rest, &line) ||
	    !read_start(line, &r))
		return false;
	while (take_line(&rest, &line) && CBS_len(&line) > 0)
		if (!read_line(line, &r))
			return false;
	if (r.m.target[0] == '\0' || r.has_nts != r.notify ||
	    (!r.has_location && r.m.kind != SSDP_BYEBYE))
		return false;
	*out = r.m;
	return true;
}

size_t ssdp_write_search(char *out, size_t room, const char *target, const struct addr *host,
			 unsigned mx)
{
	char text[ADDR_TEXT_BYTES], wait[24] = "";
	int n;

	location_format_host(host, text);
	if (mx > 0)
		snprintf(wait, sizeof(wait), "MX: %u\r\n", mx);
	n = snprintf(out, room,
		     "M-SEARCH * HTTP/1.1\r\n"
		     "HOST: %s\r\n"
		     "MAN: \"ssdp:discover\"\r\n"
		     "%s"
		     "ST: %s\r\n"
		     "\r\n",
		     text, wait, target);
	return n > 0 && (size_t)n < room ? (size_t)n : 0;
}

enum ssdp_meaning ssdp_meaning(const char *target)
{
	static const struct {
		const char *stem;
		enum ssdp_meaning meaning;
	} stems[] = {
		{"urn:schemas-upnp-org:device:InternetGatewayDevice:", SSDP_GATEWAY},
		{"urn:schemas-upnp-org:service:WANIPConnection:", SSDP_GATEWAY},
		{"urn:schemas-upnp-org:service:WANPPPConnection:", SSDP_GATEWAY},
		{"urn:schemas-upnp-org:service:WANIPv6FirewallControl:", SSDP_GATEWAY},
		{"urn:dslforum-org:device:InternetGatewayDevice:", SSDP_GATEWAY_DSLFORUM},
		{"urn:dslforum-org:service:WANIPConnection:", SSDP_GATEWAY_DSLFORUM},
		{"urn:dslforum-org:service:WANPPPConnection:", SSDP_GATEWAY_DSLFORUM},
		{"upnp:rootdevice", SSDP_ANY_DEVICE},
		{"ssdp:all", SSDP_ANY_DEVICE},
	};

	for (size_t i = 0; i < sizeof(stems) / sizeof(stems[0]); i++)
		if (strncmp(target, stems[i].stem, strlen(stems[i].stem)) == 0)
			return stems[i].meaning;
	return SSDP_OTHER;
}
