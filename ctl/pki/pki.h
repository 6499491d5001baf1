/* SPDX-License-Identifier: Apache-2.0 */
/* pki: the commands that make keys and certificates, and show them. */
#ifndef POSTERN_CTL_PKI_PKI_H
#define POSTERN_CTL_PKI_PKI_H

#include "ctl/terminal/arguments.h"

extern const struct command pki_commands[];

/* renew.c */
extern const struct option_row pki_renew_options[];
enum status pki_renew_run(const struct arguments *a);
/* show.c */
extern const struct option_row pki_show_options[];
enum status pki_show_run(const struct arguments *a);

#endif
