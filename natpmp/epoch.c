/* SPDX-License-Identifier: Apache-2.0 */
/* epoch: has the gateway forgotten its mappings? epoch.h tells how one knows. Apart, since the
 * clients of PCP and NAT-PMP, which do not link each other, both ask. */
#include "natpmp/epoch.h"

#define SLACK_MS 2000

static int64_t server_delta_ms(const struct epoch *e, uint32_t server_s)
{
	return ((int64_t)server_s - (int64_t)e->server_s) * 1000;
}

/* A clock that went back, which CLOCK_BOOTTIME does not, counts as no time. */
static int64_t client_delta_ms(const struct epoch *e, uint64_t now_ms)
{
	return now_ms > e->client_ms ? (int64_t)(now_ms - e->client_ms) : 0;
}

static void record(struct epoch *e, uint32_t server_s, uint64_t now_ms)
{
	*e = (struct epoch){.known = true, .server_s = server_s, .client_ms = now_ms};
}

/* RFC 6887 section 8.5 */
bool epoch_pcp_valid(struct epoch *e, uint32_t server_s, uint64_t now_ms)
{
	int64_t server_ms = server_delta_ms(e, server_s);
	int64_t client_ms = client_delta_ms(e, now_ms);
	bool valid = !e->known ||
		     (server_ms >= -1000 && client_ms + SLACK_MS >= server_ms - server_ms / 16 &&
		      server_ms + SLACK_MS >= client_ms - client_ms / 16);

	record(e, server_s, now_ms);
	return valid;
}

/* RFC 6886 section 3.6 */
bool epoch_natpmp_valid(struct epoch *e, uint32_t server_s, uint64_t now_ms)
{
	int64_t expected_ms = client_delta_ms(e, now_ms) / 8 * 7;
	bool valid = !e->known || server_delta_ms(e, server_s) + SLACK_MS >= expected_ms;

	record(e, server_s, now_ms);
	return valid;
}
