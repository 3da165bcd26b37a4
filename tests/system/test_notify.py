#!/usr/bin/env python3
"""What a service manager is told, and the sockets that it passes."""

import os
import re
import signal
import socket
import sys
import time

from harness import Case, Manager, ask, is_silent, listener, main, server, settle

WATCHDOG_USEC = 400000

# Becomes the daemon, as the process that the service manager means: descriptors 3, 4, … are
# those whose numbers are given, and {pid} in a value is its own.
BECOME = """
import os, sys
fds, names, command = sys.argv[1].split(","), sys.argv[2], sys.argv[3:]
fds = [int(fd) for fd in fds if fd]
spare = [os.dup2(fd, 200 + i) for i, fd in enumerate(fds)]
for fd in fds:
    os.close(fd)
for i, fd in enumerate(spare):
    os.dup2(fd, 3 + i)
    os.close(fd)
if spare:
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(spare)))
    if names:
        os.environ["LISTEN_FDNAMES"] = names
for key in ("WATCHDOG_PID", "LISTEN_PID"):
    if key in os.environ:
        os.environ[key] = os.environ[key].replace("{pid}", str(os.getpid()))
os.execv(command[0], command)
"""


def become(sockets=(), names=""):
    """The wrapper command for these sockets."""
    fds = ",".join(str(each.fileno()) for each in sockets)
    return sys.executable, "-c", BECOME, fds, names


class Notify(Case):
    """NOTIFY_SOCKET."""

    def manage(self, config, **more):
        """A service manager, and a daemon that it has started."""
        manager = self.stack.enter_context(Manager())
        return manager, self.start(config, NOTIFY_SOCKET=manager.path, **more)

    def test_ready_status_stopping(self):
        """In this order; when it is ready, it listens."""
        manager = self.stack.enter_context(Manager())
        daemon = self.start(server() + listener("probe"), NOTIFY_SOCKET=manager.path)
        manager.wait_for("^READY=1$")
        peer = self.connect(daemon)
        self.assertEqual(ask(peer, "hold"), "holding")
        manager.wait_for("^STATUS=serving: 1 connections, 1 accepted, 0 refused$")
        daemon.send(signal.SIGTERM)
        stopping, _ = manager.wait_for("^STOPPING=1$")
        manager.wait_for("^STATUS=draining: 1 connections", stopping)
        ask(peer, "end")
        peer.close()
        daemon.wait(0)
        self.assertEqual(manager.count("READY=1"), 1)
        self.assertNotIn("WATCHDOG=1", manager.told)

    def test_a_failed_start_is_told(self):
        """Never ready; the status says why, the number is the errno."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = "%s:%d" % taken.getsockname()
            manager, daemon = self.manage(server() + listener("echo", address=address),
                                          ready=False)
            daemon.wait(1)
        manager.wait_for("^STATUS=.*in use\nERRNO=98$")
        self.assertNotIn("READY=1", manager.told)

    def test_reloading(self):
        """RELOADING=1 with the time it began, then READY=1; also when the reload fails."""
        manager, daemon = self.manage(server() + listener("probe"))
        for config, is_good in ((server() + listener("probe"), True), ("[x]\n", False)):
            start = len(manager.told)
            before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            daemon.reload(config, is_good)
            i, found = manager.wait_for(r"^RELOADING=1\nMONOTONIC_USEC=(\d+)$", start)
            after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            self.assertTrue(before <= int(found.group(1)) <= after)
            manager.wait_for("^READY=1$", i)
        daemon.write(server() + listener("probe"))

    def test_without_a_manager(self):
        """No socket, or one that is gone: nothing is told, everything works."""
        for more in ({}, {"NOTIFY_SOCKET": "/nonexistent/notify", "WATCHDOG_USEC": "400000"}):
            daemon = self.start(server() + listener("probe"), **more)
            ask(self.connect(daemon), "thread")
            daemon.reload()


class Watchdog(Case):
    """WATCHDOG_USEC."""

    def manage(self, **more):
        """A service manager with a watchdog, and a daemon with two workers."""
        manager = self.stack.enter_context(Manager())
        return manager, self.start(server(workers=2) + listener("probe"),
                                   NOTIFY_SOCKET=manager.path,
                                   WATCHDOG_USEC=str(WATCHDOG_USEC), **more)

    def test_is_fed_in_time(self):
        """More often than it asks for, by and large: this machine may be busy."""
        manager, _ = self.manage()
        i, start = 0, time.monotonic()
        for _ in range(8):
            i = manager.wait_for("^WATCHDOG=1$", i)[0] + 1
        self.assertLess(time.monotonic() - start, 8 * WATCHDOG_USEC / 1e6)

    def test_is_not_fed_while_a_worker_is_stuck(self):
        """Who is stuck is said; the other worker serves on; all is well when it is back."""
        manager, daemon = self.manage()
        blocker, other = self.connect(daemon), self.connect(daemon)
        stuck = ask(blocker, "thread")
        self.assertNotEqual(ask(other, "thread"), stuck)
        self.assertEqual(ask(blocker, "block"), "blocking")
        start = len(manager.told)
        line = daemon.wait_for_log(r"worker (\d+) has not answered for \d+ ms")
        self.assertEqual(f"corod-{line.group(1)}", stuck)
        # One ping may have been answered before the worker was stuck.
        self.assertLessEqual(manager.count("WATCHDOG=1", start), 2)
        self.assertNotEqual(ask(other, "thread"), stuck)
        for _ in range(4):
            self.assertNotEqual(ask(self.connect(daemon), "thread"), stuck, "none is given it")
        start = len(manager.told)
        self.assertEqual(ask(blocker, "thread"), stuck)
        manager.wait_for("^WATCHDOG=1$", start)
        manager.wait_for("^WATCHDOG=1$", start + 1)
        self.assertEqual(daemon.count_log("has not answered"), 1, "one line a period")

    def test_is_for_the_process_it_names(self):
        """WATCHDOG_PID: ours feeds it, another's does not."""
        manager, _ = self.manage(wrapper=become(), WATCHDOG_PID="{pid}")
        manager.wait_for("^WATCHDOG=1$")
        manager, daemon = self.manage(WATCHDOG_PID="1")
        peer = self.connect(daemon)
        self.assertTrue(is_silent(peer, 3 * WATCHDOG_USEC / 1e6))
        self.assertNotIn("WATCHDOG=1", manager.told)


class Sockets(Case):
    """LISTEN_FDS."""

    def listen(self, host="127.0.0.1"):
        """A socket as a service manager would pass."""
        one = self.stack.enter_context(socket.socket())
        one.bind((host, 0))
        one.listen()
        return one

    def pass_sockets(self, config, sockets, names=""):
        """A daemon that is passed them."""
        return self.start(config, wrapper=become(sockets, names),
                          pass_fds=[each.fileno() for each in sockets])

    def check_served(self, sock, text):
        """Who connects to the socket is served by the listener with this text."""
        with socket.create_connection(sock.getsockname(), 20) as peer:
            self.assertEqual(ask(peer, "text"), text)

    def config(self, **addresses):
        """A probe listener for each name, with the name as its text."""
        return server() + "".join(
            listener(name, name=name, address=address) +
            f"[protocol:{name}]\nplugin = probe\ntext = {name}\n"
            for name, address in addresses.items())

    def test_are_matched_by_name(self):
        """In whatever order, whatever address the config has; none is opened beside them."""
        one, two = self.listen(), self.listen()
        daemon = self.pass_sockets(self.config(a="127.0.0.1:1", b="127.0.0.1:2"), [one, two],
                                   "b:a")
        self.check_served(one, "b")
        self.check_served(two, "a")
        self.assertEqual(daemon.count_log(r"listening on .* \(socket passed\)"), 2)
        self.assertEqual(daemon.count_log("was passed, but"), 0)

    def test_are_matched_by_address(self):
        """Without names, or with names that are no listener's."""
        for names in ("", "x:y"):
            one, two = self.listen(), self.listen()
            addresses = {name: "%s:%d" % sock.getsockname()
                         for name, sock in (("a", two), ("b", one))}
            daemon = self.pass_sockets(self.config(**addresses), [one, two], names)
            self.check_served(one, "b")
            self.check_served(two, "a")
            daemon.stop()

    def test_leftovers_are_named_and_closed(self):
        """A listener that got none opens its own."""
        one, two = self.listen(), self.listen()
        address = two.getsockname()
        daemon = self.pass_sockets(self.config(a="127.0.0.1:0", c="127.0.0.1:0"), [one, two],
                                   "a:nobody")
        daemon.wait_for_log('socket "nobody" was passed, but no listener has that name or '
                            'address: closed')
        self.check_served(one, "a")
        self.assertEqual(ask(self.connect(daemon, "c"), "text"), "c")
        two.close()
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(address, 20)

    def test_for_another_process_are_not_ours(self):
        """LISTEN_PID of somebody else: its numbers mean nothing here."""
        daemon = self.start(self.config(a="127.0.0.1:0"), LISTEN_FDS="1", LISTEN_PID="1")
        self.assertEqual(ask(self.connect(daemon, "a"), "text"), "a")
        self.assertEqual(daemon.count_log("passed"), 0)

    def test_stay_open_over_a_reload(self):
        """And a Unix socket's file is the service manager's: it is not removed."""
        manager = self.stack.enter_context(Manager())
        path = os.path.dirname(manager.path) + "/passed.sock"
        one = self.stack.enter_context(socket.socket(socket.AF_UNIX))
        one.bind(path)
        one.listen()
        daemon = self.pass_sockets(self.config(a="127.0.0.1:1"), [one], "a")
        peer = self.connect(daemon, "a")
        log = daemon.reload(self.config(a="127.0.0.1:1").replace("text = a", "text = b"))
        self.assertFalse(any(re.search(" warn ", line) for line in log), log)
        settle(peer)
        self.assertEqual(ask(peer, "text"), "b")
        self.assertEqual(ask(self.connect(daemon, "a"), "text"), "b")
        daemon.stop()
        self.assertTrue(os.path.exists(path))


if __name__ == "__main__":
    main()
