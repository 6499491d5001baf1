/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_diff: what differs between two documents, and documents without their secrets.
 *
 * Items of a list are matched by their name, so that taking one away does not show all later ones
 * as changed: by the first field of their table where that is a required single value (a listener's
 * address), else by all that they say.
 */
#ifndef POSTERN_CORE_CONF_DIFF_H
#define POSTERN_CORE_CONF_DIFF_H

#include <jansson.h>

#include "core/conf/conf.h"

#define CONF_HIDDEN "(hidden)"

/* What names this item of list, as above, or NULL. list may be NULL. */
const char *conf_item_name(const struct conf_field *list, const json_t *item);
/* "path[name]", or "path[3]" for what has no name; cut where it must be. */
void conf_item_path(char out[CONF_PATH_BYTES], const char *path, const char *name, size_t place);

/* [{path, from, to}], empty exactly when the documents are equal. from or to is null where there is
 * nothing; secrets show as CONF_HIDDEN. Items that only moved are one entry for their list, with
 * the names (or former places) of those between in both orders. NULL without memory. */
json_t *conf_diff(const struct conf_field *fields, const json_t *from, const json_t *to) MUST_CHECK;

/*
 * Both share with the documents given what holds no secret, so that none may be changed any more:
 * make a deep copy to do that.
 */
/* The document with CONF_HIDDEN in place of each secret. NULL without memory. */
json_t *conf_hide(const struct conf_field *fields, const json_t *document) MUST_CHECK;
/* The document with the secrets of the other in place of each CONF_HIDDEN; where that has none, the
 * mark stays, and is no valid secret. */
json_t *conf_reveal(const struct conf_field *fields, const json_t *document,
		    const json_t *secrets) MUST_CHECK;

#endif
