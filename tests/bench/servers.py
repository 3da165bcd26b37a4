"""The servers under measurement and the load generator, as processes: how each is started,
which port it got, how it is ended, and what the kernel says about it."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PYTHON = "/usr/bin/python3"

# A server says where it listens in one of these forms, on stdout or stderr.
PORT_LINE = re.compile(r"^port (\d+)$|listening on 127\.0\.0\.1:(\d+)")

START_LIMIT_S = 60  # under valgrind an interpreter takes its time
STOP_LIMIT_S = 20


class BenchError(Exception):
    """A measurement that failed, with the reason."""


class Unavailable(BenchError):
    """A measurement that cannot be made here: a tool is missing, or does not fit the server."""


def raise_descriptor_limit():
    """Lets this process and its children open all descriptors allowed; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = 1 << 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def many_connections(wanted):
    """How many connections one process can have: as wanted, or what the limit leaves."""
    return min(wanted, raise_descriptor_limit() - 500)


def pinned(cpu):
    """Words before a command that keep it on one CPU."""
    return [] if cpu is None else ["taskset", "-c", str(cpu)]


class Server:
    """One running server. As a context manager it is ended at the end of the block.

    wrap   words before the command: a tool that runs it
    env    variables on top of the environment
    cpu    the only CPU it may use, or None
    """

    def __init__(self, command, wrap=(), env=None, cpu=None):
        self.command = pinned(cpu) + list(wrap) + list(command)
        self.lines = []
        self._port = None
        self._has_port = threading.Event()
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **(env or {})},
        )
        self.pid = self.process.pid
        self._reader = threading.Thread(target=self._read_output, daemon=True)
        self._reader.start()

    def _read_output(self):
        for line in self.process.stdout:
            del self.lines[:-100]
            self.lines.append(line.rstrip())
            match = PORT_LINE.search(self.lines[-1])
            if match and self._port is None:
                self._port = int(match.group(1) or match.group(2))
                self._has_port.set()
        self._has_port.set()

    def __enter__(self):
        self._has_port.wait(START_LIMIT_S)
        if self._port is None:
            self.stop()
            raise BenchError(self._describe("did not say where it listens"))
        self.port = self._port
        return self

    def __exit__(self, *exc):
        self.stop()

    def _describe(self, what):
        said = "\n    ".join(self.lines[-10:])
        return f"{' '.join(self.command)}: {what}" + (f"; it said:\n    {said}" if said else "")

    def check_alive(self):
        if self.process.poll() is not None:
            raise BenchError(self._describe(f"ended with status {self.process.returncode}"))

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(5)

    def cpu_seconds(self):
        """Processor time, user and system, of all threads that live."""
        tasks = f"/proc/{self.pid}/task"
        try:
            total_ns = 0
            for task in os.listdir(tasks):
                with open(f"{tasks}/{task}/schedstat", encoding="ascii") as file:
                    total_ns += int(file.read().split()[0])
            return total_ns / 1e9
        except FileNotFoundError:
            # A kernel without schedstat: the same in steps of 10 ms.
            with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wait_idle(self, limit_s=5.0):
        """Returns when the server has no work left, such as many closed connections."""
        until = time.monotonic() + limit_s
        used = self.cpu_seconds()
        while time.monotonic() < until:
            time.sleep(0.1)
            before, used = used, self.cpu_seconds()
            if used - before < 0.001:
                break

    def anonymous_bytes(self):
        """Memory that the process has to itself and no file backs: heap, stacks, arenas."""
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as file:
            for line in file:
                if line.startswith("Anonymous:"):
                    return int(line.split()[1]) * 1024
        raise BenchError("/proc/PID/smaps_rollup has no Anonymous line")

    def settled_anonymous_bytes(self, limit_s=3.0):
        """The same, once it has stayed for 0.6 s: servers give memory back with a delay."""
        until = time.monotonic() + limit_s
        seen = [self.anonymous_bytes()]
        while time.monotonic() < until:
            time.sleep(0.2)
            seen.append(self.anonymous_bytes())
            if len(seen) >= 4 and len(set(seen[-4:])) == 1:
                break
        return seen[-1]


class Load:
    """The load generator; every run is checked: an error ends the benchmark."""

    def __init__(self, program, cpu=None):
        self.program = program
        self.cpu = cpu

    def _popen(self, server, args):
        return subprocess.Popen(
            [*pinned(self.cpu), self.program, *map(str, args), "-p", str(server.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @staticmethod
    def _parse(server, line):
        if not line:
            server.check_alive()
            raise BenchError("the load generator gave no result")
        result = json.loads(line)
        if result["errors"]:
            server.check_alive()
            raise BenchError(
                f"{' '.join(server.command)}: {result['errors']} errors under load, "
                f"the first: {result['first_error']}"
            )
        return result

    def run(self, server, *args):
        """Runs to its end; returns what it reports and `cpu_us`, the server's a request."""
        before = server.cpu_seconds()
        process = self._popen(server, args)
        line, _ = process.communicate(timeout=300)
        used = server.cpu_seconds() - before
        result = self._parse(server, line)
        result["cpu_us"] = used * 1e6 / max(result["requests"], 1)
        return result

    def hold(self, server, n):
        """Opens n connections, one round trip each, and holds them until release()."""
        process = self._popen(server, ["idle", "-c", n])
        self._parse(server, process.stdout.readline())
        return process

    @staticmethod
    def release(process):
        line, _ = process.communicate(timeout=60)
        lost = json.loads(line)["lost"]
        if lost:
            raise BenchError(f"the server dropped {lost} idle connections")


COROD_CONFIG = """\
[server]
workers = {workers}
max_connections = 18000
log_level = info

[protocol:bench]
plugin = {plugin}

[listener:bench]
address = 127.0.0.1:0
protocol = bench
"""


def corod_command(corod, plugin, directory, workers=1):
    """Writes a configuration into the directory and returns the command that uses it."""
    path = os.path.join(directory, f"{os.path.basename(plugin)}-{workers}.ini")
    with open(path, "w", encoding="utf-8") as file:
        file.write(COROD_CONFIG.format(workers=workers, plugin=os.path.abspath(plugin)))
    return [corod, "-c", path]


class WorkDir:
    """A temporary directory for configurations and the tools' output."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="corod-bench-")
        return self.path

    def __exit__(self, *exc):
        shutil.rmtree(self.path, ignore_errors=True)


def say(text):
    """Progress, kept apart from results."""
    print(text, file=sys.stderr, flush=True)
