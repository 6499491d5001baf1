/* SPDX-License-Identifier: Apache-2.0 */
/* config_stun: the part of the relay's schema that is about STUN. */
#ifndef POSTERN_RELAY_CONFIG_STUN_H
#define POSTERN_RELAY_CONFIG_STUN_H

#include "core/conf/conf.h"
#include "relay/config/config.h"

extern const struct conf_field config_stun_fields[];

/* What no single field can check; root has been bound to c. False with errors. */
bool config_check_stun(const struct conf_node *root, const struct relay_config *c,
		       struct conf_errors *errors) MUST_CHECK;

#endif
