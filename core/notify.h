/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify: tells the service manager how we are, by the protocol of sd_notify(3).
 *
 * Without NOTIFY_SOCKET everything here does nothing. The socket is made and connected before
 * isolation, which forbids both later; sending needs only send(2).
 */
#ifndef POSTERN_CORE_NOTIFY_H
#define POSTERN_CORE_NOTIFY_H

#include "core/must_check.h"

/* Returns 0 (also when no service manager asked) or -errno. NOTIFY_SOCKET is taken from the
 * environment, so that no child speaks for us. */
int notify_open(void) MUST_CHECK;
void notify_close(void);

/* Any thread. A manager that does not listen is no reason to stop: failures are ignored. */
void notify_ready(void);
void notify_stopping(void);
/* One line for "systemctl status": how we are, and before it what somebody should look at (empty:
 * nothing), each as it was told last. Control characters become spaces; what says the same again is
 * not sent. One thread at a time. */
void notify_status(const char *format, ...) __attribute__((format(printf, 1, 2)));
void notify_concern(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
