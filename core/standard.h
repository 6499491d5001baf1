/* SPDX-License-Identifier: Apache-2.0 */
/*
 * standard: descriptors 0 to 2 are open before anything else is.
 *
 * Who starts a program may have closed them ("<&-", some daemons and containers). The next files
 * that it opens would then be its standard streams: log lines would go into a session, a helper
 * would keep the program's end of their socket pair, and input would be read from an event's
 * descriptor.
 */
#ifndef POSTERN_CORE_STANDARD_H
#define POSTERN_CORE_STANDARD_H

/* The first thing that main() does. Those that are closed become: input, at its end; output, a
 * descriptor that refuses what is written to it, as one that is closed does; errors, the null
 * device. Where even that cannot be, the process ends with status 1. */
void standard_open(void);

#endif
