/* SPDX-License-Identifier: Apache-2.0 */
/*
 * configuring: the configuration in force, from a file and from consoles. One rule for every
 * program that can be reconfigured.
 *
 * Theory of operation. The operator's file states; what consoles changed is kept apart, and merges
 * over it. Whenever the file is read, at the start and at SIGHUP, three documents meet:
 *
 *   base    the file as it was last read
 *   ours    what is in force: base with the consoles' changes
 *   theirs  the file as it is now
 *
 * What only one side changed is taken from it. Where both changed the same thing the file wins, and
 * an event config.overruled names the path (core/conf/merge.h). base and ours are kept together as
 * one document where the program has a state directory, so that the rule holds across a restart,
 * too; without one, consoles' changes last until the program ends.
 *
 * What is kept may be damaged, of another version, or not go with an edited file any more. Then the
 * program starts with the file alone, and says so; what is kept (revocations, too) is spared until
 * a console changes something, so that a start with a mended file brings it back.
 *
 * A change is put in force whole or not at all. On trial (confirm_ms) nothing is kept: when no
 * console confirms, the old document is put back the same way; a restart forgets the trial. While a
 * trial runs the file is not read.
 *
 * No I/O and no clock: the program's table of functions does what needs either.
 */
#ifndef POSTERN_ENGINE_CONFIGURING_H
#define POSTERN_ENGINE_CONFIGURING_H

#include "core/engine/calls.h"
#include "core/engine/changes.h"

#define CONFIGURING_WHY_BYTES  512
#define CONFIGURING_AGAIN_MS   5000u /* until the next try to go back after a trial */
#define CONFIGURING_LISTED_MAX 20u   /* overruled paths that are told one by one */

struct configuring;

struct configuring_now {
	uint64_t ms; /* on the clock of trials */
	time_t wall; /* for histories */
};

/*
 * A proposal is another configuration, checked whole; what it points to is the program's own.
 */
struct configuring_ops {
	const char *area; /* of the log: "control" */
	/* document is borrowed, its secrets shown. NULL: errors or why tell. */
	void *(*propose)(struct configuring *c, const json_t *document, struct conf_errors *errors,
			 char why[CONFIGURING_WHY_BYTES]);
	void (*drop)(void *proposal);
	/* A clause, when the proposal would take away the caller's own way in; else NULL. */
	const char *(*cuts_off)(const struct configuring *c, const struct caller *caller,
				const void *proposal);
	/* [names of keys that wait for the next start], owned by the caller. */
	json_t *(*restart)(const struct configuring *c, const void *proposal);
	/* Takes the proposal over, also on failure. False: nothing has changed, and why has a
	 * sentence. */
	bool (*enforce)(struct configuring *c, void *proposal, char why[CONFIGURING_WHY_BYTES]);
	/* The document of before a trial is about to be proposed again, which must not fail for
	 * what the trial has changed. NULL: nothing needs to be done. */
	void (*go_back)(struct configuring *c);
	/* Keeps this document (borrowed) for the next start: 0 or -errno. */
	int (*keep)(struct configuring *c, const json_t *kept);
	/* Calls configuring_trial_over() after so long; 0: does not call it any more. */
	void (*set_trial)(struct configuring *c, uint64_t after_ms);
	/* An event with its data, taken over. */
	void (*event)(struct configuring *c, const char *kind, json_t *data);
	struct configuring_now (*now)(const struct configuring *c);
};

struct configuring {
	const struct configuring_ops *ops;
	const struct conf_field *fields;
	struct changes *changes;
	json_t *file;	/* as last read */
	bool keeps;	/* there is a state directory */
	bool kept;	/* what is in force is what the next start would find */
	int keep_error; /* -errno of the last try to keep it; 0: none */
	bool spares;	/* what is kept could not be used, and is not overwritten yet */
};

struct config_change {
	const json_t *document; /* secrets put back */
	const char *who, *note;
	uint64_t confirm_ms; /* 0: for good */
	bool derived;	     /* from the file, or from what was before a trial: no console's own */
};

/* ---- the start ---- */

/* What a program begins with. */
struct configuring_start {
	json_t *document;  /* to put in force */
	json_t *file;	   /* what the file says */
	json_t *overruled; /* [paths where consoles' changes lost to the file] */
	bool merged;	   /* something of consoles' is in document */
	bool spares;	   /* what is kept is not: it is to stay as it is */
};

/* file and kept are borrowed. kept NULL: nothing is kept; no document that keep() was given (as
 * json_null(), of what cannot be read): it does not count, and is spared. False without memory. */
bool configuring_begin(const struct conf_field *fields, const json_t *file, const json_t *kept,
		       struct configuring_start *out) MUST_CHECK;
void configuring_start_free(struct configuring_start *s);

/* A program's own way to bind a document to its configuration; false: errors tell. */
typedef bool configuring_bind_fn(const struct conf_node *root, void *config,
				 struct conf_errors *errors);
/* The same for a program that starts: where out->merged, config (not touched before) is bound to
 * out->document, and the caller's. Where file and consoles' changes do not go together any more,
 * the file counts alone; the log of this area tells, and names the file by path. False without
 * memory. */
bool configuring_begin_bound(const struct conf_field *fields, const json_t *file,
			     const json_t *kept, configuring_bind_fn *bind, void *config,
			     const char *area, const char *path,
			     struct configuring_start *out) MUST_CHECK;

/* s is borrowed. keeps: ops->keep() is called, now and at each change; else never. Tells what was
 * overruled. False without memory. */
bool configuring_open(struct configuring *c, const struct configuring_ops *ops,
		      const struct conf_field *fields, const struct configuring_start *s,
		      bool keeps) MUST_CHECK;
void configuring_close(struct configuring *c);

/* ---- while it runs ---- */

/* Takes the proposal over. False: nothing has changed, and why has a sentence. */
bool configuring_apply(struct configuring *c, void *proposal, const struct config_change *change,
		       char why[CONFIGURING_WHY_BYTES]) MUST_CHECK;
/* False when nothing waits. */
bool configuring_confirm(struct configuring *c, const char *who) MUST_CHECK;
/* False when nothing waits, or what was before cannot be put back: why has a sentence. */
bool configuring_roll_back(struct configuring *c, const char *who,
			   char why[CONFIGURING_WHY_BYTES]) MUST_CHECK;
void configuring_trial_over(struct configuring *c);
/* Why the next start would not find what a console has just put in force for good; NULL: it would,
 * or this program keeps nothing. */
const char *configuring_unsaved(const struct configuring *c);
/* Tries once more, where that failed. */
void configuring_keep_again(struct configuring *c);

/* SIGHUP: the file says this now (taken over; NULL: it could not be read, and why not has been
 * logged). */
void configuring_reread(struct configuring *c, json_t *file);
/* False while a trial runs: the log tells, and the file need not be read. */
bool configuring_may_reread(const struct configuring *c) MUST_CHECK;

#endif
