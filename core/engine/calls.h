/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls: JSON-RPC lines to methods, and their answers back. No sockets.
 *
 * A *caller* is one connection that may call; it has a level and a bounded output, and its
 * transport makes it. Methods stand in tables with their level and the schema of their parameters:
 * the dispatcher checks both, the method `schema` tells them, and the manual is compared with it. A
 * method answers at once, or keeps the call and answers later; a caller that has gone meanwhile is
 * answered into the void.
 */
#ifndef POSTERN_ENGINE_CALLS_H
#define POSTERN_ENGINE_CALLS_H

#include <jansson.h>

#include "core/addr.h"
#include "core/engine/entitled.h"
#include "core/parse/jsonrpc.h"

#define CALLER_OUTPUT_MAX   (8u << 20)
#define CALLER_OUTPUT_TIGHT (256u << 10) /* while memory is tight */
#define CALLER_PENDING_MAX  64u

struct calls;
struct configuring;

enum caller_level { CALLER_READ, CALLER_ADMIN };

struct caller {
	enum caller_level level;
	char who[96];	      /* "console:NAME" or "uid:0", for histories */
	struct addr address;  /* where from; len 0: this host */
	struct addr listener; /* the address of ours that it came in on; len 0 likewise */
	struct credential
		*credential; /* what a console proved; the owner's; NULL: none, of this host */
	bool follows_events, follows_audit, follows_trace;
	size_t pending; /* calls not answered yet */
	/* Queues a line; takes it over (memory_free()). NULL: there was no memory for it, and the
	 * connection ends, so that no answer is waited for. False: the caller's output is full, or
	 * it ends. */
	bool (*send)(struct caller *c, char *line, size_t len);
	struct caller *next, *prev;
};

/* A call on its way to its answer. */
struct call {
	struct calls *calls;
	void *owner;	       /* what the program's methods work on: struct calls has it */
	struct caller *caller; /* NULL once it has gone */
	json_t *id;	       /* NULL: a notification */
	json_t *params;	       /* checked against the method's schema; never NULL */
	json_t *document;
	unsigned refusals; /* as they were when it began; see call_lacks_memory() */
	bool part_done;	   /* a method has done a part of what it was asked for */
	struct call *next, *prev;
};

/* Whether memory was refused since the call began: what it has made may lack a part. A method that
 * changes something asks this before it does; call_answer() asks it of every result. */
bool call_lacks_memory(const struct call *c) MUST_CHECK;
/* What was made so far is whole, or does not matter any more: as a call that waited for others. */
void call_ask_anew(struct call *c);

/* Each ends the call. A result that is NULL, or lacks a part, is a failure; a failure of a call
 * that lacks memory says that alone. */
void call_answer(struct call *c, json_t *result);
void call_fail(struct call *c, enum jsonrpc_error code, json_t *data, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

struct method_param {
	const char *name;
	const char *type; /* "string", "integer", "boolean", "object", "array", "any" */
	bool required;
	const char *help;
};

struct method {
	const char *name; /* "config.apply" */
	enum caller_level level;
	void (*run)(struct call *c); /* answers, or keeps c for later */
	const char *help;
	const struct method_param *params; /* ends with name NULL; or NULL: none */
	const char *result;		   /* one sentence on what comes back */
};

/* The method `schema`: every method of the tables. */
extern const struct method methods_schema[];

struct calls {
	const struct method *const
		*tables; /* ends with NULL; each table with a name that is NULL */
	void *owner;	 /* what the methods work on; each program has a struct of its own */
	const char *admin_remedy; /* what a caller that may only read can do about it */
	/* Asked before each call, for a caller may lose its right while its lines are on their way:
	 * a sentence, and the call is refused, or NULL. Itself NULL: all callers are of this host.
	 */
	const char *(*refuses)(const struct calls *cs, const struct caller *c);
	/* A caller has gone. NULL: not told. */
	void (*gone)(struct calls *cs, struct caller *c);
	struct configuring *configuring; /* for methods_of_config, where the tables have them */
	struct caller *callers;
	struct call *list;
};

void caller_add(struct calls *cs, struct caller *c);
/* Its connection has ended. */
void caller_remove(struct calls *cs, struct caller *c);
/* One line from a caller (borrowed). */
void calls_line(struct calls *cs, struct caller *c, const char *line, size_t len);
/* Sends a notification; takes params over. */
void caller_notify(struct caller *c, const char *method, json_t *params);

#endif
