/* SPDX-License-Identifier: Apache-2.0 */
/* stream_internal: what the two files of stream sockets share. */
#ifndef POSTERN_TESTS_WORLD_STREAM_INTERNAL_H
#define POSTERN_TESTS_WORLD_STREAM_INTERNAL_H

#include "tests/world/kernel_internal.h"

#define SEND_BUFFER    65536u
#define RECEIVE_BUFFER 65536u
#define RTO_FIRST_US   200000u
#define RTO_MAX_US     (120 * K_SECOND)
#define GIVE_UP_MS     924000u /* tcp_retries2's 15 */
#define SYN_TRIES      7u
#define MSS	       1448u

enum state { FRESH, LISTENING, CONNECTING, CONNECTED, OVER };

struct segment {
	size_t len;
	uint64_t at;
};

struct k_stream {
	struct k_file file; /* first */
	enum state state;
	struct k_stream *peer;	      /* while it lives */
	struct k_host *far;	      /* the peer's, also afterwards */
	struct k_stream *next, *prev; /* of all */
	uint64_t number;	      /* ascending in the order of being made */
	struct k_host *host;
	bool open;     /* has a descriptor */
	unsigned held; /* by events */
	int family;
	unsigned uid; /* of the program that made it */
	struct addr local, remote;
	bool bound;
	char path[108];

	/* What comes in. */
	uint8_t *data;
	size_t off, len, room, arrived;
	struct segment *segments;
	size_t segment_first, segment_count, segment_room;
	uint64_t last_at; /* of what is under way to us */
	bool arriving;	  /* an event will look */
	bool fin_coming, fin_came;
	uint64_t fin_at;
	uint64_t lost_since; /* segments to us find no way since then; 0: they do */
	uint64_t shut_since; /* our window is closed, and something waits for it */
	uint32_t rto_us;

	/* What goes out, and the rest. */
	bool fin_sent, reset;
	int error; /* SO_ERROR */
	size_t send_buffer, receive_buffer;
	bool keepalive, linger0, reuseport, watched;
	unsigned idle_s, interval_s, count, user_timeout_ms, probes;
	uint64_t keepalive_turn; /* its event that counts */
	uint64_t heard_us;
	uint64_t unheard_since; /* probes of a closed window find no way, as TCP_INFO saw first */
	char congestion[16];
	int notsent; /* TCP_NOTSENT_LOWAT, which is kept and bounds nothing */
	unsigned syns;
	/* What was sent to an end that is gone, and nobody will acknowledge. */
	uint64_t orphan_since; /* 0: nothing */
	size_t orphan_bytes;
	uint32_t orphan_rto_us;

	/* A listener's. */
	struct k_stream *next_listener;
	struct k_stream **queue;
	size_t queued, backlog;
	struct k_stream *parent; /* while it waits in a queue */
};

extern struct k_stream *k_listeners; /* all that live, the newest socket first */

static inline struct k_stream *stream_of(struct k_file *f)
{
	return (struct k_stream *)f;
}

static inline bool is_local(const struct k_stream *s)
{
	return s->family == AF_UNIX;
}

struct k_stream *stream_new(int family, struct k_host *host, bool nonblock);
/* An event for s, which lives until then. The event gives it back: s->held--, stream_maybe_free().
 */
void stream_later(struct k_stream *s, uint64_t at, k_event_fn *run, uint64_t argument);
void stream_maybe_free(struct k_stream *s);
void stream_keepalive_start(struct k_stream *s);
/* Another idle time is set, or keep-alive is: the timer is set anew. */
void stream_keepalive_again(struct k_stream *s);
/* How the kernel sees what s has sent. */
struct stream_sent {
	uint32_t unacked, notsent, retransmits, probes;
};
struct stream_sent stream_sent(struct k_stream *s);

#endif
