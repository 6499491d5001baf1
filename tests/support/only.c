/* SPDX-License-Identifier: Apache-2.0 */
/*
 * only: POSTERN_TEST=NAME in the environment of a test program runs this one of its tests; also a
 * pattern, such as 'test_revoke*'. A file of its own since it is linked to each of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

__attribute__((constructor)) static void only_one(void)
{
	const char *name = getenv("POSTERN_TEST");

	if (name)
		cmocka_set_test_filter(name);
}
