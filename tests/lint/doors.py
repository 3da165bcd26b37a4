#!/usr/bin/env python3
"""Includes go in one direction, plugins -> lib/include <- daemon and net -> core -> base, and
each dependency has one door: the files that may include its headers."""

import re

import source

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.M)

# Header, as a regular expression -> the files that may include it.
DOORS = {
    r"event2/": {"lib/core/loop.c", "lib/core/timer.c"},
    r"ini\.h": {"daemon/config.c"},
    r"systemd/sd-daemon\.h": {"daemon/notify.c"},
    r"systemd/sd-journal\.h": {"daemon/logger.c"},
    r"systemd/": {"daemon/notify.c", "daemon/logger.c"},
    r"dlfcn\.h": {"daemon/loader.c"},
    r"openssl/": {"lib/net/tls.c"},
    r"(event|evutil|evdns|evhttp)\.h": set(),
}

# Folder -> folders whose headers its files may include by "…".
LAYERS = {
    "lib/include/corod": set(),
    "lib/base": {"lib/base"},
    "lib/core": {"lib/base", "lib/core"},
    "lib/net": {"lib/base", "lib/core", "lib/net"},
    "daemon": {"daemon"},
}


def target(path, name):
    """The folder of an included "name": beside its includer, else under lib/."""
    for base in (path.parent, source.ROOT / "lib", source.ROOT / "daemon", source.ROOT):
        if (base / name).is_file():
            return source.shown((base / name).resolve().parent)
    return None


def layer(path):
    """The folder that path counts to, and what it may include."""
    place = source.shown(path.parent)
    if place.startswith("plugins/"):  # a plugin may have any files of its own
        own = "/".join(place.split("/")[:2])
        return place, {f for f in (place, own)}
    return place, LAYERS.get(place)


def check(path):
    """The errors of one file."""
    name = source.shown(path)
    place, allowed = layer(path)
    for kind, header in INCLUDE.findall(path.read_text()):
        for door, owners in DOORS.items():
            if re.match(door, header) and name not in owners:
                yield f"{name}: <{header}> belongs behind {', '.join(sorted(owners)) or 'no door'}"
        if kind == "<":
            if header.startswith("corod/") and not (
                    source.ROOT / "lib/include" / header).is_file():
                yield f"{name}: <{header}> is no public header"
            continue
        folder = target(path, header)
        if allowed is None:
            yield f"{name}: {place} has no place in the layers of tests/lint/doors.py"
        elif folder is None:
            yield f'{name}: "{header}" is not found; generated and system headers take <…>'
        elif folder not in allowed:
            yield f'{name}: "{header}" points from {place} to {folder}'


def main():
    paths = [path for folder in ("lib", "daemon", "plugins")
             for path in source.files(".c", ".h", ".S", ".def", under=folder)]
    source.finish([error for path in paths for error in check(path)], f"{len(paths)} files")


main()
