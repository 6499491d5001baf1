/* SPDX-License-Identifier: Apache-2.0 */
/* show_nat: the address and the verdict by keys, the mappings as a table. */
#include "ctl/see/show_nat.h"

#include "ctl/see/show.h"

static const struct show_column summary_columns[] = {
	{"postern-natd", "connected", SHOW_STATE, "tells|is away"},
	{"external address", "external", SHOW_TEXT, NULL},
	{"verdict", "verdict", SHOW_TEXT, NULL},
	{"because", "sentence", SHOW_TEXT, NULL},
	{"advice", "advice", SHOW_TEXT, NULL},
	{NULL, NULL, SHOW_TEXT, NULL},
};

static const struct show_column mapping_columns[] = {
	{"PROTOCOL", "protocol", SHOW_TEXT, NULL}, {"FAMILY", "family", SHOW_TEXT, NULL},
	{"PORT", "port", SHOW_COUNT, NULL},	   {"EXTERNAL", "external", SHOW_TEXT, NULL},
	{"STATE", "state", SHOW_TEXT, NULL},	   {NULL, NULL, SHOW_TEXT, NULL},
};

void show_nat(const json_t *nat)
{
	const json_t *mappings = json_object_get(nat, "mappings");

	if (!nat)
		return;
	puts("NAT");
	show_keys(stdout, nat, summary_columns);
	if (json_array_size(mappings) > 0)
		show_table(stdout, mappings, mapping_columns);
	if (json_is_true(json_object_get(nat, "more")))
		puts("and more, which postern-natd tells");
}
