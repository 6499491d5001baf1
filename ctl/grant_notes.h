/* SPDX-License-Identifier: Apache-2.0 */
/* grant_notes: what somebody who grants would want to know before it is too late. */
#ifndef POSTERN_CTL_GRANT_NOTES_H
#define POSTERN_CTL_GRANT_NOTES_H

#include "ctl/talk/door.h"

/* Tells, and hinders nothing: that this is a relay's first rule, and names that look like slips. */
void grant_notes(const struct arguments *a, struct door *d);

#endif
