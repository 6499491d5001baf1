/* SPDX-License-Identifier: Apache-2.0 */
/* progress: one line on a terminal while something takes longer than a second. Apart, since its
 * signal handler may call nothing but write(2). */
#include "ctl/terminal/progress.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE_S 1

static const char *volatile doing; /* NULL: nothing */
static volatile sig_atomic_t shown;

/* Also from the signal's handler: only write(2). */
static void progress_put(const char *text)
{
	(void)!write(STDERR_FILENO, text, strlen(text));
}

static void progress_draw(const char *text)
{
	progress_put("\r\033[K");
	progress_put(text);
}

static void progress_alarmed(int number)
{
	const char *text = doing;

	if (!text)
		return;
	progress_draw(text);
	shown = 1;
}

void progress_say(const char *text)
{
	static const struct sigaction action = {.sa_handler = progress_alarmed,
						.sa_flags = SA_RESTART};
	static const struct itimerval once = {.it_value = {.tv_sec = PATIENCE_S}};
	bool first = !doing;

	if (!isatty(STDERR_FILENO))
		return;
	doing = text;
	if (shown)
		progress_draw(text);
	if (first && sigaction(SIGALRM, &action, NULL) == 0)
		(void)setitimer(ITIMER_REAL, &once, NULL);
}

void progress_end(void)
{
	static const struct itimerval never = {.it_value = {.tv_sec = 0}};

	if (!doing)
		return;
	(void)setitimer(ITIMER_REAL, &never, NULL);
	doing = NULL;
	if (shown)
		progress_put("\r\033[K");
	shown = 0;
}
