/* SPDX-License-Identifier: Apache-2.0 */
/* config_policy: the part of the relay's schema that relay/policy/policy.h compiles. */
#ifndef POSTERN_RELAY_CONFIG_POLICY_H
#define POSTERN_RELAY_CONFIG_POLICY_H

#include "core/conf/conf.h"
#include "relay/policy/policy.h"

#define CONFIG_GROUPS_MAX 1024u
#define CONFIG_RULES_MAX  16384u

extern const struct conf_field config_group_fields[], config_rule_fields[], config_revoked_fields[];

/* For the lists of groups and of rules. */
void config_check_groups(struct conf_errors *e, const struct conf_node *at, const char *path,
			 const void *value);
void config_check_rules(struct conf_errors *e, const struct conf_node *at, const char *path,
			const void *value);
void config_check_revoked(struct conf_errors *e, const struct conf_node *at, const char *path,
			  const void *value);

/* Warns of names that are probably slips; root has been bound to conf without an error. */
void config_warn_policy(const struct conf_node *root, const struct policy_conf *conf,
			struct conf_errors *errors);

#endif
