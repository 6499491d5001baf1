/* SPDX-License-Identifier: Apache-2.0 */
/*
 * natd: the program's parts around the engine: the network, its drivers, time, and the end.
 *
 * Theory of operation
 *
 *            drivers opened            another network, the end
 *   AWAY ────────────────────► HERE ───────────────────────────► LEAVING
 *    ▲                                                              │ the engine has left
 *    └───────────────────────────── CLOSING ◄───────────────────────┘
 *          drivers stopped, network as it is now
 *
 * Drivers belong to one network (portmap/network.h). When another one comes the engine deletes what
 * it mapped if the old gateway can still be reached, and else forgets it; then the drivers stop and
 * new ones are opened for what the network is by then.
 *
 * Time is CLOCK_BOOTTIME, which goes on while the host sleeps. The ring's timers stand still
 * meanwhile, so they are never set further ahead than NATD_WAKE_MS, and a jump between the two
 * clocks is a resume: everything is looked at and renewed.
 */
#ifndef POSTERN_PORTMAP_NATD_H
#define POSTERN_PORTMAP_NATD_H

#include "natpmp/driver/announce_listener.h"
#include "portmap/config.h"
#include "portmap/engine/asks.h"
#include "portmap/engine/engine.h"
#include "portmap/hook.h"
#include "portmap/network.h"
#include "portmap/nonces.h"
#include "portmap/remember.h"
#include "portmap/engine/truth.h"

#define NATD_DRIVERS  4u /* PCP twice, NAT-PMP, UPnP */
#define NATD_WAKE_MS  5000u
#define NATD_SLEPT_MS 3000u /* clocks apart by so much more: the host slept */
#define NATD_CLOSE_MS 5000u /* drivers that do not stop by then are left behind */

struct natd_control;
struct outside;
struct verify;

/* What was refused to other programs, as the log has it last. */
struct natd_refusals {
	char text[ASKS_WHY_BYTES + 80];
	uint64_t ms;	 /* 0: never */
	unsigned others; /* that it left out since */
};

enum natd_stage { NATD_AWAY, NATD_HERE, NATD_LEAVING, NATD_CLOSING };

struct natd {
	/* The program sets these first. */
	struct ring *ring;
	struct natd_config config;
	void (*stopped)(struct natd *n); /* nothing is in flight any more */
	bool contained;			 /* it runs in a container */
	bool dry_run; /* probes, and wants nothing of the gateway (portmap/dry_run.h) */

	/* natd_prepare() fills these. */
	struct nonces nonces;
	struct launcher upnp; /* fd -1: no UPnP */
	struct launcher_plan upnp_plan;
	struct hook hook;

	struct portmap_owner owner;
	struct portmap_engine engine;
	struct portmap_want configured[PORTMAP_MAPPINGS_MAX]; /* without nonces */
	size_t configured_count;
	struct asks asks; /* of other programs, beside those */
	struct natd_refusals refusals;
	struct remember remember;
	uint64_t young_due_ms; /* when leases may be longer */
	enum natd_stage stage;
	bool stopping;
	struct network_watch watch;
	struct network network; /* that of the drivers */
	struct portmap_driver *drivers[NATD_DRIVERS];
	size_t driver_count, stopped_drivers;
	struct announce_listener announce;
	bool announcing;
	struct timer wake, progress;
	uint64_t due_ms; /* of the engine */
	uint64_t asleep_ms, started_ms, close_ms;
	struct truth truth;
	enum truth_verdict logged; /* what the log has last said of it */
	bool logged_passed;
	uint64_t verdicts_ms; /* since then so many were logged */
	unsigned verdicts;
	bool told_contained;
	struct outside *outside;
	struct verify *verify;
	struct natd_control *control; /* NULL: no socket */
};

/* What needs a file, a process or a right that isolation takes: launchers of the hook and of
 * UPnP as the configuration wants them, and the nonces' key. Before the first thread. False: why
 * has a sentence. */
bool natd_prepare(struct natd *n, char *why, size_t why_size) MUST_CHECK;
/* Of natd_prepare() that for UPnP: 0, also where the configuration has none, or -errno. */
int natd_start_upnp(struct natd *n) MUST_CHECK;
/* listener: of the control socket (natd_control_listen()), taken over; -1: none. Before isolation.
 * Returns 0 or -errno. */
int natd_open(struct natd *n, int listener) MUST_CHECK;
/* Before the ring runs, after isolation. */
void natd_start(struct natd *n);
/* The configuration is another one (taken over): changes only what differs. False: why tells what
 * only a restart can change; the rest is in force. */
bool natd_reconfigure(struct natd *n, struct natd_config *config, char *why,
		      size_t why_size) MUST_CHECK;
/* Reads the configuration's file again (SIGHUP). What is wrong is logged, and the configuration in
 * force stays. log_level: the command line's, or -1. */
void natd_reload(struct natd *n, const struct natd_arguments *a, int log_level);
/* Deletes what was mapped; stopped() follows. */
void natd_stop(struct natd *n);
void natd_close(struct natd *n);
void natd_log_status(const struct natd *n);

/* natd_drivers.c: those of n->network; all of them stop; true when they have (or are given up), and
 * else to be asked again: n->progress is set when one has. */
void natd_open_drivers(struct natd *n);
void natd_close_drivers(struct natd *n);
bool natd_drivers_closed(struct natd *n) MUST_CHECK;
/* What the provider's NAT says over IPv4, where it is asked. */
enum truth_provider natd_provider(const struct natd *n) MUST_CHECK;

/* The engine keeps what the configuration and others want now. Returns 0 or -ENOMEM. */
int natd_want(struct natd *n) MUST_CHECK;
/* A deadline is another one. */
void natd_set_wake(struct natd *n);
/* What is known of NATs has changed, perhaps. */
void natd_judge(struct natd *n);

#endif
