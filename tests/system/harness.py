"""The real daemon for tests: started on ports of the kernel's choice, spoken to by real
clients, and ended with its status and its log looked at.

    with Daemon("[listener:l]\naddress = 127.0.0.1:0\nprotocol = echo\n") as daemon:
        with daemon.connect("l") as peer:
            peer.sendall(b"hi")
            assert receive(peer, 2) == b"hi"

COROD_BUILD is the build folder. Whatever is waited for is an event (bytes, a log line, the
end of a process) with a deadline; until() is for what only /proc tells.
"""

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

SECONDS = 20  # the deadline of whatever should be immediate
BUILD = Path(os.environ.get("COROD_BUILD") or
             Path(__file__).resolve().parents[2] / "build/asan").resolve()
COROD = BUILD / "bin/corod"
CACHE = (BUILD / "CMakeCache.txt").read_text()
SANITIZER = re.search(r"^COROD_SANITIZE:\w+=(.*)$", CACHE, re.M).group(1)
REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: \w+Sanitizer|runtime error:|corod: bug:"
                    r"|corod: fatal:")


def environment(**more):
    """What the daemon runs with: its plugins, nothing of a service manager's."""
    clean = {key: value for key, value in os.environ.items()
             if key not in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS",
                            "LISTEN_PID", "LISTEN_FDNAMES", "JOURNAL_STREAM")}
    return {**clean, "COROD_PLUGIN_PATH": f"{BUILD}/plugins:{BUILD}/tests/plugins", **more}


def corod(*arguments, **more):
    """Runs the daemon's program to its end, which comes soon; gives what subprocess does."""
    return subprocess.run([COROD, *arguments], timeout=SECONDS, text=True, env=environment(),
                          stdin=subprocess.DEVNULL, capture_output=True, check=False, **more)


def receive(peer, n):
    """n bytes, or fewer when the stream ends before."""
    data = bytearray()
    while len(data) < n:
        piece = peer.recv(n - len(data))
        if not piece:
            break
        data += piece
    return bytes(data)


def receive_all(peer):
    """Everything up to the end of the stream; a reset is an error."""
    data = bytearray()
    while piece := peer.recv(65536):
        data += piece
    return bytes(data)


def is_over(peer):
    """Waits for the end of the stream, or its reset: no more bytes may come."""
    try:
        return peer.recv(1) == b""
    except ConnectionError:
        return True


def is_silent(peer, seconds):
    """Whether neither a byte nor the end of the stream comes for so long."""
    before = peer.gettimeout()
    peer.settimeout(seconds)
    try:
        peer.recv(1)
        return False
    except TimeoutError:
        return True
    except ConnectionError:
        return False
    finally:
        peer.settimeout(before)


def ask(peer, line):
    """A line for a line, with the probe plugin or echo."""
    peer.sendall(line.encode() + b"\n")
    answer = bytearray()
    while not answer.endswith(b"\n"):
        piece = peer.recv(1)
        if not piece:
            raise EOFError(f"{line}: the stream ended after {bytes(answer)!r}")
        answer += piece
    return answer.decode().rstrip("\n")


def settle(*peers):
    """One question each: their workers have taken what was posted to them before, such as the
    new services of a reload, by the time of the next."""
    for peer in peers:
        ask(peer, "thread")


def reset(peer):
    """Closes a connection by a reset."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()


def until(is_true, what, seconds=SECONDS):
    """Waits for what nothing announces, such as a number in /proc."""
    end = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not after {seconds} s")
        threading.Event().wait(0.01)


def seeded(test):
    """A random generator; COROD_SEED repeats a run."""
    seed = int(os.environ.get("COROD_SEED", random.randrange(2 ** 32)))
    print(f"{test.id()}: COROD_SEED={seed}", flush=True)
    return random.Random(seed)


def gather(*workers):
    """Runs functions in threads; the first failure of one is raised when all have ended."""
    errors = []

    def guard(worker):
        try:
            worker()
        except BaseException as error:  # pylint: disable=broad-except
            errors.append(error)

    threads = [threading.Thread(target=guard, args=(w,), daemon=True) for w in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


class Lines:
    """A growing list of lines, filled by a thread of its own, that can be waited for."""

    def __init__(self):
        self.lines, self._changed, self._is_closed = [], threading.Condition(), False

    def fill(self, source):
        """Takes all lines of an iterable; runs in a thread."""
        for line in source:
            with self._changed:
                self.lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def wait_for(self, pattern, start=0, seconds=SECONDS):
        """Number and match of the first line from number @start on that has the pattern."""
        end, regex, i = time.monotonic() + seconds, re.compile(pattern), start
        with self._changed:
            while True:
                for i in range(i, len(self.lines)):
                    if found := regex.search(self.lines[i]):
                        return i, found
                i = max(start, len(self.lines))
                left = end - time.monotonic()
                if left <= 0 or self._is_closed:
                    raise AssertionError(f"no line like {pattern} in:\n{self}")
                self._changed.wait(left)

    def __str__(self):
        return "\n".join(self.lines)


class Daemon:
    """A running daemon. Leaving the block drains it, and fails for a bad end."""

    def __init__(self, config, *, arguments=(), wrapper=(), n_files=None, pass_fds=(),
                 ready=True, **more):
        self._folder = tempfile.TemporaryDirectory(prefix="corod-")
        self.folder = Path(self._folder.name)
        self.path = self.folder / "corod.ini"
        self.write(config)
        self._lines = Lines()
        self.log = self._lines.lines
        self.ports = {}
        self.has_ended = False
        if n_files:
            wrapper = ("prlimit", f"--nofile={n_files}:{n_files}", *wrapper)
        self.process = subprocess.Popen(
            [*wrapper, COROD, "-c", self.path, *arguments], env=environment(**more),
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            errors="backslashreplace", pass_fds=pass_fds)
        self.pid = self.process.pid
        self._reader = threading.Thread(target=self._lines.fill, args=(self._read_log(),),
                                        daemon=True)
        self._reader.start()
        if ready:
            try:
                self.wait_for_log(r"corod \S+: \d+ workers, ready")
            except BaseException:
                self._end_badly()
                raise

    # ---- config ----

    def write(self, config):
        """The config file; {dir} is a folder of this daemon's own."""
        self.path.write_text(config.replace("{dir}", str(self.folder)))

    def reload(self, config=None, is_good=True):
        """SIGHUP, after writing the file; gives the log lines of the reload."""
        if config is not None:
            self.write(config)
        start = len(self.log)
        self.send(signal.SIGHUP)
        line = self.wait_for_log(r"reloaded: generation|reload failed", start).string
        if ("reloaded" in line) != is_good:
            raise AssertionError(f"reload: {line}\n{self.text()}")
        return self.log[start:]

    # ---- log ----

    def _read_log(self):
        for line in self.process.stderr:
            found = re.search(r"listener (\S+): listening on (\S+)", line)
            if found:
                self.ports.setdefault(found.group(1), []).append(found.group(2))
            yield line.rstrip("\n")

    def wait_for_log(self, pattern, start=0, seconds=SECONDS):
        """The match of the first log line from number @start on that has the pattern."""
        return self._lines.wait_for(pattern, start, seconds)[1]

    def count_log(self, pattern):
        """How many lines have the pattern by now."""
        return sum(1 for line in list(self.log) if re.search(pattern, line))

    def text(self):
        """The log so far."""
        return str(self._lines)

    # ---- clients ----

    def address(self, listener, i=0):
        """Family and address of the listener's i-th address."""
        text = self.ports[listener][i]
        if text.startswith("unix:"):
            name = text[len("unix:"):]
            return socket.AF_UNIX, "\0" + name[1:] if name.startswith("@") else name
        host, _, port = text.rpartition(":")
        if host.startswith("["):
            return socket.AF_INET6, (host.strip("[]"), int(port))
        return socket.AF_INET, (host, int(port))

    def port(self, listener, i=0):
        """The TCP port of the listener's i-th address."""
        return self.address(listener, i)[1][1]

    def connect(self, listener, i=0, seconds=SECONDS):
        """A connected blocking socket with a deadline for each call."""
        family, address = self.address(listener, i)
        peer = socket.socket(family, socket.SOCK_STREAM)
        try:
            peer.settimeout(seconds)
            peer.connect(address)
        except BaseException:
            peer.close()
            raise
        return peer

    # ---- facts ----

    def status(self, key):
        """A number from /proc/PID/status: Threads, VmRSS (KiB), …"""
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{key}:\s*(\d+)", text, re.M).group(1))

    def resident(self):
        """Resident memory in KiB. Under ThreadSanitizer 0: its shadow hides ours."""
        return 0 if "thread" in SANITIZER else self.status("VmRSS")

    def n_files(self):
        """Open descriptors."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu_seconds(self):
        """User and system time used so far, of all threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def threads(self):
        """Thread names and the CPUs that each may run on."""
        return {Path(f"/proc/{self.pid}/task/{tid}/comm").read_text().strip():
                os.sched_getaffinity(int(tid)) for tid in os.listdir(f"/proc/{self.pid}/task")}

    # ---- the end ----

    def send(self, signo):
        """Sends a signal to this daemon."""
        self.process.send_signal(signo)

    def wait(self, status=0, seconds=SECONDS):
        """Waits for the end, and checks its status and that nothing reported a bug."""
        self.has_ended = True
        try:
            real = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._end_badly()
            raise
        self._reader.join()
        if real != status:
            raise AssertionError(f"status {real}, not {status}; the log:\n{self.text()}")
        if status >= 0 and REPORT.search(self.text()):
            raise AssertionError(f"a report in the log:\n{self.text()}")

    def stop(self, status=0, signo=signal.SIGTERM):
        """Drains, and checks the end."""
        self.send(signo)
        self.wait(status)

    def _end_badly(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        self._close()

    def _close(self):
        self.process.stderr.close()
        self._folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind:
            self._end_badly()
            print(f"---- the daemon's log\n{self.text()}\n----", file=sys.stderr, flush=True)
            return
        try:
            if not self.has_ended:
                self.stop()
        finally:
            if not self.process.stderr.closed:
                self._end_badly()


class Manager:
    """A service manager's end of NOTIFY_SOCKET: collects what it is told."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="corod-")
        self.path = self._folder.name + "/notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._lines = Lines()
        self.told = self._lines.lines
        self._reader = threading.Thread(target=self._lines.fill, args=(self._read(),),
                                        daemon=True)
        self._reader.start()

    def _read(self):
        while message := self._socket.recv(4096).decode():
            yield message

    def wait_for(self, pattern, start=0, seconds=SECONDS):
        """Number and match of the first message from number @start on that has the pattern."""
        return self._lines.wait_for(pattern, start, seconds)

    def count(self, message, start=0):
        """How often it was told just this."""
        return self.told[start:].count(message)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"", self.path)
        self._reader.join()
        self._socket.close()
        self._folder.cleanup()


class Case(unittest.TestCase):
    """A test case whose sockets and daemons are ended by the end of each test."""

    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self._end)

    def run(self, result=None):
        self._result = result
        return super().run(result)

    def _end(self):
        has_failed = any(test is self for test, _ in self._result.errors + self._result.failures)
        failure = AssertionError("the test has failed") if has_failed else None
        self.stack.__exit__(failure and type(failure), failure, None)

    def start(self, config, **more):
        """A daemon that lives as long as the test."""
        return self.stack.enter_context(Daemon(config, **more))

    def connect(self, daemon, listener="l", i=0, **more):
        """A connection that lives as long as the test."""
        return self.stack.enter_context(daemon.connect(listener, i, **more))


def listener(protocol, *lines, name="l", address="127.0.0.1:0"):
    """A listener section as text."""
    return "\n".join([f"[listener:{name}]", f"address = {address}", f"protocol = {protocol}",
                      *lines, ""])


def server(*lines, workers=2):
    """A server section as text."""
    return "\n".join(["[server]", f"workers = {workers}", *lines, ""])


def main():
    """Runs the tests of the calling file."""
    unittest.main(verbosity=2)
