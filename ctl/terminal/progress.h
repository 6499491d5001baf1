/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress: one line on a terminal while something takes longer than a second.
 *
 * It stands on standard error, where that is a terminal, and is gone when the answer comes. SIGALRM
 * draws it first, so that a call which blocks is told of, too.
 */
#ifndef POSTERN_CTL_TERMINAL_PROGRESS_H
#define POSTERN_CTL_TERMINAL_PROGRESS_H

/* What is being done from now on: a constant text. */
void progress_say(const char *text);
/* Before anything else is printed. Harmless when nothing was said. */
void progress_end(void);

#endif
