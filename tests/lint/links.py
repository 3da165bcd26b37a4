#!/usr/bin/env python3
"""Every relative link of the pages leads to a file or folder that is there, and to a heading
that the page has."""

import re

import source

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.M | re.S)
HEADING = re.compile(r"^#+ (.*)$", re.M)


def anchors(text):
    """The headings of a page as GitHub names them."""
    for heading in HEADING.findall(FENCE.sub("", text)):
        kept = re.sub(r"[^\w\- ]", "", heading.lower())
        yield kept.replace(" ", "-")


def check(page):
    """The errors of one page."""
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists():
            yield f"{source.shown(page)}: {link}: there is no such file"
        elif anchor and (target.suffix != ".md" or
                         anchor not in set(anchors(target.read_text()))):
            yield f"{source.shown(page)}: {link}: there is no such heading"


def main():
    pages = source.files(".md")
    source.finish([error for page in pages for error in check(page)], f"{len(pages)} pages")


main()
