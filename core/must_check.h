/* SPDX-License-Identifier: Apache-2.0 */
/* must_check: behind a prototype: the compiler warns where the result is not looked at. */
#ifndef POSTERN_CORE_MUST_CHECK_H
#define POSTERN_CORE_MUST_CHECK_H

#define MUST_CHECK __attribute__((warn_unused_result))

#endif
