/* SPDX-License-Identifier: Apache-2.0 */
/* nat_ask: 'postern nat map' and 'postern nat unmap': mappings beside natd's configuration. */
#ifndef POSTERN_CTL_NAT_ASK_H
#define POSTERN_CTL_NAT_ASK_H

#include "ctl/terminal/arguments.h"

extern const struct option_row nat_map_options[], nat_unmap_options[];

enum status nat_run_map(const struct arguments *a);
enum status nat_run_unmap(const struct arguments *a);

#endif
