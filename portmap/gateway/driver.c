/* SPDX-License-Identifier: Apache-2.0 */
/* driver: the words for what drivers and the engine tell each other. Its header is an interface
 * that several rooms implement or use; the words are all of it that is code. */
#include "portmap/gateway/driver.h"

#include <assert.h>

static const char *const protocol_names[] = {
	[PORTMAP_PCP] = "PCP", [PORTMAP_NATPMP] = "NAT-PMP", [PORTMAP_UPNP] = "UPnP"};
static_assert(sizeof protocol_names / sizeof *protocol_names == PORTMAP_PROTOCOLS, "a name each");

static const char *const failure_names[] = {
	[PORTMAP_CONFLICT] = "conflict",       [PORTMAP_REFUSED] = "refused",
	[PORTMAP_UNSUPPORTED] = "unsupported", [PORTMAP_NO_RESOURCES] = "no_resources",
	[PORTMAP_NO_EXTERNAL] = "no_external", [PORTMAP_SILENT] = "silent",
	[PORTMAP_MALFORMED] = "malformed",
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
