/* SPDX-License-Identifier: Apache-2.0 */
/* page: titles and rows. */
#include "ctl/terminal/page.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define GAP	     2u
#define INDENT	     (GAP + PAGE_KEY_WIDTH + GAP)
#define NARROW	     20u /* what says to be narrower tells nonsense */
#define WORD_BYTES   256u
#define WIDTH_IF_NOT 80u

struct page page_of_terminal(void)
{
	struct page p = {.to = stdout};
	struct winsize size = {0};

	if (!isatty(STDOUT_FILENO))
		return p;
	p.columns = WIDTH_IF_NOT;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > NARROW)
		p.columns = size.ws_col;
	return p;
}

void page_spaces(const struct page *p, size_t count)
{
	fprintf(p->to, "%*s", (int)count, "");
}

/* Words behind what stands in the line up to column at; further lines begin at column indent. */
static void put_words(const struct page *p, size_t at, size_t indent, const char *words)
{
	bool first = true;

	while (*words) {
		size_t len = strcspn(words, " "), width;
		char word[WORD_BYTES];

		snprintf(word, sizeof(word), "%.*s", (int)len, words);
		width = show_width(word);
		if (p->columns > 0 && at > indent && at + !first + width > p->columns) {
			fputc('\n', p->to);
			page_spaces(p, indent);
			at = indent;
		} else if (!first) {
			fputc(' ', p->to);
			at++;
		}
		fputs(word, p->to);
		at += width;
		first = false;
		words += len;
		words += strspn(words, " ");
	}
	fputc('\n', p->to);
}

/* Returns the column behind it. */
static size_t put_key(const struct page *p, const char *key)
{
	size_t width = show_width(key);
	size_t gap = width < PAGE_KEY_WIDTH ? PAGE_KEY_WIDTH - width + GAP : GAP;

	page_spaces(p, GAP);
	fputs(key, p->to);
	page_spaces(p, gap);
	return GAP + width + gap;
}

void page_title(const struct page *p, const char *title)
{
	fprintf(p->to, "%s%s%s\n", show_style(p->to, SHOW_BOLD), title,
		show_style(p->to, SHOW_PLAIN));
}

void page_row(const struct page *p, const char *key, const char *words)
{
	put_words(p, put_key(p, key), INDENT, words);
}

void page_marked_row(const struct page *p, const char *key, enum show_style style, const char *mark,
		     const char *words)
{
	size_t at = put_key(p, key);

	fprintf(p->to, "%s%s%s", show_style(p->to, style), mark, show_style(p->to, SHOW_PLAIN));
	at += show_width(mark);
	if (words[0]) {
		fputc(' ', p->to);
		at++;
	}
	put_words(p, at, INDENT, words);
}

void page_words(const struct page *p, size_t indent, const char *words)
{
	page_spaces(p, indent);
	put_words(p, indent, indent, words);
}
