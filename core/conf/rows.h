/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows: the rows of a schema that several programs have, each told once, and checks for others.
 *
 * A macro is one row of a table of conf_field, for the member at that offset.
 */
#ifndef POSTERN_CORE_CONF_ROWS_H
#define POSTERN_CORE_CONF_ROWS_H

#include "core/conf/conf.h"

/* identity: {ca, certificate, key, tag_keys}, PEM texts and lines of hex digits; all of them
 * required, the two kinds of keys secret. */
struct conf_identity {
	char *ca, *certificate, *key, *tag_keys;
};
extern const struct conf_field conf_identity_fields[];

/* What identity.tag_keys says: keys, the newest first. */
#define CONF_TAG_KEY_BYTES 32u
#define CONF_TAG_KEYS_MAX  4u
struct conf_tag_keys {
	size_t count;
	uint8_t keys[CONF_TAG_KEYS_MAX][CONF_TAG_KEY_BYTES];
};
/* False, out untouched: the text is not one to CONF_TAG_KEYS_MAX lines of 64 hex digits. */
bool conf_tag_keys_parse(const char *text, struct conf_tag_keys *out) MUST_CHECK;

/* In the order of enum ring_engine, and of enum log_level. */
extern const char *const conf_engine_words[], *const conf_level_words[];

#define CONF_NATD_SOCKET_MAX 107 /* what sockaddr_un holds */

/* ---- checks, for conf_field.check ---- */

void conf_check_host(struct conf_errors *e, const struct conf_node *at, const char *path,
		     const void *value); /* a DNS name or an IP address */
void conf_check_path(struct conf_errors *e, const struct conf_node *at, const char *path,
		     const void *value); /* absolute: what is opened later must not depend on
					   the directory that the program was started in */
void conf_check_user(struct conf_errors *e, const struct conf_node *at, const char *path,
		     const void *value); /* a name as the system's users have */

/* ---- rows ---- */

#define CONF_ROW_IDENTITY(at)                                                                      \
	{                                                                                          \
		.key = "identity", .type = CONF_STRUCT, .offset = (at), .required = true,          \
		.fields = conf_identity_fields,                                                    \
		.help = "the CA, certificate and keys, as \"postern pki issue\" writes them"       \
	}

#define CONF_ROW_ENGINE(at)                                                                        \
	{                                                                                          \
		.key = "engine", .type = CONF_ENUM, .offset = (at), .words = conf_engine_words,    \
		.initial = "auto",                                                                 \
		.help = "the event engine; auto takes io_uring where the system allows it, else "  \
			"epoll"                                                                    \
	}

#define CONF_ROW_LOG_LEVEL(at)                                                                     \
	{                                                                                          \
		.key = "log_level", .type = CONF_ENUM, .offset = (at), .words = conf_level_words,  \
		.initial = "notice", .help = "the least important messages to log"                 \
	}

/* kept: what the directory keeps. */
#define CONF_ROW_STATE_DIR(at, kept)                                                               \
	{                                                                                          \
		.key = "state_dir", .type = CONF_STRING, .offset = (at), .min = 1,                 \
		.owner = CONF_OF_FILE, .check = conf_check_path,                                   \
		.help = "the directory that keeps " kept "; without the key nothing is written"    \
	}

#define CONF_ROW_USER(at)                                                                          \
	{                                                                                          \
		.key = "user", .type = CONF_STRING, .offset = (at), .min = 1, .max = 32,           \
		.owner = CONF_OF_FILE, .check = conf_check_user,                                   \
		.help = "the user to become after the ports are bound, when started as root"       \
	}

/* The NAT helper's socket, for daemons that follow it. */
#define CONF_ROW_NATD_SOCKET(at)                                                                   \
	{                                                                                          \
		.key = "socket", .type = CONF_STRING, .offset = (at), .min = 2,                    \
		.owner = CONF_OF_FILE, .max = CONF_NATD_SOCKET_MAX, .check = conf_check_path,      \
		.help = "the path of postern-natd's Unix socket on this host"                      \
	}

#endif
