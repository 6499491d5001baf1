/* SPDX-License-Identifier: Apache-2.0 */
/* gather: a request to all workers, and one list out of what they answer. */

#include "core/memory.h"
#include "relay/control/control_internal.h"

struct relay_gathering {
	struct call *call;
	const char *name;
	gather_fn *collect;
	json_t *list;
	unsigned left;
	bool failed; /* a part is missing */
};

/* Travels to one worker and back. */
struct gather_request {
	struct ring_msg msg; /* first: the ring hands this back */
	struct relay_gathering *gathering;
	struct worker *worker;
	json_t *params; /* a copy of its own: counts of references are not for two threads */
	json_t *list;
	bool lacks_memory; /* the list may lack a part */
};

static void gathering_end(struct relay_gathering *g)
{
	if (g->failed) {
		json_decref(g->list);
		call_answer(g->call, NULL);
	} else {
		call_ask_anew(g->call); /* what was refused to others meanwhile is no part of it */
		call_answer(g->call, json_pack("{s:o}", g->name, g->list));
	}
	memory_free(g);
}

static void gather_back(struct ring_msg *msg)
{
	struct gather_request *e = (struct gather_request *)msg;
	struct relay_gathering *g = e->gathering;

	if (json_array_extend(g->list, e->list) || e->lacks_memory)
		g->failed = true;
	json_decref(e->list);
	json_decref(e->params);
	memory_free(e);
	if (--g->left == 0)
		gathering_end(g);
}

static void gather_there(struct ring_msg *msg)
{
	struct gather_request *e = (struct gather_request *)msg;
	unsigned refusals = memory_refusals();

	e->gathering->collect(e->worker, e->list, e->params);
	e->lacks_memory = memory_refusals() != refusals;
	e->msg.run = gather_back;
	ring_post(control_of(e->gathering->call)->ring, &e->msg);
}

void gather(struct call *c, const char *name, gather_fn *collect)
{
	struct relay *r = control_of(c)->relay;
	struct relay_gathering *g = memory_zeroed(sizeof *g);

	if (!g) {
		call_answer(c, NULL);
		return;
	}
	*g = (struct relay_gathering){.call = c,
				      .name = name,
				      .collect = collect,
				      .list = json_array(),
				      .left = r->worker_count + 1};
	for (unsigned i = 0; i < r->worker_count; i++) {
		struct gather_request *e = memory_zeroed(sizeof *e);

		if (e)
			*e = (struct gather_request){.gathering = g,
						     .worker = &r->workers[i],
						     .params = json_deep_copy(c->params),
						     .list = json_array()};
		if (!e || !e->params || !e->list) {
			if (e) {
				json_decref(e->params);
				json_decref(e->list);
			}
			memory_free(e);
			g->failed = true;
			g->left--;
			continue;
		}
		e->msg.run = gather_there;
		ring_post(r->workers[i].ring, &e->msg);
	}
	/* Our own share of the count: no answer may end it while requests are being sent. */
	if (--g->left == 0)
		gathering_end(g);
}
