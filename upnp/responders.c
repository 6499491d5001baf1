/* SPDX-License-Identifier: Apache-2.0 */
/* responders: a small table of hosts to leave alone. Apart from the driver that owns it, since it
 * is told the time and so belongs to the pure room. */
#include "upnp/responders.h"

#include "upnp/location.h"

static struct responder *responders_find(struct responders *r, const struct addr *host)
{
	for (size_t i = 0; i < RESPONDERS_MAX; i++)
		if (addr_same_host(&r->hosts[i].host, host))
			return &r->hosts[i];
	return NULL;
}

void responders_avoid(struct responders *r, const struct addr *host, uint64_t now_ms)
{
	struct responder *entry = responders_find(r, host);

	if (!entry) {
		entry = &r->hosts[0];
		for (size_t i = 1; i < RESPONDERS_MAX; i++)
			if (r->hosts[i].until_ms < entry->until_ms)
				entry = &r->hosts[i];
		*entry = (struct responder){.host = *host};
	}
	entry->wait_ms = entry->wait_ms ? entry->wait_ms * 2 : RESPONDERS_WAIT_MS;
	if (entry->wait_ms > RESPONDERS_WAIT_MAX_MS)
		entry->wait_ms = RESPONDERS_WAIT_MAX_MS;
	entry->until_ms = now_ms + entry->wait_ms;
}

bool responders_avoided(const struct responders *r, const struct addr *host, uint64_t now_ms)
{
	for (size_t i = 0; i < RESPONDERS_MAX; i++)
		if (addr_same_host(&r->hosts[i].host, host))
			return now_ms < r->hosts[i].until_ms;
	return false;
}

void responders_pardon(struct responders *r, const struct addr *host)
{
	struct responder *entry = responders_find(r, host);

	if (entry)
		*entry = (struct responder){.wait_ms = 0};
}
