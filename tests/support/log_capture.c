/* SPDX-License-Identifier: Apache-2.0 */
/* log_capture: a file in the place of standard error. */
#include "tests/support/log_capture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"

static FILE *captured;
static int real_stderr;

void log_capture_begin(void)
{
	captured = tmpfile();
	assert_non_null(captured);
	log_open("test", LOG_LEVEL_NOTICE);
	real_stderr = dup(STDERR_FILENO);
	dup2(fileno(captured), STDERR_FILENO);
}

char *log_capture_end(void)
{
	long size;
	char *lines;

	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	assert_int_equal(fseek(captured, 0, SEEK_END), 0);
	size = ftell(captured);
	rewind(captured);
	lines = calloc(1, (size_t)size + 1);
	assert_non_null(lines);
	assert_int_equal(fread(lines, 1, (size_t)size, captured), size);
	fclose(captured);
	return lines;
}

unsigned log_capture_count(const char *lines, const char *words)
{
	unsigned n = 0;

	for (const char *at = lines; (at = strstr(at, words)); at += strlen(words))
		n++;
	return n;
}

void log_capture_assert(char *lines, const char *words, unsigned times)
{
	unsigned n = log_capture_count(lines, words);

	if (n != times)
		fail_msg("\"%s\" is %u times in the log, not %u:\n%s", words, n, times, lines);
	free(lines);
}
