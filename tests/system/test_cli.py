#!/usr/bin/env python3
"""The command line, and what it says of bad configurations and of addresses it cannot have."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from harness import (BUILD, COROD, SECONDS, Case, Daemon, corod, environment, listener, main,
                     receive, server, until)

ROOT = Path(__file__).resolve().parents[2]
GOOD = listener("echo")
NOBODY = 65534

# A bad line each, in its section; what is said of it. {n} is its line.
BAD = r"""
[server]
worker = 2                ; unknown key "worker", did you mean "workers"?
log_level = loud          ; "loud" is none of error, warning, notice, info, debug
max_connections = 0       ; out of range 1..10000000
drain_timeout = 5         ; "5" has no unit (ms, s, m, h, d)
pin_workers = perhaps     ; "perhaps" is neither yes nor no
idle_timeout = 5s         ; it belongs to [listener:NAME]
[listner:a]               ; unknown section, did you mean [listener:a]?
[listener:a]
address = 127.0.0.1:70001 ; has a port above 65535
address = nowhere         ; "nowhere" is not an address
protocol = ecko           ; no plugin "ecko": there is no ecko.so in
high_water = 1t           ; is not a size
[listener:b]
address = 127.0.0.1:7     ;
address = 127.0.0.1:7     ; "127.0.0.1:7" is there twice
protocol = echo           ;
idle_timeout = 1s         ;
idle_timeout = 2s         ; is there twice, first at line
[listener:b]              ; is there twice, first at line
[listener:c]              ; [listener:c] protocol: is required
address = 127.0.0.1:7     ; is an address of [listener:b] already
just words                ; no '=' in this line
[listener:d e]            ; a name is 1 to 40 letters
address = 127.0.0.1:8     ;
protocol = echo           ;
[protocol:p]
plugin = probe            ;
txt = x                   ; unknown key "txt", did you mean "text"?
fail = 7                  ; "7" is neither yes nor no
[protocol:q]
plugin = other_abi        ; built for plugin ABI
[protocol:r]
plugin = /nonexistent.so  ; /nonexistent.so: No such file or directory
"""


class File(Case):
    """A config file in a folder of the test's own."""

    def setUp(self):
        super().setUp()
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))

    def file(self, text):
        """Writes the config; gives its path."""
        path = self.folder / "corod.ini"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    def check_ends(self, status, *arguments, **more):
        """Runs the program, and gives what it said: on stdout for 0, else on stderr only."""
        result = corod(*arguments, **more)
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertEqual(result.stderr if status == 0 else result.stdout, "")
        return result.stdout if status == 0 else result.stderr


class Usage(File):
    """Options."""

    def test_help_and_version(self):
        """They print on stdout, and win over other arguments that come later."""
        for option in ("--help", "-h"):
            self.assertIn("Usage: corod", self.check_ends(0, option, "--check"))
        for option in ("--version", "-V"):
            self.assertRegex(self.check_ends(0, option), r"^corod \d+\.\d+\.\d+\n$")

    def test_wrong_usage_is_64(self):
        """With a hint where help is."""
        for arguments in (["--nonsense"], ["-x"], ["file.ini"], ["-c"], ["--set"],
                          ["--set", "workers"], ["--check", "--dump-config"]):
            self.assertIn("corod --help", self.check_ends(64, *arguments), arguments)

    def test_check_is_0_or_78(self):
        """--check says good, or all that is bad; it needs no free port."""
        with Daemon(GOOD) as daemon:
            taken = listener("echo", address=f"127.0.0.1:{daemon.port('l')}")
            self.assertIn("good", self.check_ends(0, "--check", "-c", self.file(taken)))
        self.assertIn("[server]", self.check_ends(78, "--check", "-c", self.file(
            GOOD + "[server]\nlog_level = x\n")))

    def test_check_asks_the_plugin(self):
        """What the plugin's open() says is shown, and counts."""
        text = listener("p") + "[protocol:p]\nplugin = probe\nfail = yes\n"
        self.assertIn("[protocol:p] plugin probe: told to fail",
                      self.check_ends(78, "--check", "-c", self.file(text)))

    def test_dump_config_loads_to_the_same(self):
        """Of a small file, of one with everything changed, and of the samples."""
        everything = (server("pin_workers = yes", "max_connections = 7", "drain_timeout = 90s",
                             "log_level = debug", "accept_backoff = 15ms", workers="auto") +
                      listener("p", "idle_timeout = 1500ms", "high_water = 1m", "low_water = 3",
                               address="*:0, [::1]:0, unix:/tmp/a b.sock, unix:@x") +
                      "[protocol:p]\nplugin = probe\ntext = a # b, c = d [e]\nstart =\n")
        texts = [GOOD, everything]
        texts += [(ROOT / name).read_text() for name in
                  ("conf/corod.ini", "conf/examples/try.ini")]
        for text in texts:
            first = self.check_ends(0, "--dump-config", "-c", self.file(text))
            self.assertIn("[listener:", first)
            self.assertEqual(self.check_ends(0, "--dump-config", "-c", self.file(first)), first)

    def test_set_overrides(self):
        """A key of the file, a key that is not there, a section that is not there."""
        dump = self.check_ends(
            0, "--dump-config", "-c", self.file(listener("echo", "idle_timeout = 1s")),
            "--set", "listener:l.idle_timeout=2s", "--set", "server.workers=3",
            "--set", "listener:m.address=127.0.0.1:0", "--set", "listener:m.protocol = hello")
        for line in ("idle_timeout = 2s", "workers = 3", "[listener:m]", "protocol = hello"):
            self.assertRegex(dump, rf"(?m)^{line}".replace("[", r"\[").replace("]", r"\]"))

    def test_a_bad_set_is_78(self):
        """It is named as it was given."""
        path = self.file(GOOD)
        for word, said in (("server.workers=x", "--set server.workers: \"x\" is not a number"),
                           ("server.wokers=1", "did you mean \"workers\"?"),
                           ("nodot=1", "--set nodot=1: is not SECTION.KEY=VALUE")):
            self.assertIn(said, self.check_ends(78, "--check", "-c", path, "--set", word))

    def test_no_file_is_one_line(self):
        """None, a folder, and one that may not be read: the path, and why."""
        cases = [("/nonexistent/corod.ini", "No such file or directory"),
                 (str(self.folder), "Is a directory")]
        for path, why in cases:
            self.assertEqual(self.check_ends(78, "-c", path), f"{path}: {why}\n")

    def test_a_file_that_may_not_be_read(self):
        """As a user without rights on it."""
        path = self.file(GOOD)
        os.chmod(path, 0)
        if os.geteuid() == 0:
            self.skipTest("root may read every file")
        self.assertEqual(self.check_ends(78, "-c", path), f"{path}: Permission denied\n")


class BadConfig(File):
    """Every error in one run, and nothing started."""

    def test_all_errors_in_one_run(self):
        """Each with its line and what is meant; nothing of it listens."""
        lines = BAD.strip("\n").split("\n")
        path = self.file("\n".join(line.partition(";")[0].rstrip() for line in lines) + "\n")
        said = self.check_ends(78, "-c", path)
        wanted = 0
        for number, line in enumerate(lines, 1):
            what = line.partition(";")[2].strip()
            if not what:
                continue
            wanted += 1
            self.assertTrue(any(text.startswith(f"{path}:{number}: ") and what in text
                                for text in said.splitlines()),
                            f"line {number}: {line}\nis not in:\n{said}")
        self.assertEqual(len(said.splitlines()), wanted, said)
        self.assertNotIn("listening", said)

    def test_lines_that_are_no_text(self):
        """A very long line and one with a NUL byte, beside an error of another kind."""
        path = self.file(b"[server]\nworkers = " + b"1" * 5000 + b"\nlog_level = in\0fo\n"
                         b"wrkers = 1\n" + GOOD.encode())
        said = self.check_ends(78, "-c", path).splitlines()
        self.assertEqual(len(said), 3, said)
        for line, what in zip(said, ("2: longer than", "3: has a NUL byte", "4: [server]")):
            self.assertTrue(line.startswith(f"{path}:{what}"), line)

    def test_control_characters_are_not_repeated(self):
        """A file cannot write to the terminal of who checks it."""
        said = self.check_ends(78, "--check", "-c", self.file(
            GOOD + "\x1b[2J\x07 = 1\n[\x1b]0;x\x07]\n"))
        self.assertFalse(any(ord(c) < 32 and c != "\n" for c in said), repr(said))

    def test_crlf_and_bom(self):
        """As Windows' editors write."""
        text = "\ufeff" + server() + GOOD
        with Daemon("", ready=False, arguments=("-c", self.file(text.replace("\n", "\r\n")))
                    ) as daemon:
            daemon.wait_for_log("2 workers, ready")
            peer = self.connect(daemon)
            peer.sendall(b"hi")
            self.assertEqual(receive(peer, 2), b"hi")

    def test_no_listener(self):
        """An empty file serves nothing, which is an error."""
        self.assertIn("there is no section [listener:NAME]",
                      self.check_ends(78, "-c", self.file("")))


class Addresses(File):
    """Addresses that cannot be had."""

    def test_a_taken_port_is_named(self):
        """With its listener and why; what the other listener had is given back."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            path = self.folder / "other.sock"
            text = (listener("echo", name="other", address=f"unix:{path}") +
                    listener("echo", name="web", address=f"127.0.0.1:{port}"))
            said = self.check_ends(1, "-c", self.file(text))
        self.assertRegex(said, rf"listener web: cannot listen on 127\.0\.0\.1:{port}: "
                               r"Address already in use \(another process listens there")
        self.assertNotIn("workers, ready", said)
        self.assertFalse(path.exists(), "the socket file of the other listener")

    def test_all_addresses_that_fail_are_named(self):
        """Not the first alone."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            text = (listener("echo", name="a", address=f"127.0.0.1:{port}") +
                    listener("echo", name="b", address="192.0.2.1:0") +
                    listener("echo", name="c", address=f"unix:{self.folder}/no/x.sock"))
            said = self.check_ends(1, "-c", self.file(text))
        for what in ("listener a: .*in use", "listener b: .*no interface of this machine",
                     "listener c: .*No such file"):
            self.assertRegex(said, what)

    def test_started_without_standard_descriptors(self):
        """No descriptor of the daemon's own is taken for stderr, and written to."""
        config = self.file(listener("echo", address=f"unix:{self.folder}/closed.sock"))
        process = subprocess.Popen(["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', COROD, config],
                                   env=environment())
        until(Path(f"{self.folder}/closed.sock").exists, "it listens")
        files = {os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in range(3)}
        process.terminate()
        self.assertEqual(process.wait(SECONDS), 0)
        self.assertEqual(files, {"/dev/null"})

    def test_no_right_to_a_low_port(self):
        """An unprivileged user is told which capability is missing."""
        limit = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
        command = [COROD, "-c", self.file(listener("echo", address="127.0.0.1:80"))]
        if limit <= 80:
            self.skipTest(f"ports from {limit} on are everybody's on this machine")
        if os.geteuid() == 0:
            if not shutil.which("setpriv"):
                self.skipTest("setpriv is not installed")
            os.chmod(self.folder, 0o755)
            command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
                       "--bounding-set=-all", *command]
            if subprocess.run([*command[:5], "test", "-x", BUILD / "bin/corod"],
                              check=False).returncode != 0:
                self.skipTest(f"user {NOBODY} cannot reach {BUILD}")
        result = subprocess.run(command, env=environment(), capture_output=True, text=True,
                                timeout=SECONDS, check=False)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertRegex(result.stderr, r"listener l: cannot listen on 127\.0\.0\.1:80: "
                                        r"Permission denied \(ports below 1024 need CAP_NET_BIND")


if __name__ == "__main__":
    main()
