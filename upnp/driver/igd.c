/* SPDX-License-Identifier: Apache-2.0 */
/* igd: reads descriptions, sends commands. */
#include "upnp/driver/igd.h"

#include <errno.h>
#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpreplyparse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void igd_plain(const char *text, char *out, size_t room)
{
	size_t len = 0;

	for (; *text && len < room - 1; text++) {
		bool plain = *text >= 0x20 && *text <= 0x7e && !strchr("<>&\"'", *text);
		out[len++] = plain ? *text : '_';
	}
	out[len] = '\0';
}

/* ---- descriptions ---------------------------------------------------------------------------- */

/* Where the library would send commands; ours only if that is the host of the description,
 * whose own word for another host does not count. Without an URL of its own a service is not there.
 */
static void igd_take_service(const char *type, const char *own_url, const char *url,
			     const struct location *at, struct upnp_service *out)
{
	struct upnp_service s = {.type = ""};

	/* The library takes what has another scheme for a path. */
	if (strstr(own_url, "://") && strncmp(own_url, "http://", 7) != 0)
		return;
	if (!own_url[0] || !url || !type[0] || strlen(type) >= sizeof(s.type) ||
	    !location_parse(url, strlen(url), &s.control) ||
	    !addr_same_host(&s.control.host, &at->host))
		return;
	igd_plain(type, s.type, sizeof(s.type));
	if (strcmp(s.type, type) != 0)
		return;
	if (s.control.host.sa.sa_family == AF_INET6)
		s.control.host.v6.sin6_scope_id = at->host.v6.sin6_scope_id;
	*out = s;
}

/* The URLs of another connection service, as if it were the first. */
static void take_another(const struct IGDdatas *data, const struct IGDdatas_service *service,
			 const char *url, const struct location *at, struct upnp_service *out)
{
	struct IGDdatas moved = *data;
	struct UPNPUrls urls = {0};

	moved.first = *service;
	GetUPNPUrls(&urls, &moved, url, 0);
	igd_take_service(moved.first.servicetype, moved.first.controlurl, urls.controlURL, at, out);
	FreeUPNPUrls(&urls);
}

/* The next element <service> with what is in it, from *rest on; NULL at the end. */
static const char *next_service(const char **rest, int *size)
{
	static const char open[] = "<service", close[] = "</service>";
	const char *begin = *rest, *end;

	while ((begin = strstr(begin, open)) && !strchr("> \t\r\n", begin[strlen(open)]))
		begin += strlen(open);
	end = begin ? strstr(begin, close) : NULL;
	if (!end || !begin[strlen(open)])
		return NULL;
	*rest = end + strlen(close);
	*size = (int)(*rest - begin);
	return begin;
}

/* Connection services by the names of TR-064, which the library passes over. */
static void take_dslforum(const struct IGDdatas *data, const char *xml, const char *url,
			  const struct location *at, struct upnp_service *out, size_t room)
{
	struct IGDdatas_service s;
	const char *service;
	size_t count = 0;
	int size = 0;

	while (count < room && (service = next_service(&xml, &size))) {
		struct NameValueParserData values;
		const char *type, *control;

		ParseNameValue(service, size, &values);
		type = GetValueFromNameValueList(&values, "serviceType");
		control = GetValueFromNameValueList(&values, "controlURL");
		memset(&s, 0, sizeof(s));
		snprintf(s.servicetype, sizeof(s.servicetype), "%s", type ? type : "");
		snprintf(s.controlurl, sizeof(s.controlurl), "%s", control ? control : "");
		ClearNameValueList(&values);
		if (strncmp(s.servicetype, "urn:dslforum-org:service:WAN", 28) == 0 &&
		    ssdp_meaning(s.servicetype) == SSDP_GATEWAY_DSLFORUM) {
			take_another(data, &s, url, at, &out[count]);
			count += out[count].type[0] != '\0';
		}
	}
}

static void take_text(struct NameValueParserData *data, const char *name, char *out, size_t room)
{
	const char *value = GetValueFromNameValueList(data, name);

	igd_plain(value ? value : "", out, room);
}

/* Of the root device, whose own elements come before those of its parts (UDA 1.1 section 2.3). */
static void read_about(const char *xml, int size, char out[UPNP_ABOUT_BYTES])
{
	const char *parts = strstr(xml, "<deviceList");
	struct NameValueParserData data;
	char name[48], model[40], number[24];

	ParseNameValue(xml, parts ? (int)(parts - xml) : size, &data);
	take_text(&data, "friendlyName", name, sizeof(name));
	take_text(&data, "modelName", model, sizeof(model));
	take_text(&data, "modelNumber", number, sizeof(number));
	ClearNameValueList(&data);
	if (model[0] && strcmp(model, name) != 0)
		snprintf(out, UPNP_ABOUT_BYTES, "%s (%s%s%s)", name, model, number[0] ? " " : "",
			 number);
	else
		snprintf(out, UPNP_ABOUT_BYTES, "%s%s%s", name, number[0] ? " " : "", number);
}

int igd_read_description(const char *xml, int size, const struct location *at,
			 struct igd_description *out)
{
	struct igd_description d = {0};
	struct IGDdatas data = {0};
	struct UPNPUrls urls = {0};
	char url[LOCATION_TEXT_BYTES];
	bool any;

	location_format(at, url);
	parserootdesc(xml, size, &data);
	/* Without a zone: the library would look for the name of its interface. */
	GetUPNPUrls(&urls, &data, url, 0);
	igd_take_service(data.first.servicetype, data.first.controlurl, urls.controlURL, at,
			 &d.connections[0]);
	igd_take_service(data.IPv6FC.servicetype, data.IPv6FC.controlurl, urls.controlURL_6FC, at,
			 &d.pinholes);
	FreeUPNPUrls(&urls);
	any = d.pinholes.type[0];
	take_another(&data, &data.second, url, at, &d.connections[1]);
	take_dslforum(&data, xml, url, at, &d.connections[2], IGD_CONNECTIONS_MAX - 2);
	for (size_t i = 0; i < IGD_CONNECTIONS_MAX; i++)
		any = any || d.connections[i].type[0];
	if (!any)
		return -ENOENT;
	read_about(xml, size, d.about);
	*out = d;
	return 0;
}

int igd_describe(struct igd *g, const struct location *at, struct igd_description *out)
{
	const struct exchange *e = &g->exchange;
	int error = exchange_get(&g->exchange, at);

	if (error)
		return error;
	if (e->reply.code != 200)
		return -EPROTO;
	return igd_read_description((const char *)e->bytes + e->reply.body, (int)e->reply.len, at,
				    out);
}

/* ---- commands -------------------------------------------------------------------------------- */

/* UDA 1.1 section 3.2.1. False: it does not fit. */
static bool write_body(char *out, size_t room, const char *type, const char *action,
		       const struct igd_argument *arguments, size_t count)
{
	int n = snprintf(out, room,
			 "<?xml version=\"1.0\"?>\r\n"
			 "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" "
			 "s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\">"
			 "<s:Body><u:%s xmlns:u=\"%s\">",
			 action, type);

	for (size_t i = 0; i < count && n > 0 && (size_t)n < room; i++)
		n += snprintf(out + n, room - (size_t)n, "<%s>%s</%s>", arguments[i].name,
			      arguments[i].value, arguments[i].name);
	if (n > 0 && (size_t)n < room)
		n += snprintf(out + n, room - (size_t)n, "</u:%s></s:Body></s:Envelope>\r\n",
			      action);
	return n > 0 && (size_t)n < room;
}

/* A success says so by the command's name (section 3.2.2), not by the mere lack of an error. */
int igd_read_answer(const struct exchange *e, const char *action, struct igd_result *results,
		    size_t count)
{
	struct NameValueParserData data;
	char response[64];
	const char *text;
	int code;

	/* What TR-064 keeps a password before. */
	if (e->reply.code == 401 || e->reply.code == 403)
		return IGD_NOT_AUTHORIZED;
	if (e->reply.code != 200 && e->reply.code != 500)
		return e->reply.code == 404 || e->reply.code == 405 || e->reply.code == 501
			       ? IGD_INVALID_ACTION
			       : -EPROTO;
	snprintf(response, sizeof(response), "%sResponse", action);
	text = (const char *)e->bytes + e->reply.body;
	code = strstr(text, response) ? IGD_OK : -EPROTO;
	ParseNameValue(text, (int)e->reply.len, &data);
	for (size_t i = 0; i < count; i++) {
		const char *value = GetValueFromNameValueList(&data, results[i].name);
		results[i].there = value != NULL;
		igd_plain(value ? value : "", results[i].value, sizeof(results[i].value));
	}
	text = GetValueFromNameValueList(&data, "errorCode");
	if (text)
		code = (int)strtol(text, NULL, 10);
	if (text && (code < 100 || code > 999))
		code = IGD_ACTION_FAILED;
	ClearNameValueList(&data);
	return code;
}

int igd_command(struct igd *g, const struct upnp_service *s, const char *action,
		const struct igd_argument *arguments, size_t argument_count,
		struct igd_result *results, size_t result_count)
{
	char body[EXCHANGE_REQUEST_MAX - 1024], header[UPNP_TYPE_BYTES + 64];
	int error;

	for (size_t i = 0; i < result_count; i++)
		results[i].there = false;
	snprintf(header, sizeof(header), "%s#%s", s->type, action);
	if (!write_body(body, sizeof(body), s->type, action, arguments, argument_count))
		error = -EMSGSIZE;
	else
		error = exchange_post(&g->exchange, &s->control, header, body);
	g->code = error ? error : igd_read_answer(&g->exchange, action, results, result_count);
	return g->code;
}

bool igd_says_no(const struct igd_result *r)
{
	return r->there && (strcmp(r->value, "0") == 0 || strcasecmp(r->value, "false") == 0 ||
			    strcasecmp(r->value, "no") == 0);
}
