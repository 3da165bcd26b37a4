#!/usr/bin/env python3
"""exports.py LIBRARY: the shared library exports what the public headers declare, and nothing
whose name does not begin with co_."""

import re
import subprocess
import sys

import source

DECLARED = re.compile(r"^CO_API\b[^;]*?\b(co_\w+)\s*\(", re.M)


def exported(library):
    """Names that the library defines for others; version nodes are absolute (A)."""
    listing = subprocess.run(["nm", "-D", "--defined-only", library], check=True,
                             capture_output=True, text=True).stdout
    for line in listing.splitlines():
        _, kind, name = line.split()
        if kind != "A":
            yield name.split("@")[0]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    names = set(exported(sys.argv[1]))
    declared = {name for path in source.files(".h", under="lib/include")
                for name in DECLARED.findall(path.read_text())}
    errors = [f"{name} is exported" for name in sorted(names) if not name.startswith("co_")]
    errors += [f"{name} is declared, but not exported" for name in sorted(declared - names)]
    errors += [f"{name} is exported, but in no public header"
               for name in sorted(names - declared) if name.startswith("co_")]
    source.finish(errors, f"{len(names)} symbols")


main()
