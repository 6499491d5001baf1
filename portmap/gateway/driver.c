/* SPDX-License-Identifier: Apache-2.0 */
/* driver: the words for what drivers and the engine tell each other. Its header is an interface
 * that several rooms implement or use; the words are all of it that is code. */
#include "portmap/gateway/driver.h"

#include <assert.h>
#include <stdio.h>

static const char *const protocol_names[] = {
	[PORTMAP_PCP] = "PCP", [PORTMAP_NATPMP] = "NAT-PMP", [PORTMAP_UPNP] = "UPnP"};
static_assert(sizeof protocol_names / sizeof *protocol_names == PORTMAP_PROTOCOLS, "a name each");

static const char *const failure_names[] = {
	[PORTMAP_CONFLICT] = "conflict",       [PORTMAP_REFUSED] = "refused",
	[PORTMAP_UNSUPPORTED] = "unsupported", [PORTMAP_NO_RESOURCES] = "no_resources",
	[PORTMAP_NO_EXTERNAL] = "no_external", [PORTMAP_SILENT] = "silent",
	[PORTMAP_MALFORMED] = "malformed",     [PORTMAP_TRANSIENT] = "transient",
	[PORTMAP_MISDIRECTED] = "misdirected", [PORTMAP_UNNEEDED] = "unneeded",
};
static_assert(sizeof failure_names / sizeof *failure_names == PORTMAP_FAILURES, "a name each");

const char *portmap_protocol_name(enum portmap_protocol p)
{
	return protocol_names[p];
}

const char *portmap_transport_name(enum portmap_transport t)
{
	return t == PORTMAP_TCP ? "tcp" : "udp";
}

const char *portmap_failure_name(enum portmap_failure f)
{
	return failure_names[f];
}

const char *portmap_low_port_hint(uint16_t external_port)
{
	return external_port < 1024
		       ? "; many map no port below 1024: try a higher one, such as external: 8443"
		       : "";
}

void portmap_misdirection(const struct addr *inside, const struct addr *asked, uint16_t outside,
			  char out[PORTMAP_TEXT_BYTES])
{
	char host[ADDR_TEXT_BYTES];

	if (addr_same_host(inside, asked)) {
		snprintf(out, PORTMAP_TEXT_BYTES,
			 "the gateway leads port %u to port %u inside, not %u%s", outside,
			 addr_port(inside), addr_port(asked),
			 addr_port(inside) == outside ? "; ask for the same port inside and outside"
						      : "; it cannot map that port");
		return;
	}
	addr_format(inside, host);
	snprintf(out, PORTMAP_TEXT_BYTES,
		 "the gateway leads port %u to %s, not to where it was asked to; forward the port "
		 "by hand",
		 outside, host);
}

void portmap_elsewhere(const struct addr *from, const struct addr *asked,
		       char out[PORTMAP_TEXT_BYTES])
{
	char other[ADDR_TEXT_BYTES], gateway[ADDR_TEXT_BYTES];

	addr_format_host(from, other);
	addr_format_host(asked, gateway);
	snprintf(out, PORTMAP_TEXT_BYTES,
		 "answers come from %.42s, not from %.42s, which was asked; a pair (VRRP, CARP) "
		 "must answer from its shared address",
		 other, gateway);
}
