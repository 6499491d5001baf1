/* SPDX-License-Identifier: Apache-2.0 */
/*
 * igd_fuzz: any bytes as a gateway's description: commands always go to its own host.
 * links: upnp/driver/igd.c upnp/driver/exchange.c upnp/reply.c upnp/location.c core/addr.c
 * links: upnp/ssdp.c core/parse/text.c
 */
#include "fuzz/prefix.h"
#include "upnp/driver/igd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_service(const struct upnp_service *s, const struct location *at)
{
	assert(memchr(s->type, '\0', sizeof(s->type)));
	if (s->type[0])
		assert(addr_same_host(&s->control.host, &at->host));
	else
		assert(s->control.host.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char url[] = "http://192.168.1.1:5000/root.xml";
	struct igd_description d;
	struct location at;
	char *xml;

	if (len > REPLY_MAX || !location_parse(url, strlen(url), &at))
		return 0;
	xml = malloc(len + 1);
	assert(xml);
	if (len)
		memcpy(xml, data, len);
	xml[len] = '\0';
	memset(&d, 0xa5, sizeof(d));
	if (igd_read_description(xml, (int)len, &at, &d)) {
		assert(fuzz_untouched(&d, sizeof(d)));
	} else {
		for (size_t i = 0; i < IGD_CONNECTIONS_MAX; i++)
			check_service(&d.connections[i], &at);
		check_service(&d.pinholes, &at);
		for (const char *c = d.about; *c; c++)
			assert(*c >= 0x20 && *c <= 0x7e);
	}
	free(xml);
	return 0;
}
