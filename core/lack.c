/* SPDX-License-Identifier: Apache-2.0 */
/* lack: what this host or process itself has run out of, in words. */
#include "core/lack.h"

#include <errno.h>
#include <stddef.h>

const char *lack_text(int error)
{
	switch (error) {
	case EMFILE:
		return "this process has no descriptor left (Too many open files); raise "
		       "LimitNOFILE";
	case ENFILE:
		return "this host has no descriptor left (Too many open files in system); raise "
		       "fs.file-max";
	case ENOMEM:
	case ENOBUFS:
		return "this host has no memory left for another socket";
	default:
		return NULL;
	}
}
