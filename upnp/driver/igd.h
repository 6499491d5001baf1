/* SPDX-License-Identifier: Apache-2.0 */
/*
 * igd: an Internet Gateway Device's description and commands; in the UPnP worker.
 *
 * XML is miniupnpc's to read (parserootdesc, GetUPNPUrls, ParseNameValue); what it makes of it is
 * checked here; bytes come and go by exchange.h. Of an answer only plain texts leave this file:
 * printable ASCII, cut to their room.
 */
#ifndef POSTERN_UPNP_DRIVER_IGD_H
#define POSTERN_UPNP_DRIVER_IGD_H

#include "upnp/driver/exchange.h"
#include "upnp/messages.h"

/* Error codes of UPnP commands: UDA 1.1 table 3-3, WANIPConnection:2 section 2.5, and
 * WANIPv6FirewallControl:1 section 2.5. */
enum igd_error {
	IGD_OK = 0,
	IGD_INVALID_ACTION = 401,
	IGD_INVALID_ARGUMENTS = 402,
	IGD_ACTION_FAILED = 501,
	IGD_NOT_IMPLEMENTED = 602,
	IGD_NOT_AUTHORIZED = 606,
	IGD_PINHOLES_EXHAUSTED = 701,
	IGD_FIREWALL_DISABLED = 702,
	IGD_PINHOLES_FORBIDDEN = 703,
	IGD_NO_SUCH_PINHOLE = 704,
	IGD_NO_SUCH_INDEX = 713,
	IGD_NO_SUCH_ENTRY = 714,
	IGD_NO_WILDCARD_SOURCE = 715,
	IGD_NO_WILDCARD_PORT = 716,
	IGD_CONFLICT = 718,
	IGD_SAME_PORT_REQUIRED = 724,
	IGD_ONLY_PERMANENT = 725,
	IGD_ONLY_WILDCARD_HOST = 726,
	IGD_ONLY_WILDCARD_PORT = 727,
	IGD_NO_PORTS = 728,
	IGD_OTHER_CONFLICT = 729,
};

/* What a command came to: 0, a UPnP error code, or -errno where there was no answer to read. */
struct igd {
	struct exchange exchange;
	int code;
};

#define IGD_TEXT_BYTES 128

struct igd_argument {
	const char *name, *value; /* value needs no escaping: igd_plain() */
};

struct igd_result {
	const char *name;
	char value[IGD_TEXT_BYTES]; /* "" where the answer has none */
	bool there;
};

/* Of the library at most two, and two by the names of TR-064. */
#define IGD_CONNECTIONS_MAX 4u

struct igd_description {
	struct upnp_service connections[IGD_CONNECTIONS_MAX]; /* WAN*Connection; type "": none */
	struct upnp_service pinholes;			      /* WANIPv6FirewallControl */
	char about[UPNP_ABOUT_BYTES];			      /* "Name (model 1.0)" */
};

/* Fetches and reads the description at a location. Its services' hosts are the location's. 0 or
 * -errno; -EPROTO: no description, -ENOENT: no gateway. */
int igd_describe(struct igd *g, const struct location *at, struct igd_description *out) MUST_CHECK;

/* The second half of it: xml has size bytes and a zero byte behind them. 0 or -ENOENT. */
int igd_read_description(const char *xml, int size, const struct location *at,
			 struct igd_description *out) MUST_CHECK;

/* The second half of a command: e->reply answers this action. Its code, as in struct igd; results
 * are untouched where the reply is no answer at all. */
int igd_read_answer(const struct exchange *e, const char *action, struct igd_result *results,
		    size_t count) MUST_CHECK;

/* Performs a command; results is filled for those in the answer. Returns g->code. */
int igd_command(struct igd *g, const struct upnp_service *s, const char *action,
		const struct igd_argument *arguments, size_t argument_count,
		struct igd_result *results, size_t result_count);

/* A boolean that is "0", "false" or "no" (UDA 1.1 section 2.5). What is not there says nothing. */
bool igd_says_no(const struct igd_result *r) MUST_CHECK;

/* Printable ASCII without what XML treats specially; anything else becomes '_'. */
void igd_plain(const char *text, char *out, size_t room);

#endif
