/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top: 'relay top', a live view of rates on the whole screen.
 *
 * The terminal is put into its alternate screen and taken out of line mode; each way to end the
 * command, a key, a signal or the relay, puts it back first.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "ctl/see/see.h"
#include "ctl/talk/connection.h"
#include "ctl/see/rates.h"
#include "ctl/terminal/show.h"
#include "ctl/see/top_draw.h"

#define LOOK_MS 1000

const struct option_row relay_top_options[] = {
	{"--once", NULL, false, "look for a second, print that and end; so too without a terminal"},
	{"--json", NULL, false, "the same as JSON"},
	{NULL, NULL, false, NULL},
};

static volatile sig_atomic_t ended, resized;

struct top {
	struct connection connection;
	json_t *status;
	struct rates rates;
	enum rates_order order;
	struct termios before;
};

/* False: *f tells. */
static bool top_look(struct top *t, struct rpc_failure *f)
{
	json_t *status = connection_try(&t->connection, "status", NULL, f);
	json_t *sessions = status ? connection_try(&t->connection, "sessions", NULL, f) : NULL;
	bool ok = sessions && rates_look(&t->rates, status, json_object_get(sessions, "sessions"),
					 clock_ms(CLOCK_MONOTONIC));

	if (sessions && !ok)
		snprintf(f->message, sizeof(f->message), "out of memory");
	json_decref(sessions);
	if (!ok) {
		json_decref(status);
		return false;
	}
	json_decref(t->status);
	t->status = status;
	rates_sort(&t->rates, t->order);
	return true;
}

/* ---- once ---- */

static bool run_once(const struct arguments *a, struct top *t, struct rpc_failure *f)
{
	const struct timespec second = {LOOK_MS / 1000, 0};
	struct top_screen screen = {.to = stdout};
	json_t *json;

	if (!top_look(t, f))
		return false;
	nanosleep(&second, NULL);
	if (!top_look(t, f))
		return false;
	if (!arguments_flag(a, "--json")) {
		top_draw(&screen, t->connection.label, t->status, &t->rates, t->order);
		return true;
	}
	json = rates_json(&t->rates);
	json_object_set(json, "status", t->status);
	show_json(stdout, json);
	json_decref(json);
	return true;
}

/* ---- live ---- */

static void top_take_signal(int number)
{
	if (number == SIGWINCH)
		resized = 1;
	else
		ended = 1;
}

static void top_watch_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH};
	const struct sigaction action = {.sa_handler = top_take_signal};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], &action, NULL);
}

static void top_say(const char *sequence)
{
	fputs(sequence, stdout);
	fflush(stdout);
}

static bool enter_screen(struct top *t)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &t->before) < 0)
		return false;
	raw = t->before;
	/* Keys come one by one; the terminal's own signals stay, but none that would stop us in the
	 * middle of a screen. */
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	raw.c_cc[VSUSP] = _POSIX_VDISABLE;
	top_watch_signals();
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0)
		return false;
	top_say("\033[?1049h\033[?25l\033[?7l"); /* other screen, no cursor, no wrapping */
	return true;
}

static void leave_screen(struct top *t)
{
	top_say("\033[?7h\033[?25h\033[?1049l");
	tcsetattr(STDIN_FILENO, TCSANOW, &t->before);
}

static void top_draw_screen(struct top *t)
{
	struct winsize size = {0};
	struct top_screen screen = {.to = stdout, .rows = 24, .columns = 80};

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) {
		screen.rows = size.ws_row;
		screen.columns = size.ws_col;
	}
	screen.colour = show_style(stdout, SHOW_BOLD)[0] != '\0';
	fputs("\033[H", stdout);
	top_draw(&screen, t->connection.label, t->status, &t->rates, t->order);
	fflush(stdout);
}

/* Whether it changes anything on the screen. */
static bool take_key(struct top *t, char key)
{
	switch (key) {
	case 'q':
	case 'Q':
	case 4: /* end of file */
		ended = 1;
		return false;
	case 'b':
		t->order = RATES_BY_BYTES;
		return true;
	case 'r':
		t->order = RATES_BY_RATE;
		return true;
	case 'a':
		t->order = RATES_BY_AGENT;
		return true;
	default:
		return false;
	}
}

/* Until due_ms; draws again for keys and a new size. */
static void top_wait_until(struct top *t, uint64_t due_ms)
{
	for (uint64_t now = clock_ms(CLOCK_MONOTONIC); !ended && now < due_ms;
	     now = clock_ms(CLOCK_MONOTONIC)) {
		struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
		bool again = resized != 0;
		char keys[32];
		ssize_t n = 0;

		resized = 0;
		if (!again && poll(&p, 1, (int)(due_ms - now)) > 0) {
			n = read(STDIN_FILENO, keys, sizeof(keys));
			if (n <= 0 && !(n < 0 && (errno == EINTR || errno == EAGAIN)))
				ended = 1; /* the terminal is gone */
		}
		for (ssize_t i = 0; i < n; i++)
			again = take_key(t, keys[i]) || again;
		if (again) {
			rates_sort(&t->rates, t->order);
			top_draw_screen(t);
		}
	}
}

static bool run_live(struct top *t, struct rpc_failure *f)
{
	bool ok;

	if (!top_look(t, f))
		return false;
	if (!enter_screen(t)) {
		snprintf(f->message, sizeof(f->message), "this terminal cannot be used: %s",
			 strerror(errno));
		return false;
	}
	do {
		top_draw_screen(t);
		top_wait_until(t, clock_ms(CLOCK_MONOTONIC) + LOOK_MS);
		ok = ended || top_look(t, f);
	} while (ok && !ended);
	leave_screen(t);
	return ok;
}

enum status relay_top_run(const struct arguments *a)
{
	bool once = arguments_flag(a, "--once") || arguments_flag(a, "--json") ||
		    !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO);
	struct top t = {.order = RATES_BY_RATE};
	struct rpc_failure failure = {.data = NULL};
	bool ok;

	if (!connection_open_relay(a, &t.connection))
		return STATUS_FAILED;
	ok = once ? run_once(a, &t, &failure) : run_live(&t, &failure);
	if (!ok)
		complain("%s", failure.message);
	rpc_failure_free(&failure);
	json_decref(t.status);
	rates_free(&t.rates);
	connection_close(&t.connection);
	return ok ? STATUS_OK : STATUS_FAILED;
}
