/* SPDX-License-Identifier: Apache-2.0 */
/* rows: the tables behind the rows that several schemas have. */
#include "core/conf/rows.h"

#include "core/log.h"
#include "core/ring.h"

const char *const conf_engine_words[] = {
	[RING_AUTO] = "auto", [RING_IO_URING] = "io_uring", [RING_EPOLL] = "epoll", NULL};

const char *const conf_level_words[] = {
	[LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARNING] = "warning", [LOG_LEVEL_NOTICE] = "notice",
	[LOG_LEVEL_INFO] = "info",   [LOG_LEVEL_DEBUG] = "debug",     NULL};

const struct conf_field conf_identity_fields[] = {
	{.key = "ca",
	 .type = CONF_TEXT,
	 .offset = offsetof(struct conf_identity, ca),
	 .required = true,
	 .check = conf_check_certificates,
	 .help = "the certificate of the CA that signs the others, in PEM"},
	{.key = "certificate",
	 .type = CONF_TEXT,
	 .offset = offsetof(struct conf_identity, certificate),
	 .required = true,
	 .check = conf_check_certificates,
	 .help = "the own certificate and its chain, in PEM"},
	{.key = "key",
	 .type = CONF_TEXT,
	 .offset = offsetof(struct conf_identity, key),
	 .required = true,
	 .secret = true,
	 .check = conf_check_private_key,
	 .help = "the private key of the own certificate, in PEM and not encrypted"},
	{.key = NULL},
};
