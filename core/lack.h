/* SPDX-License-Identifier: Apache-2.0 */
/* lack: what this host or process itself has run out of, in words. */
#ifndef POSTERN_CORE_LACK_H
#define POSTERN_CORE_LACK_H

/* A clause that says what to do, for a positive errno of descriptors or memory; NULL for any other:
 * then it is not this host's own. */
const char *lack_text(int error);

#endif
