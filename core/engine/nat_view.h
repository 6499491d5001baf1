/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nat_view: what postern-natd on this host tells: the external address, a verdict, the mappings.
 *
 * Theory of operation
 *
 *   neighbour's lines ──► nat_view_line() ──► a view, whole or as it was ──► status, events, peers
 *   neighbour away ─────► nat_view_gone() ──► an empty view
 *
 * NAT_VIEW_HELLO asks natd to tell its events from now on, and then for its status. The answer to
 * the latter fills the view; until it comes, events are passed over, since it has them in it. Each
 * event then brings the view up to date: one mapping, all of them, the address, or the verdict.
 *
 * Every field is checked, and a line with one that is wrong changes nothing. Texts and the number
 * of mappings are bounded; beyond NAT_VIEW_MAPPINGS_MAX the view says that there are more. When
 * natd is away nothing is known: it takes its mappings with it.
 *
 * Deliberately absent: why a mapping is as it is, protocols, lifetimes (`postern nat status` has
 * them), and any call that changes natd.
 */
#ifndef POSTERN_ENGINE_NAT_VIEW_H
#define POSTERN_ENGINE_NAT_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

#define NAT_VIEW_MAPPINGS_MAX 64u
#define NAT_VIEW_TEXT_BYTES   256u
#define NAT_VIEW_WORD_BYTES   32u

/* What is said to natd upon each connection. */
#define NAT_VIEW_HELLO                                                                             \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"events\","                                     \
	"\"params\":{\"follow\":true,\"limit\":0}}\n"                                              \
	"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"status\"}\n"

/* As natd calls them, in this order. */
enum nat_mapping_state {
	NAT_MAPPING_REQUESTED,
	NAT_MAPPING_MAPPED,   /* the gateway says so */
	NAT_MAPPING_VERIFIED, /* and something came in from outside */
	NAT_MAPPING_CONFLICTING,
	NAT_MAPPING_MISDIRECTED,
	NAT_MAPPING_REFUSED,
	NAT_MAPPING_UNSUPPORTED,
	NAT_MAPPING_STATES
};

struct nat_view_mapping {
	uint32_t id; /* natd's */
	bool udp, ipv6;
	bool other_host;      /* it leads to another host of the LAN */
	uint16_t port;	      /* inside */
	struct addr external; /* len 0: not known */
	enum nat_mapping_state state;
};

struct nat_view {
	bool connected; /* natd has told its status and is there */
	/* By which outside reaches the gateway, as far as it knows: an IPv4 literal; "": unknown */
	char external[INET_ADDRSTRLEN];
	char verdict[NAT_VIEW_WORD_BYTES]; /* "one_nat" and so on; "" before the first */
	char sentence[NAT_VIEW_TEXT_BYTES], advice[NAT_VIEW_TEXT_BYTES]; /* "": none */
	struct nat_view_mapping mappings[NAT_VIEW_MAPPINGS_MAX];
	size_t mapping_count;
	bool more;	    /* natd has more mappings than these */
	uint64_t malformed; /* lines that made no sense, so far */
};

enum nat_view_news {
	NAT_VIEW_MALFORMED, /* it made no sense: the view is as it was */
	NAT_VIEW_NOTHING,
	NAT_VIEW_MAPPINGS, /* only mappings have changed */
	NAT_VIEW_CHANGED,  /* connected, external or verdict has */
};

/* A line without its line break, borrowed. A view begins as zeros. */
enum nat_view_news nat_view_line(struct nat_view *v, const char *line, size_t len) MUST_CHECK;
/* natd is away. True when it was there. */
bool nat_view_gone(struct nat_view *v) MUST_CHECK;

/* {connected, external?, verdict, sentence?, advice?, mappings: [{protocol, family, port,
 * external?, state}], more?}; owned by the caller, NULL without memory. */
json_t *nat_view_json(const struct nat_view *v);
/* {connected, external?, verdict, sentence?, advice?}: the same without mappings, for an event. */
json_t *nat_view_summary(const struct nat_view *v);

#endif
