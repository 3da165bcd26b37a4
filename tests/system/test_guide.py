#!/usr/bin/env python3
"""test_guide.py BUILD: the plugin of docs/plugin-guide.md is built against an installed tree in
both ways that the guide shows, and answers as the guide says."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

SECONDS = 60  # for any one step
EXAMPLE = Path(__file__).resolve().parents[2] / "docs/examples/rpn"


def run(*command, cwd, **environment):
    """Runs a command; the test fails with its output when it does."""
    result = subprocess.run([str(word) for word in command], cwd=cwd, timeout=SECONDS, text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, env={**os.environ, **environment})
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: status {result.returncode}\n{result.stdout}")


def sessions():
    """(what is sent, what comes back) for each command of session.txt."""
    text = (EXAMPLE / "session.txt").read_text()
    for command, answer in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.M):
        sent = re.match(r"printf '([^']*)' \| nc ", command)
        if not sent:
            sys.exit(f"session.txt: not understood: {command}")
        yield sent.group(1).replace("\\n", "\n"), answer


def ask(port, text):
    """What the daemon answers to text and the end of the stream."""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as peer:
        peer.sendall(text.encode())
        peer.shutdown(socket.SHUT_WR)
        with peer.makefile("rb") as answer:
            return answer.read().decode()


def check_sessions(prefix, folder):
    """Serves the guide's config, on a port of the kernel's choice, and speaks to it."""
    command = [prefix / "bin/corod", "-c", "rpn.ini", "--set",
               "listener:calculator.address=127.0.0.1:0"]
    run(*command, "--check", cwd=folder)
    daemon = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True)
    log = []
    try:
        for line in daemon.stderr:
            log.append(line)
            if found := re.search(r"listening on 127\.0\.0\.1:(\d+)", line):
                break
        else:
            sys.exit("".join(["it does not listen\n", *log]))
        for text, answer in sessions():
            real = ask(int(found.group(1)), text)
            if real != answer:
                sys.exit(f"{text!r}: the guide says {answer!r}, it is {real!r}")
            print(f"ok: {text!r}", flush=True)
        daemon.send_signal(signal.SIGTERM)
        log += daemon.communicate(timeout=SECONDS)[1].splitlines(keepends=True)
    finally:
        daemon.kill()
        daemon.wait()
    sys.stdout.writelines(log)
    if daemon.returncode != 0 or not any("session of " in line for line in log):
        sys.exit(f"a bad end: status {daemon.returncode}")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if not list(sessions()):
        sys.exit("session.txt: no session")
    with tempfile.TemporaryDirectory(prefix="corod-guide-") as name:
        prefix, folder = Path(name) / "prefix", Path(name) / "rpn"
        run("cmake", "--install", Path(sys.argv[1]).resolve(), "--prefix", prefix, cwd=name)
        pkg_config = next(prefix.glob("**/pkgconfig"))
        for how in ("cmake", "make"):
            if not shutil.which(how):
                print(f"skipped: {how} is not installed")
                continue
            shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("build"))
            if how == "cmake":
                run("cmake", "-S", ".", "-B", "build", "-G", "Ninja",
                    f"-DCMAKE_PREFIX_PATH={prefix}", cwd=folder)
                run("cmake", "--build", "build", cwd=folder)
            else:
                run("make", cwd=folder, PKG_CONFIG_PATH=str(pkg_config))
            print(f"built with {how}", flush=True)
            check_sessions(prefix, folder)
            shutil.rmtree(folder)


main()
