/* SPDX-License-Identifier: Apache-2.0 */
/*
 * natd_hook_test: a natd whose hook runs: it is told each address, and tried again when it fails.
 * The rest of natd: tests/sim/natd_test.c; this part forks.
 *
 * links: core/key_file.c core/memory.c
 * links: portmap/asking.c portmap/remember.c portmap/neighbour.c portmap/hops.c
 * links: portmap/natd.c portmap/natd_drivers.c portmap/control.c portmap/report.c portmap/outside.c
 * links: portmap/verify.c portmap/visits.c portmap/hook.c portmap/nonces.c portmap/network.c portmap/rtnetlink.c
 * links: portmap/sockdiag.c portmap/config.c portmap/config_load.c portmap/engine/[a-z]*.c
 * links: portmap/gateway/driver.c natpmp/[a-z]*.c natpmp/driver/[a-z]*.c upnp/[a-z]*.c
 * links: upnp/driver/[a-z]*.c stun/client/[a-z]*.c stun/[a-z]*.c core/[a-z]*.c core/conf/[a-z]*.c
 * links: core/engine/calls.c core/engine/records.c
 * links: core/parse/jsonrpc.c core/parse/text.c core/program/callers.c core/program/launcher.c
 * links: core/program/launcher_main.c core/program/resolve.c core/program/resolve_channel.c
 * links: core/program/resolve_cache.c tests/support/fake_kernel.c
 * links: tests/support/fake_gateway.c tests/support/fake_stun.c tests/support/natd_scene.c
 * links: tests/support/ring_fixture.c
 * links: core/parse/json_read.c
 */
#include "tests/support/natd_scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/fake_kernel.h"

static char dir[64], hook_path[96], hook_log[96];

static bool hook_said(const char *line)
{
	char text[512] = "";
	FILE *f = fopen(hook_log, "r");

	if (!f)
		return false;
	(void)!fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	return strstr(text, line) != NULL;
}

static void the_hook_is_told_each_address(void **state)
{
	char more[256];
	struct natd_scene *w;

	snprintf(more, sizeof(more), "hook: %s\n", hook_path);
	unlink(hook_log);
	w = natd_scene_begin(state, dir, SCENE_UDP, more);
	await_that(w, hook_said("45.0.0.10 -"));
	w->gateway.external[3] = 99;
	portmap_engine_renew(&w->natd.engine);
	await_that(w, hook_said("45.0.0.99 45.0.0.10"));
	assert_int_equal(w->natd.hook.runs, 2);
	await_that(w, !w->natd.hook.running);
	natd_scene_end(w);
}

/* One that fails is tried again later; of changes while it runs the last one counts. */
static void a_hook_that_fails_is_tried_again(void **state)
{
	static const char script[] = "#!/bin/sh\nexit 3\n", slow[] = "#!/bin/sh\nsleep 0.3\n"
								     "echo \"$@\" >>%s\n";
	char more[256], text[256];
	struct natd_scene *w;

	snprintf(more, sizeof(more), "hook: %s.fails\n", hook_path);
	snprintf(text, sizeof(text), "%s.fails", hook_path);
	fixture_write_file(text, script);
	assert_int_equal(chmod(text, 0700), 0);
	w = natd_scene_begin(state, dir, SCENE_UDP, more);
	await_that(w, w->natd.hook.failures == 1);
	assert_true(timer_pending(&w->natd.hook.retry));
	snprintf(more, sizeof(more), slow, hook_log);
	fixture_write_file(text, more);
	unlink(hook_log);
	hook_run(&w->natd.hook, "1.1.1.1", NULL);
	assert_true(w->natd.hook.running);
	assert_false(timer_pending(&w->natd.hook.retry));
	hook_run(&w->natd.hook, "2.2.2.2", "1.1.1.1");
	hook_run(&w->natd.hook, "3.3.3.3", "2.2.2.2");
	await_that(w, hook_said("3.3.3.3 2.2.2.2"));
	assert_true(hook_said("1.1.1.1 -"));
	assert_false(hook_said("2.2.2.2 1.1.1.1"));
	await_that(w, !w->natd.hook.running);
	assert_int_equal(w->natd.hook.failures, 0);
	hook_run(&w->natd.hook, "4.4.4.4", NULL); /* killed by the end */
	natd_scene_end(w);
	unlink(text);
}

/* Its name is not the configuration's, which is replaced. A file that names another one, or none,
 * changes nothing before the next start. */
static void the_hook_outlives_the_configuration(void **state)
{
	char more[256];
	struct natd_scene *w;
	struct natd_config next;

	snprintf(more, sizeof(more), "hook: %s\n", hook_path);
	unlink(hook_log);
	w = natd_scene_begin(state, dir, SCENE_UDP, more);
	await_that(w, hook_said("45.0.0.10 -"));
	for (int i = 0; i < 2; i++) {
		natd_scene_load(w, &next, SCENE_UDP, i ? "hook: /nonexistent\n" : more);
		natd_config_free(&next);
		natd_reload(&w->natd, &w->arguments, -1);
		assert_string_equal(w->natd.hook.program, hook_path);
		assert_ptr_not_equal(w->natd.hook.program, w->natd.config.hook);
	}
	w->gateway.external[3] = 98;
	portmap_engine_renew(&w->natd.engine);
	await_that(w, hook_said("45.0.0.98 45.0.0.10"));
	await_that(w, !w->natd.hook.running);
	/* What it is called is said when it fails, too. */
	assert_int_equal(chmod(hook_path, 0600), 0);
	hook_run(&w->natd.hook, "5.5.5.5", NULL);
	await_that(w, w->natd.hook.failures == 1);
	assert_int_equal(chmod(hook_path, 0700), 0);
	natd_scene_end(w);
}

/* ---- */

static int make_files(void **state)
{
	char script[256];

	snprintf(dir, sizeof(dir), "/tmp/postern-natd-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(hook_path, sizeof(hook_path), "%s/hook", dir);
	snprintf(hook_log, sizeof(hook_log), "%s/log", dir);
	snprintf(script, sizeof(script), "#!/bin/sh\necho \"$@\" >>%s\n", hook_log);
	fixture_write_file(hook_path, script);
	return chmod(hook_path, 0700);
}

static int remove_files(void **state)
{
	unlink(hook_path);
	unlink(hook_log);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(the_hook_is_told_each_address),
		RING_TEST(a_hook_that_fails_is_tried_again),
		RING_TEST(the_hook_outlives_the_configuration),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
