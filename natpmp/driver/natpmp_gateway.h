/* SPDX-License-Identifier: Apache-2.0 */
/*
 * natpmp_gateway: what the NAT-PMP driver knows of its gateway, and what answers and silence mean.
 * natpmp.h tells how it works; natpmp.c has the queue and what the engine asks.
 */
#ifndef POSTERN_NATPMP_DRIVER_NATPMP_GATEWAY_H
#define POSTERN_NATPMP_DRIVER_NATPMP_GATEWAY_H

#include "natpmp/epoch.h"
#include "natpmp/driver/natpmp_transaction.h"
#include "portmap/gateway/driver.h"

#define NATPMP_TRANSACTIONS 2u	  /* more would only make a slow gateway slower */
#define NATPMP_ROOM	    256u  /* requests; the engine has fewer */
#define NATPMP_NEWBORN_S    2u	  /* an epoch that has only begun */
#define NATPMP_REPROBE_MS   8000u /* first interval for a gateway that is DOWN */

enum natpmp_phase { NATPMP_PHASE_UNKNOWN, NATPMP_PHASE_UP, NATPMP_PHASE_DOWN };
enum natpmp_task_kind { NATPMP_TASK_FREE, NATPMP_TASK_ADDRESS, NATPMP_TASK_MAP, NATPMP_TASK_UNMAP };

struct natpmp_task {
	enum natpmp_task_kind kind;
	bool running; /* in a transaction */
	struct portmap_request request;
	uint64_t number; /* they run in this order */
	uint64_t first_ms;
};

struct driver_natpmp;

struct natpmp_driver_transaction {
	struct natpmp_transaction transaction;
	struct driver_natpmp *driver;
	struct natpmp_task *task; /* NULL: none */
};

struct driver_natpmp {
	struct portmap_driver driver;
	struct gateway_options options;
	struct natpmp_driver_transaction transactions[NATPMP_TRANSACTIONS];
	struct natpmp_task tasks[NATPMP_ROOM + 1]; /* the first one asks for the address */
	uint64_t numbers;
	struct timer pump; /* starts what waits; after stop() it ends the driver */
	struct gateway_wide wide;
	struct timer again;  /* DOWN: the next look */
	struct timer hint;   /* hinted: when it is asked */
	uint64_t reprobe_ms; /* DOWN: the interval after the next */
	enum natpmp_phase phase;
	bool probing; /* the engine waits for available() or unavailable() */
	bool stopping;
	struct epoch epoch;
	struct addr external; /* port 0; len 0: not known */
	bool hinted;	      /* it announced something, and was not asked for its address since */
	bool hint_asked;      /* it was, and has not answered */
	uint64_t heard_ms, address_ms, announce_ms;
	uint64_t told_ms; /* when a restart was last told; 0: never */
};

/* ---- natpmp.c ---- */

/* It is as if it had never been asked. */
void natpmp_task_drop(struct driver_natpmp *d, struct natpmp_task *t);
/* Tells the end of a task of the engine's. What is heard may begin new ones. */
void natpmp_task_fail(struct driver_natpmp *d, struct natpmp_task *t, enum portmap_failure failure,
		      const char *why);
/* Asks for the external address, unless that is under way. */
void natpmp_look(struct driver_natpmp *d);

/* ---- natpmp_gateway.c ---- */

/* It is DOWN: told where that is news or awaited; all that waits fails with it. */
void natpmp_gateway_down(struct driver_natpmp *d, enum portmap_failure failure, const char *why);
/* An epoch of the gateway's shows that it forgot its mappings: tells so, and looks. */
void natpmp_gateway_restarted(struct driver_natpmp *d, uint32_t epoch_s);

/* Callbacks of the transactions, and of the timer again. */
void natpmp_gateway_done(struct natpmp_transaction *x, enum natpmp_outcome outcome);
bool natpmp_gateway_unanswered(struct natpmp_transaction *x);
void natpmp_gateway_again(struct timer *t, uint64_t now_ms);

#endif
