#!/usr/bin/env python3
"""Files, functions and lines stay in the sizes of docs/style.md, and tests wait for events
instead of sleeping. An exception says so on the spot: a comment with "long: REASON" in the ten
lines above a function, or in the first twenty of a file."""

import re

import source

FILE_MAX = 700  # lines
TEST_FILE_MAX = 1200  # a module has one test file, of many small functions
FUNCTION_MAX = 70  # lines between its braces
LINE_MAX = 100  # columns
EXCUSE = re.compile(r"(?<!\w)long: \S")
SLEEP = re.compile(r"\b(sleep|usleep|nanosleep|clock_nanosleep|thrd_sleep)\s*\(")
FUNCTION = re.compile(r"(\w+)\s*\(")


def functions(lines):
    """(name, first line, number of lines) of each function body: braces in column 1."""
    start = None
    for i, line in enumerate(lines):
        if line.startswith("{"):
            start = i
        elif line.startswith("}") and start is not None:
            head = " ".join(lines[max(0, start - 8):start])
            names = FUNCTION.findall(re.split(r"[;}]|\*/", head)[-1])
            names = [n for n in names if not n.startswith("CO_") and n != "__attribute__"]
            yield (names or ["?"])[0], start, i - start - 1
            start = None


def check(path):
    """The errors of one file."""
    name = source.shown(path)
    lines = path.read_text().splitlines()
    limit = TEST_FILE_MAX if name.startswith("tests/") else FILE_MAX
    if len(lines) > limit and not any(map(EXCUSE.search, lines[:20])):
        yield f"{name}: {len(lines)} lines, look again past {limit}"
    for function, start, length in functions(lines):
        if length > FUNCTION_MAX and not any(map(EXCUSE.search, lines[max(0, start - 10):start])):
            yield f"{name}:{start + 1}: {function}() has {length} lines, past {FUNCTION_MAX}"
    for i, line in enumerate(lines):
        if len(line.expandtabs(8)) > LINE_MAX:
            yield f"{name}:{i + 1}: {len(line)} columns, past {LINE_MAX}"
        if name.startswith("tests/") and SLEEP.search(line):
            yield f"{name}:{i + 1}: a test that sleeps; wait for what is to happen"


def main():
    paths = source.files(".c", ".h")
    source.finish([error for path in paths for error in check(path)], f"{len(paths)} files")


main()
