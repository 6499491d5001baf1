/* SPDX-License-Identifier: Apache-2.0 */
/* standard: opens what stands in for standard streams that are closed. */
#include "core/standard.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* What a program prints and cannot deliver must stay an error: hence output that can only be read.
 * Where there is no null device (a bare chroot), a directory holds the place and refuses both. */
static int stand_in(int stream)
{
	int fd = open("/dev/null", stream == STDERR_FILENO ? O_WRONLY : O_RDONLY);

	return fd >= 0 ? fd : open("/", O_PATH | O_DIRECTORY);
}

/* open(2) gives the lowest number that is free, so that streams are filled in their order. */
void standard_open(void)
{
	for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++) {
		if (fcntl(stream, F_GETFD) < 0 && stand_in(stream) != stream)
			_exit(EXIT_FAILURE);
	}
}
