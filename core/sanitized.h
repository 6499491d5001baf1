/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sanitized: whether this is a build with a sanitizer that needs more of the system.
 *
 * The run time of these reads /proc and, at exit, stops the process to look for leaks: isolation
 * lets it, and tests of isolation do not count on what it then leaves open.
 *
 * Symbols are read from files and pipes; LeakSanitizer clones a thread that stops the others.
 *
 * #syscalls-sanitized openat|open readlink|readlinkat stat|newfstatat fstat|newfstatat statx lseek
 * #syscalls-sanitized access|faccessat getdents64 pread64 ioctl pipe2 dup2|dup3 read write
 * #syscalls-sanitized mmap mprotect mremap madvise getrlimit|prlimit64 sysinfo uname prctl
 * #syscalls-sanitized clone clone3 wait4 ptrace process_vm_readv kill getpid getppid getuid
 * #syscalls-sanitized set_robust_list rseq sched_getaffinity nanosleep|clock_nanosleep
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
