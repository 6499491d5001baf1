/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_file: whether a file that holds a key is kept from others.
 *
 * The rule. The file belongs to root or to the user of this process. Its owner alone may use it
 * (mode 0600); where it is root's, its group may read it, too (0640), since root alone chose that
 * group: a service's, or none but root's own where an access control list lets one user read.
 *
 * A file that a container's or service's manager has handed out passes with any mode that lets
 * nobody but root write: root's, on a mount that this process cannot write to, and either in memory
 * (the secrets of Kubernetes and Docker Swarm, the credentials of systemd) or mounted by itself
 * (the secrets of Compose, "-v FILE:FILE:ro"). Read-only alone says nothing: systemd's
 * ProtectSystem= makes all of /etc so, and others can read it there.
 *
 * Pipes and terminals pass: no key lies in them. The directories above the file are not looked at.
 */
#ifndef POSTERN_CORE_KEY_FILE_H
#define POSTERN_CORE_KEY_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/must_check.h"

struct key_file_facts {
	uid_t owner;
	mode_t mode;
	bool handed_out;
};

enum key_file_verdict {
	KEY_FILE_KEPT,
	KEY_FILE_STRANGER, /* neither root nor self owns it */
	KEY_FILE_OPEN,	   /* more than its owner may use it */
};

/* The rule alone; self is the user of this process. */
enum key_file_verdict key_file_judge(const struct key_file_facts *f, uid_t self) MUST_CHECK;

/* Asked of the open file, so that it is the file that is read. path is for the sentence only: what
 * is wrong, and what to type. */
#define KEY_FILE_WHY_BYTES 512
bool key_file_kept(int fd, const char *path, char *why, size_t why_size) MUST_CHECK;

#endif
