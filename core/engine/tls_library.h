/* SPDX-License-Identifier: Apache-2.0 */
/* tls_library: which TLS library the program was built with, and from which year that is. */
#ifndef POSTERN_ENGINE_TLS_LIBRARY_H
#define POSTERN_ENGINE_TLS_LIBRARY_H

#include <stdbool.h>

#include <jansson.h>

/* BORINGSSL_API_VERSION of the headers that the program was compiled with. */
unsigned tls_library_api(void);

/*
 * The year in which BoringSSL began to call itself that version; 0 when that was before the table.
 * Versions newer than the table are of its last year or later, and *later tells so.
 */
unsigned tls_library_year_of(unsigned api, bool *later);

/* "BoringSSL of 2022 (API version 17)" */
#define TLS_LIBRARY_TEXT_BYTES 64
void tls_library_text(char out[TLS_LIBRARY_TEXT_BYTES]);

/* For a status: adds "tls_library", that text, and "tls_library_year". */
void tls_library_json(json_t *status);

#endif
