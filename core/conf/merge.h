/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_merge: brings two changes of one document together.
 *
 * Three documents: base, which both sides began with; ours, to which consoles made their changes;
 * theirs, the file as it is now. What only one side changed is taken from it. Where both changed
 * the same thing differently, theirs counts.
 *
 * Maps are merged key by key, lists item by item: an item is the same one while it keeps its name
 * (core/conf/diff.h); without one, while all required keys of its table stay as they are (who a
 * rule is for, and what it leads to); an item without either is its whole value. Lists keep the
 * order of theirs; what only ours has stands behind what it stood behind there. A list or map that
 * is missing is an empty one. A value of the file's alone (CONF_OF_FILE) is theirs always; where
 * ours has changed it nevertheless, its path is among the overruled.
 */
#ifndef POSTERN_CORE_CONF_MERGE_H
#define POSTERN_CORE_CONF_MERGE_H

#include <jansson.h>

#include "core/conf/conf.h"

/* The merged document; it shares values with the three, so that none may be changed any more.
 * overruled, an array: the paths where ours lost to theirs are appended. NULL without memory. */
json_t *conf_merge(const struct conf_field *fields, const json_t *base, const json_t *ours,
		   const json_t *theirs, json_t *overruled) MUST_CHECK;

#endif
