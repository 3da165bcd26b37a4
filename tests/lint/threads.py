#!/usr/bin/env python3
"""docs/threads.md is complete: every file of lib/ and daemon/ that has to do with threads
(atomics, locks, threads, thread-local variables, signals, wake-ups) is named there by its path,
and every file that it names is there."""

import re

import source

PAGE = source.ROOT / "docs" / "threads.md"
USES = re.compile(
    r"\b(atomic_\w+|_Atomic|__atomic_\w+|__sync_\w+|_Thread_local|__thread|pthread_\w+|thrd_\w+|"
    r"mtx_\w+|cnd_\w+|call_once|sem_(?:init|destroy|post|wait|trywait|timedwait)|"
    r"(?:eventfd|signalfd|timerfd_create|sigprocmask|sigaltstack|sigaction|signal|co_loop_post)"
    r"(?=\s*\()|futex)\b")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
PATH = re.compile(r"`((?:lib|daemon)/[\w./]+\.(?:c|h|S))`")


def main():
    named = set(PATH.findall(PAGE.read_text()))
    errors = [f"docs/threads.md: {name} is not there" for name in sorted(named)
              if not (source.ROOT / name).is_file()]
    n_files = 0
    for folder in ("lib", "daemon"):
        for path in source.files(".c", ".h", under=folder):
            used = sorted(set(USES.findall(COMMENT.sub("", path.read_text()))))
            n_files += bool(used)
            if used and source.shown(path) not in named:
                errors.append(f"{source.shown(path)}: uses {', '.join(used)}, and is not "
                              "named in docs/threads.md")
    source.finish(errors, f"{n_files} files")


main()
