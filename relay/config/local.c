/* SPDX-License-Identifier: Apache-2.0 */
/* config_local: who may ask on the relay's host, and whom the relay asks there. */
#include "relay/config/local.h"

#define AT(type, member) offsetof(struct type, member)

#define USER_ID_MAX	4294967294 /* -1 stands for no user */
#define SOCKET_PATH_MAX 107	   /* what sockaddr_un holds */

const struct conf_field config_control_fields[] = {
	{.key = "socket",
	 .type = CONF_STRING,
	 .offset = AT(relay_config, control.socket) - AT(relay_config, control),
	 .min = 2,
	 .max = SOCKET_PATH_MAX,
	 .check = conf_check_path,
	 .help = "the path of a Unix socket for \"postern relay\" on this host"},
	{.key = "admin",
	 .type = CONF_LIST_OF,
	 .offset = AT(relay_config, control.admin) - AT(relay_config, control),
	 .item_type = CONF_UINT,
	 .item_size = sizeof(uint64_t),
	 .max = USER_ID_MAX,
	 .max_items = 64,
	 .help = "the numbers of the users that may change things over the socket, besides root "
		 "and the relay's own"},
	{.key = "read",
	 .type = CONF_LIST_OF,
	 .offset = AT(relay_config, control.read) - AT(relay_config, control),
	 .item_type = CONF_UINT,
	 .item_size = sizeof(uint64_t),
	 .max = USER_ID_MAX,
	 .max_items = 64,
	 .help = "the numbers of the users that may only look"},
	{.key = NULL},
};

const struct conf_field config_metrics_fields[] = {
	{.key = "listen",
	 .type = CONF_ADDRESS,
	 .offset = AT(relay_config, metrics.listen) - AT(relay_config, metrics),
	 .required = true,
	 .help = "the IP address and port to answer Prometheus on"},
	{.key = NULL},
};

const struct conf_field config_nat_fields[] = {
	{.key = "socket",
	 .type = CONF_STRING,
	 .offset = AT(relay_config, nat.socket) - AT(relay_config, nat),
	 .min = 2,
	 .max = SOCKET_PATH_MAX,
	 .check = conf_check_path,
	 .help = "the path of postern-natd's Unix socket on this host"},
	{.key = NULL},
};
