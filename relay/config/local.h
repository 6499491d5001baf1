/* SPDX-License-Identifier: Apache-2.0 */
/* config_local: the keys about the relay's own host: control, metrics, nat. */
#ifndef POSTERN_RELAY_CONFIG_LOCAL_H
#define POSTERN_RELAY_CONFIG_LOCAL_H

#include "relay/config/config.h"

extern const struct conf_field config_control_fields[], config_metrics_fields[],
	config_nat_fields[];

#endif
