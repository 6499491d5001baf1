/* SPDX-License-Identifier: Apache-2.0 */
/* pki: the commands that make keys and certificates, and show them. */
#ifndef POSTERN_CTL_PKI_PKI_H
#define POSTERN_CTL_PKI_PKI_H

#include <openssl/x509.h>

#include "core/engine/csr.h"
#include "core/engine/identity.h"
#include "ctl/pki/store.h"
#include "ctl/terminal/arguments.h"

extern const struct command pki_commands[];
/* running.c: of what runs. */
extern const struct command pki_relay_commands[], pki_agent_commands[];

/* renew.c */
extern const struct option_row pki_renew_options[];
enum status pki_renew_run(const struct arguments *a);
/* Signs what old is for anew, until --expires says, for key (NULL: old's): as PEM, owned. *record
 * gets what is to be recorded. NULL after telling why not. */
char *pki_renewed(const struct arguments *a, const struct pki_store *store, X509 *old,
		  EVP_PKEY *key, struct pki_record *record) MUST_CHECK;
/* How long its certificates live where nothing is said, as --expires takes it. */
const char *pki_life(enum identity_role role);
/* "relay", "agent" or "console". False: none of them. */
bool pki_role(const char *word, enum identity_role *out) MUST_CHECK;
/* When a certificate that is made now ends, by --expires or as usual for its role. False after
 * saying what is wrong. */
bool pki_until(const struct arguments *a, const struct pki_store *store, enum identity_role role,
	       time_t now, time_t *until) MUST_CHECK;
/* sign.c */
/* What --host says. False after saying what is wrong. */
bool pki_take_hosts(const struct arguments *a, struct csr_hosts *out) MUST_CHECK;
extern const struct option_row pki_sign_options[];
enum status pki_sign_run(const struct arguments *a);
/* revoke.c */
extern const struct option_row pki_revoke_options[];
enum status pki_revoke_run(const struct arguments *a);
/* show.c */
extern const struct option_row pki_show_options[];
enum status pki_show_run(const struct arguments *a);

#endif
