#!/usr/bin/env python3
"""The code of the guides is the code that is built and run by tests: a block of a page below
docs/ under a comment <!-- file: PATH --> is the file at PATH, to the letter."""

import re

import source

BLOCK = re.compile(r"^<!-- file: (\S+) -->\n```\w*\n(.*?)^```$", re.M | re.S)
MARK = re.compile(r"^<!-- file:", re.M)


def main():
    errors, n_blocks = [], 0
    for page in source.files(".md", under="docs"):
        text = page.read_text()
        blocks = BLOCK.findall(text)
        if len(blocks) != len(MARK.findall(text)):
            errors.append(f"{source.shown(page)}: a <!-- file: … --> without its block")
        for name, code in blocks:
            n_blocks += 1
            path = page.parent / name
            if not path.is_file() or path.read_text() != code:
                errors.append(f"{source.shown(page)}: the block is not {name}")
    if n_blocks == 0:
        errors.append("no block was found: what is tested here?")
    source.finish(errors, f"{n_blocks} blocks")


main()
