/* SPDX-License-Identifier: Apache-2.0 */
/* pipes: pipes and splice(2), eventfd(2), signalfd(2). Results or -errno. */
#ifndef POSTERN_TESTS_WORLD_PIPES_H
#define POSTERN_TESTS_WORLD_PIPES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

int k_pipe(int out[2], bool nonblock);
int k_pipe_room(int fd, size_t bytes);
ssize_t k_splice(int from, int to, size_t len);
extern uint64_t k_spliced; /* bytes that came out of pipes into sockets, since the world began */
int k_eventfd(uint64_t count, bool nonblock);
int k_signalfd(void);

#endif
