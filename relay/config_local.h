/* SPDX-License-Identifier: Apache-2.0 */
/* config_local: the keys about the relay's own host: control, metrics, nat. */
#ifndef POSTERN_RELAY_CONFIG_LOCAL_H
#define POSTERN_RELAY_CONFIG_LOCAL_H

#include "relay/config.h"

extern const struct conf_field config_control_fields[], config_metrics_fields[],
	config_nat_fields[];

/* What is opened later must not depend on the directory that the relay was started in. */
void config_check_path(struct conf_errors *e, const struct conf_node *at, const char *path,
		       const void *value);

#endif
