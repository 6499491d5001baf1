/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sanitized: whether this is a build with a sanitizer that needs more of the system.
 *
 * The run time of these reads /proc and, at exit, stops the process to look for leaks: isolation
 * lets it, and tests of isolation do not count on what it then leaves open.
 */
#ifndef POSTERN_CORE_SANITIZED_H
#define POSTERN_CORE_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#endif
