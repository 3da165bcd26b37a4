"""The project's own files, for the lint tests beside this file."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = {".git", "out", "__pycache__"}


def _from_git():
    """Tracked files and new ones that git does not ignore; None outside a work tree."""
    command = ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return [ROOT / os.fsdecode(name) for name in listing.split(b"\0") if name]


def _from_folders():
    """For an unpacked release archive."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [f for f in folders if f not in SKIPPED and not f.startswith("build")]
        yield from (Path(folder) / name for name in names)


def files(*suffixes, under=""):
    """Paths of the project's files with one of these suffixes, sorted."""
    listed = _from_git()
    found = {path for path in (_from_folders() if listed is None else listed)
             if path.suffix in suffixes and path.is_relative_to(ROOT / under)
             and path.is_file()}
    if not found:
        sys.exit(f"no {' '.join(suffixes)} file under {ROOT / under}: what is tested here?")
    return sorted(found)


def shown(path):
    """The path as it is shown to people."""
    return path.relative_to(ROOT).as_posix()


def finish(errors, checked):
    """Prints the errors, or what was checked, and ends the test."""
    for error in errors:
        print(error)
    if errors:
        sys.exit(f"{len(errors)} found")
    print(f"{checked} good")
