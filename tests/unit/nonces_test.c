/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nonces_test: what nonces are made of: the key that is kept, the machine, and the mapping.
 * links: portmap/nonces.c portmap/gateway/driver.c core/addr.c core/file.c core/key_file.c
 * links: core/log*.c portmap/engine/mapping.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "portmap/nonces.h"

static char root[32];

static void write_text(const char *path, const char *text)
{
	char whole[256];
	FILE *f;

	snprintf(whole, sizeof(whole), "%s%s", root, path);
	for (char *slash = strchr(whole + strlen(root) + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		assert_true(mkdir(whole, 0700) == 0 || errno == EEXIST);
		*slash = '/';
	}
	f = fopen(whole, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* An interface, as sysfs tells of it. */
static void put_interface(const char *name, const char *address, const char *assigned, bool card)
{
	char path[128], line[64];

	snprintf(path, sizeof(path), "/sys/class/net/%s/address", name);
	snprintf(line, sizeof(line), "%s\n", address);
	write_text(path, line);
	snprintf(path, sizeof(path), "/sys/class/net/%s/addr_assign_type", name);
	snprintf(line, sizeof(line), "%s\n", assigned);
	write_text(path, line);
	snprintf(path, sizeof(path), "/sys/class/net/%s/device/uevent", name);
	if (card)
		write_text(path, "DRIVER=virtio_net\n");
}

static const char *machine(void)
{
	static char text[NONCES_MACHINE_BYTES];

	assert_true(nonces_machine(root, text));
	return text;
}

/* ---- the machine ---- */

static void test_a_machine_is_known_by_its_id_and_its_card(void **state)
{
	char text[NONCES_MACHINE_BYTES];

	assert_false(nonces_machine(root, text));
	write_text("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
	assert_string_equal(machine(), "0123456789abcdef0123456789abcdef ");
	put_interface("br0", "02:00:00:00:00:01", "0", false);
	put_interface("wlan0", "02:00:00:00:00:02", "3", true); /* drawn for this network */
	put_interface("eth1", "52:54:00:00:00:09", "0", true);
	put_interface("eth0", "52:54:00:00:00:0a", "0", true);
	put_interface("eth2", "52:54:00:00:00:0b", "0", true);
	put_interface("usb0", "00:00:00:00:00:00", "0", true);
	write_text(
		"/proc/net/dev",
		"Inter-|   Receive\n face |bytes\n    lo: 1 2 3\n  eth0: 4 5\n  eth1:6\n  eth2: 7\n"
		"   br0: 7\n wlan0: 8\n  usb0: 9\n../../x: 1\n: 2\nnameless\n");
	assert_string_equal(machine(), "0123456789abcdef0123456789abcdef 52:54:00:00:00:09");
	write_text("/etc/machine-id", "");
	assert_string_equal(machine(), " 52:54:00:00:00:09");
}

/* ---- keys ---- */

static void nonce_of(const struct nonces *n, uint16_t port, uint8_t out[PORTMAP_NONCE_BYTES])
{
	struct portmap_want want = {.transport = PORTMAP_TCP, .internal = port};

	nonces_fill(n, &want);
	memcpy(out, want.nonce, PORTMAP_NONCE_BYTES);
}

static void expect_same(const struct nonces *a, const struct nonces *b, bool same)
{
	uint8_t x[PORTMAP_NONCE_BYTES], y[PORTMAP_NONCE_BYTES];

	nonce_of(a, 443, x);
	nonce_of(b, 443, y);
	assert_int_equal(memcmp(x, y, sizeof(x)) == 0, same);
	nonce_of(a, 444, y);
	assert_int_not_equal(memcmp(x, y, sizeof(x)), 0);
}

/* The disk of one machine in another one: the same file, and other nonces. */
static void test_a_copy_in_another_machine_has_others(void **state)
{
	struct nonces first, again, copy, other;

	memset(&first, 7, sizeof(first));
	again = copy = first;
	memset(&other, 8, sizeof(other));
	nonces_bind(&first, "id 52:54:00:00:00:09");
	nonces_bind(&again, "id 52:54:00:00:00:09");
	nonces_bind(&copy, "id 52:54:00:00:00:0a");
	nonces_bind(&other, "id 52:54:00:00:00:09");
	expect_same(&first, &again, true);
	expect_same(&first, &copy, false);
	expect_same(&first, &other, false); /* the key counts as well */
	/* So has the text that routers show. */
	assert_int_equal(strspn(first.tag, "0123456789abcdef"), 6);
	assert_string_equal(first.tag, again.tag);
	assert_string_not_equal(first.tag, copy.tag);
	assert_string_not_equal(first.tag, other.tag);
}

static void test_the_text_that_routers_show(void **state)
{
	struct portmap_want want = {.transport = PORTMAP_TCP, .internal = 65535};
	char text[PORTMAP_DESCRIPTION_BYTES];
	struct nonces n;

	memset(&n, 7, sizeof(n));
	nonces_bind(&n, "id 52:54:00:00:00:09");
	nonces_fill(&n, &want);
	assert_string_equal(want.tag, n.tag);
	mapping_description(want.tag, want.transport, want.internal, text);
	assert_int_equal(strlen(text), 24);
	assert_memory_equal(text, "Postern ", 8);
	assert_memory_equal(text + 8, n.tag, 6);
	assert_string_equal(text + 14, " tcp 65535");
	mapping_description("", PORTMAP_UDP, 443, text);
	assert_string_equal(text, "Postern udp 443");
}

static void test_the_key_is_kept_and_bound(void **state)
{
	char why[256] = "", path[64], here[NONCES_MACHINE_BYTES];
	struct nonces first, again, kept, without;
	uint8_t file[NONCES_KEY_BYTES + 1];
	FILE *f;

	assert_int_equal(chmod(root, 0700), 0);
	assert_true(nonces_open(&first, root, why, sizeof(why)));
	assert_true(nonces_open(&again, root, why, sizeof(why)));
	assert_true(nonces_open(&without, NULL, why, sizeof(why)));
	expect_same(&first, &again, true);
	expect_same(&first, &without, false);
	snprintf(path, sizeof(path), "%s/natd.key", root);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fread(file, 1, sizeof(file), f), NONCES_KEY_BYTES);
	fclose(f);
	/* What lies in the file is not what is used: it takes the machine as well. */
	memcpy(kept.key, file, sizeof(kept.key));
	expect_same(&first, &kept, false);
	(void)!nonces_machine("", here);
	nonces_bind(&kept, here);
	expect_same(&first, &kept, true);
	unlink(path);
}

static int make_root(void **state)
{
	snprintf(root, sizeof(root), "/tmp/postern-nonces-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_machine_is_known_by_its_id_and_its_card),
		cmocka_unit_test(test_the_text_that_routers_show),
		cmocka_unit_test(test_a_copy_in_another_machine_has_others),
		cmocka_unit_test(test_the_key_is_kept_and_bound),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
