/* SPDX-License-Identifier: Apache-2.0 */
/*
 * page: titles, and rows of a key and words below them, broken at the terminal's width.
 *
 * Texts are printable already (show_value()).
 */
#ifndef POSTERN_CTL_TERMINAL_PAGE_H
#define POSTERN_CTL_TERMINAL_PAGE_H

#include <stdio.h>

#include "ctl/terminal/show.h"

#define PAGE_KEY_WIDTH 11u

struct page {
	FILE *to;
	unsigned columns; /* 0: as wide as it gets */
};

/* Standard output: as wide as the terminal, or without a width where it is none. */
struct page page_of_terminal(void);

void page_title(const struct page *p, const char *title);
/* "  key          words" */
void page_row(const struct page *p, const char *key, const char *words);
/* The same, with a mark in its style before the words. */
void page_marked_row(const struct page *p, const char *key, enum show_style style, const char *mark,
		     const char *words);
/* Words, indented by so much. */
void page_words(const struct page *p, size_t indent, const char *words);
void page_spaces(const struct page *p, size_t count);

#endif
