/* SPDX-License-Identifier: Apache-2.0 */
/* epoch: has the gateway forgotten its mappings? epoch.h tells how one knows. Apart, since the
 * clients of PCP and NAT-PMP, which do not link each other, both ask. */
#include "natpmp/epoch.h"

#include <stddef.h>

#define SLACK_MS 2000

#define STOOD_OFTEN 2u

static int64_t server_delta_ms(const struct epoch_track *t, uint32_t server_s)
{
	return ((int64_t)server_s - (int64_t)t->server_s) * 1000;
}

/* A clock that went back, which CLOCK_BOOTTIME does not, counts as no time. */
static int64_t client_delta_ms(const struct epoch_track *t, uint64_t now_ms)
{
	return now_ms > t->client_ms ? (int64_t)(now_ms - t->client_ms) : 0;
}

/* RFC 6887 section 8.5 */
static bool fits(const struct epoch_track *t, uint32_t server_s, uint64_t now_ms)
{
	int64_t server_ms = server_delta_ms(t, server_s);
	int64_t client_ms = client_delta_ms(t, now_ms);

	return server_ms >= -1000 && client_ms + SLACK_MS >= server_ms - server_ms / 16 &&
	       server_ms + SLACK_MS >= client_ms - client_ms / 16;
}

static void record(struct epoch *e, uint32_t server_s, uint64_t now_ms, bool valid)
{
	const struct epoch_track now = {.known = true, .server_s = server_s, .client_ms = now_ms};

	e->doubt = EPOCH_SURE;
	if (!valid && e->other.known && fits(&e->other, server_s, now_ms))
		e->doubt = EPOCH_TURNS;
	if (e->now.known && server_s != e->now.server_s)
		e->stood = 0;
	else if (!valid && ++e->stood >= STOOD_OFTEN)
		e->doubt = EPOCH_STANDS;
	/* NAT-PMP finds a number ahead of its time valid, which may be another server's all the
	 * same. */
	if (e->now.known && !fits(&e->now, server_s, now_ms))
		e->other = e->now;
	e->now = now;
}

bool epoch_pcp_valid(struct epoch *e, uint32_t server_s, uint64_t now_ms)
{
	bool valid = !e->now.known || fits(&e->now, server_s, now_ms);

	record(e, server_s, now_ms, valid);
	return valid;
}

/* RFC 6886 section 3.6 */
bool epoch_natpmp_valid(struct epoch *e, uint32_t server_s, uint64_t now_ms)
{
	int64_t expected_ms = client_delta_ms(&e->now, now_ms) / 8 * 7;
	bool valid = !e->now.known || server_delta_ms(&e->now, server_s) + SLACK_MS >= expected_ms;

	record(e, server_s, now_ms, valid);
	return valid;
}

const char *epoch_doubt_sentence(const struct epoch *e)
{
	switch (e->doubt) {
	case EPOCH_TURNS:
		return "two servers answer in turn at the gateway's address (a pair by VRRP or "
		       "CARP, or anycast): what one maps the other may not know";
	case EPOCH_STANDS:
		return "the gateway's clock of mappings stands still, so that its restarts cannot "
		       "be seen";
	default:
		return NULL;
	}
}
