#!/usr/bin/env python3
"""Every function of the public headers has a /** doc comment, and every header says at its top
what it is for."""

import re

import source

# A declaration that users call: CO_API at the start of a line, or an inline function.
PUBLIC = re.compile(r"^(CO_API|static inline)\b")
ATTRIBUTES = re.compile(r"\b(CO_\w+)\s*(\([^)]*\))?|__attribute__\s*\(\(.*?\)\)")


def name_of(lines, i):
    """The name of what is declared from line i on."""
    text = ATTRIBUTES.sub("", " ".join(lines[i:i + 4]))
    found = re.search(r"(\w+)\s*[(;=\[]", text)
    return found.group(1) if found else lines[i]


def is_documented(lines, i):
    """Whether the lines above line i are a comment that begins with /**."""
    i -= 1
    if i < 0 or not lines[i].rstrip().endswith("*/"):
        return False
    while i > 0 and "/*" not in lines[i]:
        i -= 1
    return lines[i].lstrip().startswith("/**")


def main():
    errors, n_public = [], 0
    for path in source.files(".h", under="lib/include"):
        lines = path.read_text().splitlines()
        if not lines or not lines[0].startswith("/**"):
            errors.append(f"{source.shown(path)}:1: the header has no doc comment")
        for i, line in enumerate(lines):
            if not PUBLIC.match(line):
                continue
            n_public += 1
            if not is_documented(lines, i):
                errors.append(f"{source.shown(path)}:{i + 1}: "
                              f"{name_of(lines, i)} has no doc comment")
    source.finish(errors, f"{n_public} functions")


main()
