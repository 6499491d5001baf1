/* SPDX-License-Identifier: Apache-2.0 */
/* container: from a member to the struct around it. */
#ifndef POSTERN_CORE_CONTAINER_H
#define POSTERN_CORE_CONTAINER_H

#include <stddef.h>

/* ptr points at the member of that name in a type: that type's address. */
#define container(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#endif
