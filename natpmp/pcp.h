/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcp: datagrams of the Port Control Protocol, version 2 (RFC 6887), as a client sees them.
 *
 * A client writes ANNOUNCE and MAP requests and reads the answers to them. Addresses are 16 bytes
 * on the wire, IPv4 as ::ffff:a.b.c.d (section 5); here they are plain IPv4 again.
 */
#ifndef POSTERN_NATPMP_PCP_H
#define POSTERN_NATPMP_PCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/must_check.h"

#define PCP_PORT	 5351u /* the server's */
#define PCP_VERSION	 2u
#define PCP_BYTES_MAX	 1100u /* section 7 */
#define PCP_HEADER_BYTES 24u
#define PCP_MAP_BYTES	 36u
#define PCP_NONCE_BYTES	 12u
/* A MAP request with THIRD_PARTY and PREFER_FAILURE: the longest that pcp_request_write() makes. */
#define PCP_REQUEST_BYTES 84u

enum pcp_opcode { PCP_ANNOUNCE = 0, PCP_MAP = 1 };

/* IANA's numbers, as MAP wants them. */
enum pcp_protocol { PCP_TCP = 6, PCP_UDP = 17 };

/* Section 7.4. Others are returned as they are. */
enum pcp_result {
	PCP_SUCCESS,
	PCP_UNSUPP_VERSION,
	PCP_NOT_AUTHORIZED,
	PCP_MALFORMED_REQUEST,
	PCP_UNSUPP_OPCODE,
	PCP_UNSUPP_OPTION,
	PCP_MALFORMED_OPTION,
	PCP_NETWORK_FAILURE,
	PCP_NO_RESOURCES,
	PCP_UNSUPP_PROTOCOL,
	PCP_USER_EX_QUOTA,
	PCP_CANNOT_PROVIDE_EXTERNAL,
	PCP_ADDRESS_MISMATCH,
	PCP_EXCESSIVE_REMOTE_PEERS,
	PCP_RESULTS
};

/* Section 11.1; the same fields in requests and answers. */
struct pcp_map {
	uint8_t nonce[PCP_NONCE_BYTES];
	uint8_t protocol; /* IANA's number */
	uint16_t internal_port;
	struct addr external; /* suggested or assigned, with port */
};

struct pcp_request {
	enum pcp_opcode opcode;
	struct addr client;  /* ours, as the server sees it; the port does not matter */
	uint32_t lifetime_s; /* MAP; 0 deletes */
	struct pcp_map map;
	bool prefer_failure;  /* section 13.2 */
	bool third_party;     /* section 13.1 */
	struct addr internal; /* with third_party: whose port is mapped */
};

struct pcp_answer {
	uint8_t opcode;
	uint8_t result;
	uint32_t lifetime_s; /* of the mapping, or of the error: how long it will stay so */
	uint32_t epoch_s;
	struct pcp_map map; /* MAP only, and not with UNSUPP_VERSION */
};

enum pcp_status {
	PCP_OK,
	PCP_MALFORMED,	   /* no answer that section 8.3 lets a client read */
	PCP_OTHER_VERSION, /* version 0 or UNSUPP_VERSION: NAT-PMP, at best (section 9) */
};

/*
 * Writes the request to out (PCP_REQUEST_BYTES are always enough) and its length to *len. False
 * when it does not fit or an address is of no family; out and *len untouched then.
 */
bool pcp_request_write(const struct pcp_request *r, uint8_t *out, size_t room,
		       size_t *len) MUST_CHECK;

/* Reads one datagram. *out is written only with PCP_OK. Options of the answer are walked over. */
enum pcp_status pcp_answer_parse(const uint8_t *in, size_t len, struct pcp_answer *out) MUST_CHECK;

/* "NO_RESOURCES"; "unknown result" for others. */
const char *pcp_result_name(unsigned result);

#endif
