/* SPDX-License-Identifier: Apache-2.0 */
/*
 * configuring_test: file and consoles together, at the start and at SIGHUP; trials; what is kept.
 *
 * links: core/key_file.c core/memory.c
 * links: core/engine/configuring.c core/engine/changes.c core/conf/merge.c core/conf/conf.c
 * links: core/conf/bind.c core/conf/rows.c core/conf/diff.c core/conf/error.c core/conf/json.c
 * links: core/conf/value.c core/conf/yaml.c core/addr.c core/log*.c tests/support/small_program.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/conf/json.h"
#include "tests/support/small_program.h"

/* Starts with this file (taken over) and what is kept. */
static void start(struct small_program *p, json_t *file)
{
	struct conf_errors errors = {0};
	struct configuring_start s;
	struct conf_node *root;

	assert_true(configuring_begin(small_fields, file, p->kept, &s));
	root = conf_from_json(s.document, &errors);
	assert_true(conf_bind(root, small_fields, &p->settings, &errors));
	conf_node_free(root);
	assert_true(configuring_open(&p->configuring, &small_ops, small_fields, &s, true));
	configuring_start_free(&s);
	json_decref(file);
}

static bool small_bind(const struct conf_node *root, void *config, struct conf_errors *errors)
{
	return conf_bind(root, small_fields, config, errors);
}

/* As start(), and as programs do: where file and kept do not go together, with the file alone. */
static void start_bound(struct small_program *p, json_t *file)
{
	struct conf_errors errors = {0};
	struct configuring_start s;
	struct conf_node *root = conf_from_json(file, &errors);

	assert_true(configuring_begin_bound(small_fields, file, p->kept, small_bind, &p->settings,
					    "test", "the file", &s));
	if (!s.merged)
		assert_true(conf_bind(root, small_fields, &p->settings, &errors));
	conf_node_free(root);
	assert_true(configuring_open(&p->configuring, &small_ops, small_fields, &s, true));
	configuring_start_free(&s);
	json_decref(file);
}

static void stop(struct small_program *p)
{
	configuring_close(&p->configuring);
	conf_release(small_fields, &p->settings);
}

static json_t *file(int size, int speed)
{
	return json_pack("{s:i, s:i}", "size", size, "speed", speed);
}

/* A console changes one key. */
static bool change(struct small_program *p, const char *key, int value, uint64_t confirm_ms)
{
	json_t *document = json_deep_copy(changes_document(p->configuring.changes));
	struct config_change c = {document, "console:test", "", confirm_ms, false};
	char why[CONFIGURING_WHY_BYTES];
	struct conf_errors errors = {0};
	bool ok;

	json_object_set_new(document, key, json_integer(value));
	ok = configuring_apply(&p->configuring,
			       small_ops.propose(&p->configuring, document, &errors, why), &c, why);
	json_decref(document);
	return ok;
}

#define assert_settings(p, size_, speed_)                                                          \
	do {                                                                                       \
		assert_int_equal((p)->settings.size, size_);                                       \
		assert_int_equal((p)->settings.speed, speed_);                                     \
	} while (0)

/* ---- tests ---- */

static void changes_of_consoles_survive_a_restart(void **state)
{
	struct small_program p = {.keep_error = 0};

	start(&p, file(1, 1));
	assert_true(change(&p, "size", 5, 0));
	stop(&p);
	start(&p, file(1, 1));
	assert_settings(&p, 5, 1);
	stop(&p);
	json_decref(p.kept);
}

static void an_edited_file_and_consoles_meet_at_the_start(void **state)
{
	struct small_program p = {.keep_error = 0};

	start(&p, file(1, 1));
	assert_true(change(&p, "size", 5, 0));
	stop(&p);
	start(&p, file(1, 7)); /* the operator edited something else */
	assert_settings(&p, 5, 7);
	assert_int_equal(p.overruled, 0);
	stop(&p);
	start(&p, file(3, 7)); /* and now the same thing */
	assert_settings(&p, 3, 7);
	assert_int_equal(p.overruled, 1);
	stop(&p);
	start(&p, file(3, 7)); /* which is told once */
	assert_settings(&p, 3, 7);
	assert_int_equal(p.overruled, 1);
	stop(&p);
	json_decref(p.kept);
}

/* What is kept is not the program's own work: a relay that was taken over can write it. */
static void what_is_kept_cannot_change_a_key_of_the_host(void **state)
{
	struct small_program p = {.keep_error = 0};
	json_t *on_disk = json_pack("{s:i, s:{s:s}}", "size", 1, "host", "socket", "/run/one");
	json_t *forged;

	p.kept = json_pack("{s:O, s:{s:i, s:{s:s, s:i}}}", "file", on_disk, "config", "size", 5,
			   "host", "socket", "/etc/passwd", "speed", 3);
	start_bound(&p, json_incref(on_disk));
	assert_settings(&p, 5, 1);
	assert_int_equal(p.settings.host.speed, 3);
	assert_string_equal(p.settings.host.socket, "/run/one");
	assert_int_equal(p.overruled, 1);
	stop(&p);
	/* Nor by what it says of the file. */
	forged = json_deep_copy(on_disk);
	json_object_del(forged, "host");
	json_decref(p.kept);
	p.kept = json_pack("{s:O, s:o}", "file", forged, "config", forged);
	start_bound(&p, json_incref(on_disk));
	assert_string_equal(p.settings.host.socket, "/run/one");
	stop(&p);
	json_decref(p.kept);
	json_decref(on_disk);
}

static void sighup_follows_the_same_rule(void **state)
{
	struct small_program p = {.keep_error = 0};

	start(&p, file(1, 1));
	assert_true(change(&p, "size", 5, 0));
	configuring_reread(&p.configuring, file(1, 7));
	assert_settings(&p, 5, 7);
	configuring_reread(&p.configuring, file(3, 7));
	assert_settings(&p, 3, 7);
	assert_int_equal(p.overruled, 1);
	configuring_reread(&p.configuring, NULL); /* unreadable: as before */
	assert_settings(&p, 3, 7);
	stop(&p);
	start(&p, file(3, 7));
	assert_settings(&p, 3, 7);
	stop(&p);
	json_decref(p.kept);
}

static void a_file_that_cannot_be_put_in_force_changes_nothing(void **state)
{
	struct small_program p = {.keep_error = 0};
	json_t *taken = file(2, 2);

	start(&p, file(1, 1));
	assert_true(change(&p, "size", 5, 0));
	json_object_set_new(taken, "taken", json_integer(1));
	configuring_reread(&p.configuring, taken);
	assert_settings(&p, 5, 1);
	assert_int_equal(changes_revision(p.configuring.changes), 2);
	configuring_reread(&p.configuring, file(11, 2)); /* beyond its bound */
	assert_settings(&p, 5, 1);
	/* It was not taken for read: what the file changed since 1, 1 still counts as changed. */
	configuring_reread(&p.configuring, file(2, 2));
	assert_settings(&p, 2, 2);
	assert_int_equal(p.overruled, 1);
	stop(&p);
	json_decref(p.kept);
}

static void a_file_read_without_news_is_kept_all_the_same(void **state)
{
	struct small_program p = {.keep_error = 0};

	start(&p, file(1, 1));
	assert_true(change(&p, "size", 5, 0));
	configuring_reread(&p.configuring, file(5, 1)); /* what the console wrote, made permanent */
	assert_settings(&p, 5, 1);
	stop(&p);
	start(&p, file(6, 1)); /* an edit of that file, not of the first */
	assert_settings(&p, 6, 1);
	assert_int_equal(p.overruled, 0);
	stop(&p);
	json_decref(p.kept);
}

static void a_trial_is_not_kept(void **state)
{
	struct small_program p = {.keep_error = 0};

	start(&p, file(1, 1));
	assert_true(change(&p, "size", 5, 2000));
	assert_int_equal(p.trial_ms, 2000);
	assert_false(configuring_may_reread(&p.configuring));
	stop(&p);
	start(&p, file(1, 1)); /* ended by a crash */
	assert_settings(&p, 1, 1);
	p.trial_ms = 0;
	assert_true(change(&p, "size", 5, 2000));
	assert_true(configuring_confirm(&p.configuring, "console:test"));
	assert_int_equal(p.trial_ms, 0);
	assert_false(configuring_confirm(&p.configuring, "console:test"));
	stop(&p);
	start(&p, file(1, 1));
	assert_settings(&p, 5, 1);
	stop(&p);
	json_decref(p.kept);
}

static void a_trial_that_runs_out_goes_back_or_tries_again(void **state)
{
	struct small_program p = {.keep_error = 0};

	start(&p, file(1, 1));
	assert_true(change(&p, "size", 5, 2000));
	configuring_trial_over(&p.configuring);
	assert_settings(&p, 1, 1);
	assert_int_equal(p.trial_ms, 0);
	stop(&p);
	json_decref(p.kept);
}

static void what_is_kept_and_no_document_does_not_count(void **state)
{
	static const char *const texts[] = {"{}", "{\"file\": {}}", "{\"config\": {\"size\": 9}}",
					    "{\"file\": 1, \"config\": 2}", "[]"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct small_program p = {.kept = json_loads(texts[i], 0, NULL)};

		start(&p, file(2, 1));
		assert_settings(&p, 2, 1);
		stop(&p);
		json_decref(p.kept);
	}
}

/* It may hold revocations: neither the file, read again, nor a trial that ends overwrites it. */
static void what_is_kept_and_cannot_be_used_is_spared(void **state)
{
	struct small_program p = {.kept = json_null()};

	start_bound(&p, file(2, 1));
	assert_settings(&p, 2, 1);
	assert_int_equal(p.unsaved, 1);
	configuring_reread(&p.configuring, file(2, 1));
	configuring_reread(&p.configuring, file(2, 3));
	assert_settings(&p, 2, 3);
	assert_true(change(&p, "size", 5, 2000));
	configuring_trial_over(&p.configuring);
	assert_settings(&p, 2, 3);
	assert_true(json_is_null(p.kept));
	assert_true(change(&p, "size", 5, 2000));
	assert_true(configuring_confirm(&p.configuring, "console:test"));
	assert_true(json_is_object(p.kept));
	configuring_reread(&p.configuring, file(2, 4)); /* kept from now on, as ever */
	stop(&p);
	start_bound(&p, file(2, 4));
	assert_settings(&p, 5, 4);
	assert_int_equal(p.unsaved, 1);
	stop(&p);
	json_decref(p.kept);
}

static void what_is_kept_is_read_as_a_file_would_be(void **state)
{
	struct small_program p = {.keep_error = 0};
	const json_t *in_force;

	start_bound(&p, file(1, 1));
	stop(&p);
	json_object_set_new(json_object_get(p.kept, "config"), "name", json_integer(17));
	start_bound(&p, file(1, 1));
	in_force = changes_document(p.configuring.changes);
	assert_string_equal(json_string_value(json_object_get(in_force, "name")), "17");
	stop(&p);
	json_decref(p.kept);
}

static void a_mended_file_brings_back_what_consoles_changed(void **state)
{
	struct small_program p = {.keep_error = 0};
	json_t *before;

	start_bound(&p, file(1, 1));
	assert_true(change(&p, "size", 5, 0));
	stop(&p);
	before = json_deep_copy(p.kept);
	json_object_set_new(json_object_get(p.kept, "config"), "taken", json_integer(7));
	start_bound(&p, file(1, 2)); /* together they pass no check: the file alone */
	assert_settings(&p, 1, 2);
	assert_int_equal(p.unsaved, 1);
	stop(&p);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(p.kept, "config"), "taken")), 7);
	json_decref(p.kept);
	p.kept = before;
	start_bound(&p, file(1, 2));
	assert_settings(&p, 5, 2);
	stop(&p);
	/* What a console changes meanwhile takes its place. */
	json_object_set_new(json_object_get(p.kept, "config"), "taken", json_integer(7));
	start_bound(&p, file(1, 2));
	assert_true(change(&p, "speed", 4, 0));
	stop(&p);
	start_bound(&p, file(1, 2));
	assert_settings(&p, 1, 4);
	stop(&p);
	json_decref(p.kept);
}

static void what_could_not_be_kept_is_told_and_tried_again(void **state)
{
	struct small_program p = {.keep_error = 0};

	start(&p, file(1, 1));
	p.keep_error = -ENOSPC;
	assert_true(change(&p, "size", 5, 0));
	assert_int_equal(p.unsaved, 1);
	assert_string_equal(configuring_unsaved(&p.configuring), strerror(ENOSPC));
	assert_settings(&p, 5, 1);
	p.keep_error = 0;
	configuring_reread(&p.configuring, file(1, 1)); /* nothing new, but now it is kept */
	assert_null(configuring_unsaved(&p.configuring));
	/* Or by being asked to; a trial is not kept before its time. */
	p.keep_error = -ENOSPC;
	assert_true(change(&p, "size", 6, 0));
	configuring_keep_again(&p.configuring);
	assert_non_null(configuring_unsaved(&p.configuring));
	p.keep_error = 0;
	configuring_keep_again(&p.configuring);
	assert_null(configuring_unsaved(&p.configuring));
	assert_true(change(&p, "size", 5, 0));
	stop(&p);
	start(&p, file(1, 1));
	assert_settings(&p, 5, 1);
	stop(&p);
	json_decref(p.kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_of_consoles_survive_a_restart),
		cmocka_unit_test(an_edited_file_and_consoles_meet_at_the_start),
		cmocka_unit_test(what_is_kept_cannot_change_a_key_of_the_host),
		cmocka_unit_test(sighup_follows_the_same_rule),
		cmocka_unit_test(a_file_that_cannot_be_put_in_force_changes_nothing),
		cmocka_unit_test(a_file_read_without_news_is_kept_all_the_same),
		cmocka_unit_test(a_trial_is_not_kept),
		cmocka_unit_test(a_trial_that_runs_out_goes_back_or_tries_again),
		cmocka_unit_test(what_is_kept_and_no_document_does_not_count),
		cmocka_unit_test(what_is_kept_and_cannot_be_used_is_spared),
		cmocka_unit_test(what_is_kept_is_read_as_a_file_would_be),
		cmocka_unit_test(a_mended_file_brings_back_what_consoles_changed),
		cmocka_unit_test(what_could_not_be_kept_is_told_and_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
