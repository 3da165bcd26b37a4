/*
 * Which sanitizer this is compiled for, and memory poisoning. The hooks for switching stacks
 * are in core/stack.c.
 */
#ifndef BASE_SANITIZER_H
#define BASE_SANITIZER_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define HAVE_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(HAVE_ASAN)
#define HAVE_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__) && !defined(HAVE_TSAN)
#define HAVE_TSAN 1
#endif

#ifdef HAVE_ASAN
#include <sanitizer/asan_interface.h>
#define memory_poison(ptr, size)   __asan_poison_memory_region(ptr, size)
#define memory_unpoison(ptr, size) __asan_unpoison_memory_region(ptr, size)
#else
#define memory_poison(ptr, size)   ((void)(ptr), (void)(size))
#define memory_unpoison(ptr, size) ((void)(ptr), (void)(size))
#endif

#endif
