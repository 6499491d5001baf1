/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_scene: the operator's commands with a script of answers at the end of each tunnel: two
 * relays and an agent. A test says first what they will answer, then runs a command, and looks at
 * what was asked and printed.
 */
#ifndef POSTERN_TESTS_COMMAND_SCENE_H
#define POSTERN_TESTS_COMMAND_SCENE_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "tests/support/command_line.h"

enum { FIRST, SECOND, AGENT, PLACES };

struct place {
	char said[16384]; /* the answers, in order, without a look at the calls */
	int answers;
	const char *refuses; /* why it lets no one in, or NULL */
	const char *end;     /* why the tunnel ended, or NULL */
	unsigned opened, closed;
	uint8_t flags;
	char agent[64], service[64];
	int far;
	json_t *asked; /* all lines so far */
};

extern struct place places[PLACES];
extern struct command_line ran;

/* Of a group of tests: in a directory of its own, with a console's file that knows two relays.
 * command_line_leave() ends it. */
int scene_enter(void **state);
/* Of each test. */
int scene_begin(void **state);
int scene_end(void **state);
#define SCENE_TEST(f) cmocka_unit_test_setup_teardown(f, scene_begin, scene_end)

/* What the next call gets. */
void scene_answers(size_t place, const char *result);
void scene_refuses(size_t place, int code, const char *message, const char *data);
/* What a relay is asked before a revocation: its configuration, its agents, and what is signed. */
void scene_answers_looks(size_t place, const char *config, const char *agents);
#define PHONE_IS_THERE "{\"agents\": [{\"agent\": \"phone\"}]}"
/* A message that no call has asked for. */
void scene_tells(size_t place, const char *params);
/* All of it, and all that was asked. */
void scene_forget(void);
void scene_write(const char *name, const char *text);

/* Fails unless the command ends so. */
void scene_run(const char *line, enum status status);
void assert_says(const char *all, const char *part);
void assert_silent_on(const char *all, const char *part);
/* The nth call that a place got: its method, and its params exactly (NULL: none). */
void assert_asked(size_t place, size_t nth, const char *method, const char *params);
void assert_count(size_t place, size_t calls);

#endif
