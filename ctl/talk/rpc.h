/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc: the calling side of JSON-RPC 2.0 over a stream socket, one object per line.
 *
 * Calls block, each with a deadline. Notifications that arrive while a call waits for its answer
 * are kept for rpc_next(). What is at the other end (a Unix socket, or a tunnel) is the opener's
 * business.
 */
#ifndef POSTERN_CTL_TALK_RPC_H
#define POSTERN_CTL_TALK_RPC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/must_check.h"
#include "core/parse/jsonrpc.h"

#define RPC_ANSWER_MS 30000
#define RPC_LINE_MAX  (64u << 20) /* a list of many sessions fits */

struct rpc {
	int fd; /* non-blocking or not; owned */
	char *in;
	size_t in_len, in_room;
	size_t scanned; /* of in: holds no line break */
	json_int_t last_id;
	json_t *notes; /* notifications not yet asked for, oldest first */
};

#define RPC_LOST 0 /* a failure's code: no answer came */

struct rpc_failure {
	int code; /* enum jsonrpc_error, or RPC_LOST */
	char message[1024];
	json_t *data; /* owned, or NULL */
};

/* Takes fd. */
void rpc_open(struct rpc *r, int fd);
void rpc_close(struct rpc *r);

/* Takes params over (NULL: none). The result is the caller's; NULL: *failure tells. */
json_t *rpc_call(struct rpc *r, const char *method, json_t *params,
		 struct rpc_failure *failure) MUST_CHECK;
void rpc_failure_free(struct rpc_failure *f);

enum rpc_wait { RPC_NOTE, RPC_QUIET, RPC_ENDED };
/* The next notification's params in *note (owned); waits at most wait_ms, -1: for ever. */
enum rpc_wait rpc_next(struct rpc *r, int wait_ms, json_t **note) MUST_CHECK;

#endif
