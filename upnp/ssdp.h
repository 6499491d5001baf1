/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ssdp: the Simple Service Discovery Protocol (UPnP Device Architecture 1.1, chapter 1): searches
 * written; answers to them and announcements read.
 *
 * Lenient where gateways in the field are (line ends, case, order, unknown fields),
 * strict where it matters: a field that names the device or leads to it comes once and fits, and a
 * LOCATION is a literal one.
 */
#ifndef POSTERN_UPNP_SSDP_H
#define POSTERN_UPNP_SSDP_H

#include "upnp/location.h"

#define SSDP_PORT	  1900
#define SSDP_DATAGRAM_MAX 2048u
#define SSDP_SEARCH_BYTES 320u
#define SSDP_TARGET_BYTES 128
#define SSDP_USN_BYTES	  192
#define SSDP_SERVER_BYTES 96

enum ssdp_kind {
	SSDP_ANSWER, /* to our search (1.3.3) */
	SSDP_ALIVE,  /* NOTIFY ssdp:alive (1.2.2) */
	SSDP_BYEBYE, /* NOTIFY ssdp:byebye (1.2.3) */
	SSDP_UPDATE, /* NOTIFY ssdp:update (1.2.4): boot becomes next_boot */
};

struct ssdp_message {
	enum ssdp_kind kind;
	char target[SSDP_TARGET_BYTES]; /* ST or NT */
	char usn[SSDP_USN_BYTES];	/* "" where none is said */
	char server[SSDP_SERVER_BYTES]; /* for people: printable, may be cut; "" for none */
	struct location location;	/* good for ANSWER, ALIVE and UPDATE */
	bool has_boot, has_next_boot, has_config;
	uint32_t boot, next_boot, config; /* BOOTID, NEXTBOOTID, CONFIGID.UPNP.ORG */
	uint32_t max_age_s;		  /* of CACHE-CONTROL; 0: none said */
};

/* Reads one datagram. False on anything else, searches of others included: out is untouched. */
bool ssdp_parse(const uint8_t *in, size_t len, struct ssdp_message *out) MUST_CHECK;

/* M-SEARCH for target, to be sent to host: its length, less than room. mx: seconds over which
 * answers may be spread; 0 for a unicast search, which has none (1.3.2). */
size_t ssdp_write_search(char *out, size_t room, const char *target, const struct addr *host,
			 unsigned mx);

/* What the target of an answer or announcement says of its device; the later the better. */
enum ssdp_meaning {
	SSDP_OTHER,
	/* "upnp:rootdevice" or "ssdp:all": a television says so as well. Worth a look where it
	 * comes from the gateway. */
	SSDP_ANY_DEVICE,
	/* A gateway by the names of TR-064: the same services, which some gateways offer under
	 * these names alone, and others keep a password before. */
	SSDP_GATEWAY_DSLFORUM,
	/* A gateway, its WAN connection service or that of its IPv6 firewall, of any version. */
	SSDP_GATEWAY,
};
enum ssdp_meaning ssdp_meaning(const char *target) MUST_CHECK;

#endif
