/* SPDX-License-Identifier: Apache-2.0 */
/*
 * messages: what natd asks of the UPnP worker and what it answers, one JSON object per line.
 *
 * The worker reads what strangers send, so its answers are no better than theirs: every field is
 * checked on arrival, for its type, its range and its length, and none may be missing or new. Which
 * fields a message has follows from its duty alone. Locations are locations (location.h) on both
 * sides.
 */
#ifndef POSTERN_UPNP_MESSAGES_H
#define POSTERN_UPNP_MESSAGES_H

#include "portmap/gateway/driver.h"
#include "upnp/ssdp.h"

#define UPNP_LINE_MAX	       8192u
#define UPNP_DEVICES_MAX       8u
#define UPNP_TYPE_BYTES	       96
#define UPNP_DESCRIPTION_BYTES 64
#define UPNP_UID_BYTES	       8
#define UPNP_ABOUT_BYTES       128

enum upnp_duty {
	UPNP_DISCOVER,	/* which devices answer a search */
	UPNP_INSPECT,	/* what a device is, from its description and a first command */
	UPNP_MAP,	/* creates or renews a mapping of IPv4 */
	UPNP_UNMAP,	/* deletes it */
	UPNP_PINHOLE,	/* creates or renews a pinhole of IPv6 */
	UPNP_UNPINHOLE, /* deletes it */
	UPNP_LOOK,	/* whether a mapping of IPv4 is there, as it was made */
	UPNP_ADDRESS,	/* the external address alone */
	UPNP_DUTIES
};

/* A service that takes commands: where, and of which type. type "": there is none. */
struct upnp_service {
	char type[UPNP_TYPE_BYTES];
	struct location control;
};

struct upnp_request {
	enum upnp_duty duty;
	uint32_t number;
	uint32_t wait_ms;   /* the worker gives up by itself then */
	struct addr source; /* ours towards the gateway: commands come from it; port 0 */
	/* DISCOVER */
	struct addr gateway;
	unsigned prefix; /* of the subnet that source is in */
	unsigned index;	 /* of the interface */
	/* INSPECT */
	struct location location;
	bool pinholes; /* of IPv6, else mappings of IPv4: a device may offer both over either */
	/* the others */
	struct upnp_service service;
	enum portmap_transport transport;
	struct addr internal;	/* of the mapping */
	uint32_t lease_s;	/* 1 to UINT32_MAX */
	uint16_t external_port; /* MAP, UNMAP, LOOK */
	bool fixed;		/* MAP: this port or none */
	bool moved;		/* MAP: it was another protocol's, of ours */
	uint32_t granted_s;	/* MAP: the lease given last; 0: none, or for good */
	char description[UPNP_DESCRIPTION_BYTES]; /* MAP, UNMAP, LOOK: ours */
	char shown[UPNP_DESCRIPTION_BYTES]; /* and what the gateway made of it; "": not known */
	char uid[UPNP_UID_BYTES];	    /* PINHOLE: "" for a new one; UNPINHOLE */
};

/* What answered a search. */
struct upnp_device {
	struct location location;
	struct addr from; /* port 0 */
	bool has_boot;
	uint32_t boot;
	char server[UPNP_ABOUT_BYTES];
	enum ssdp_meaning meaning; /* how it was named when it was found */
};

struct upnp_answer {
	uint32_t number;
	bool ok;
	/* not ok */
	enum portmap_failure failure;
	char why[PORTMAP_TEXT_BYTES];
	bool gone;	    /* MAP: the gateway was looked at, and has nothing of ours there */
	struct addr inside; /* MISDIRECTED and not taken back: where it leads */
	/* DISCOVER */
	struct upnp_device devices[UPNP_DEVICES_MAX];
	size_t device_count;
	bool there; /* LOOK */
	/* INSPECT */
	struct upnp_service mappings, pinholes;
	struct addr external; /* also of ADDRESS; len 0: it did not say */
	char about[UPNP_ABOUT_BYTES];
	/* MAP, PINHOLE */
	uint32_t lease_s;		    /* 0: for good */
	uint16_t external_port;		    /* also with inside */
	char shown[UPNP_DESCRIPTION_BYTES]; /* the gateway's text beside our mapping */
	char uid[UPNP_UID_BYTES];
};

/* One line with its line break, owned by the caller (free); NULL without memory. Fields of other
 * duties are left out. */
char *upnp_request_line(const struct upnp_request *r, size_t *len) MUST_CHECK;
char *upnp_answer_line(enum upnp_duty duty, const struct upnp_answer *a, size_t *len) MUST_CHECK;

/* From a line without its line break. False: not such a message; *out is untouched. An answer is
 * read as one to a request of this duty. */
bool upnp_request_read(const char *line, size_t len, struct upnp_request *out) MUST_CHECK;
bool upnp_answer_read(enum upnp_duty duty, const char *line, size_t len,
		      struct upnp_answer *out) MUST_CHECK;

#endif
