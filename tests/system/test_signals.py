#!/usr/bin/env python3
"""Signals: the ways to stop, and reloading."""

import signal
import socket
import threading
import time
from pathlib import Path

from harness import (SANITIZER, Case, ask, gather, is_over, is_silent, listener, main,
                     receive, receive_all, seeded, server, settle, until)

PROBE = "[protocol:p]\nplugin = probe\n"


class Stop(Case):
    """SIGTERM and SIGINT."""

    def serve(self, protocol, *lines):
        """A daemon with one listener, and these lines for [server]."""
        return self.start(server(*lines) + listener(protocol))

    def test_drain_ends_the_parked_and_lets_the_running_finish(self):
        """By either signal: who was parked sees an end, who is served gets the answer."""
        for signo, name in ((signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "SIGINT")):
            daemon = self.serve("probe")
            fresh, parked = self.connect(daemon), self.connect(daemon)
            running = self.connect(daemon)
            ask(parked, "thread")
            self.assertEqual(ask(running, "hold"), "holding")
            daemon.send(signo)
            daemon.wait_for_log(f"{name}: draining 3 connections")
            for peer in (fresh, parked):
                self.assertEqual(receive_all(peer), b"")
                peer.close()
            with self.assertRaises(ConnectionRefusedError):
                daemon.connect("l")
            self.assertTrue(is_silent(running, 0.2))
            self.assertEqual(ask(running, "the last word"), "the last word")
            self.assertEqual(receive_all(running), b"")
            running.close()
            daemon.wait(0)
            daemon.wait_for_log("drained: 3 connections ended by themselves, 0 were cut")

    def test_drain_answers_what_was_asked_before(self):
        """Questions that the worker had not come to read when the stop came are answered."""
        daemon = self.start(server(workers=1) + listener("probe"))
        blocker, peers = self.connect(daemon), [self.connect(daemon) for _ in range(5)]
        for peer in peers[1:]:
            ask(peer, "thread")
        self.assertEqual(ask(blocker, "block"), "blocking")
        for peer in peers:
            peer.sendall(b"text\n")
        daemon.send(signal.SIGTERM)
        daemon.wait_for_log("draining 6 connections")
        blocker.close()
        for peer in peers:
            self.assertEqual(receive_all(peer), b"probe\n")
            peer.close()
        daemon.wait(0)

    def test_drain_timeout_cuts_who_waits_with_unread_bytes(self):
        """Urgent data hides what lies behind it until the next edge: such a client waits with
        input, and no event is on the way. It cannot keep the daemon from a good end."""
        daemon = self.serve("echo", "drain_timeout = 200ms")
        peer = self.connect(daemon)
        peer.sendall(b"0")
        self.assertEqual(receive(peer, 1), b"0")
        daemon.send(signal.SIGSTOP)
        stat = Path(f"/proc/{daemon.pid}/stat")
        until(lambda: ") T " in stat.read_text(), "the daemon stands still")
        peer.sendall(b"a")
        peer.send(b"!", socket.MSG_OOB)
        peer.sendall(b"b")
        daemon.send(signal.SIGCONT)
        self.assertEqual(receive(peer, 1), b"a")
        daemon.send(signal.SIGTERM)
        daemon.wait(0)

    def test_drain_timeout_cuts_who_heeds_it(self):
        """Their awaits are cancelled, they say good-bye, and the end is a good one."""
        daemon = self.serve("probe", "drain_timeout = 300ms")
        peers = [self.connect(daemon) for _ in range(3)]
        for peer in peers:
            self.assertEqual(ask(peer, "wait"), "waiting")
        daemon.send(signal.SIGTERM)
        for peer in peers:
            self.assertEqual(receive_all(peer), b"cancelled\n")
            peer.close()
        daemon.wait(0)
        daemon.wait_for_log("drained: 0 connections ended by themselves, 3 were cut")

    def test_who_does_not_heed_it_makes_a_bad_end(self):
        """The daemon gives up, says so, and ends with status 1."""
        daemon = self.serve("stubborn", "drain_timeout = 100ms")
        peer = self.connect(daemon)
        peer.sendall(b"x")
        self.assertEqual(receive(peer, 8), b"staying\n")
        daemon.send(signal.SIGTERM)
        daemon.wait(1)
        daemon.wait_for_log("1 connections do not end: giving up")

    def test_a_second_signal_ends_at_once(self):
        """Whichever two they are; the status is 1 and the log says what was lost."""
        for first, second in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT),
                              (signal.SIGINT, signal.SIGTERM)):
            daemon = self.serve("probe")
            peer = self.connect(daemon)
            self.assertEqual(ask(peer, "wait"), "waiting")
            daemon.send(first)
            daemon.wait_for_log("draining 1 connections")
            daemon.send(second)
            self.assertTrue(is_over(peer))
            daemon.wait(1)
            daemon.wait_for_log("again: 1 connections are cut")

    def test_a_drain_of_nothing_is_immediate(self):
        """Nobody is connected, drain_timeout is long."""
        daemon = self.serve("echo", "drain_timeout = 1h")
        daemon.stop()
        daemon.wait_for_log("drained: 0 connections ended")


class Reload(Case):
    """SIGHUP."""

    def test_a_good_reload_changes_what_can_be(self):
        """Plugin options and limits, also of those who are parked; the log's level."""
        daemon = self.start(server() + listener("p") + PROBE + "text = old\n")
        parked, running = self.connect(daemon), self.connect(daemon)
        self.assertEqual(ask(parked, "text"), "old")
        self.assertEqual(ask(running, "hold"), "holding")
        log = daemon.reload(server("max_connections = 3", "log_level = debug") +
                            listener("p", "max_connections = 3") + PROBE + "text = new\n")
        self.assertEqual([line for line in log if " warn " in line], [])
        settle(parked)
        self.assertEqual(ask(parked, "text"), "new")
        self.assertEqual(ask(running, "goes on"), "goes on")
        self.assertEqual(ask(running, "text"), "new")
        third = self.connect(daemon)
        self.assertEqual(ask(third, "text"), "new")
        self.assertTrue(is_over(self.connect(daemon)), "max_connections is 3 now")
        self.assertEqual(ask(third, "close!"), "?")
        third.close()
        daemon.wait_for_log(" debug .*closed: ok")

    def test_new_limits_hold_for_parked_connections(self):
        """A timeout that a reload brings ends those who are over it."""
        daemon = self.start(server() + listener("probe", "idle_timeout = 0"))
        parked = self.connect(daemon)
        ask(parked, "thread")
        daemon.reload(server() + listener("probe", "idle_timeout = 200ms"))
        self.assertTrue(is_over(parked))

    def test_reloads_do_not_put_a_timeout_off(self):
        """However often they come."""
        text = server() + listener("probe", "idle_timeout = 500ms")
        daemon = self.start(text)
        parked = self.connect(daemon)
        ask(parked, "thread")
        start = time.monotonic()
        while is_silent(parked, 0.05):
            daemon.reload(text)
            self.assertLess(time.monotonic() - start, 5)

    def test_another_protocol(self):
        """New connections get it; those of the other plugin end with it."""
        daemon = self.start(server() + listener("echo"))
        old = self.connect(daemon)
        self.assertEqual(ask(old, "text"), "text")
        daemon.reload(server() + listener("p") + PROBE + "text = new\n")
        self.assertEqual(ask(old, "text"), "text")
        self.assertEqual(ask(self.connect(daemon), "text"), "new")

    def test_a_bad_reload_changes_nothing(self):
        """Each error is logged, and the old configuration serves on."""
        daemon = self.start(server() + listener("p") + PROBE + "text = old\n")
        parked = self.connect(daemon)
        self.assertEqual(ask(parked, "text"), "old")
        log = daemon.reload(server("log_level = loud") + listener("p", "idle_timeot = 1s") +
                            PROBE + "text = new\n", is_good=False)
        for what in ("corod.ini:3: [server] log_level: ",
                     "corod.ini:7: [listener:l]: unknown key \"idle_timeot\"",
                     "the old configuration goes on"):
            self.assertTrue(any(what in line for line in log), (what, log))
        self.assertEqual(ask(parked, "text"), "old")
        self.assertEqual(ask(self.connect(daemon), "text"), "old")

    def test_a_file_that_is_gone_changes_nothing(self):
        """It is named."""
        daemon = self.start(server() + listener("probe"))
        daemon.path.unlink()
        log = daemon.reload(is_good=False)
        self.assertTrue(any("corod.ini: No such file" in line for line in log), log)
        ask(self.connect(daemon), "thread")

    def test_a_plugin_that_does_not_open_changes_nothing(self):
        """What it says is logged."""
        daemon = self.start(server() + listener("p") + PROBE + "text = old\n")
        log = daemon.reload(server() + listener("p") + PROBE + "fail = yes\ntext = new\n",
                            is_good=False)
        self.assertTrue(any("[protocol:p] plugin probe: told to fail" in line for line in log),
                        log)
        self.assertEqual(ask(self.connect(daemon), "text"), "old")
        daemon.reload(server() + listener("p") + PROBE + "text = new\n")
        self.assertEqual(ask(self.connect(daemon), "text"), "new")

    def test_what_needs_a_restart_is_named(self):
        """Keys of the daemon and of a plugin, listeners that come and go; the rest is taken."""
        daemon = self.start(server(workers=1) + listener("p") + listener("echo", name="gone") +
                            PROBE)
        log = daemon.reload(server(workers=2) +
                            listener("p", "backlog = 7", address="127.0.0.1:0, [::1]:0") +
                            listener("hello", name="come", address="unix:@corod-come") +
                            PROBE + "start = x\ntext = new\n")
        for what in ("[server] workers: takes effect at the next restart",
                     "[listener:l] address: takes effect", "[listener:l] backlog: takes effect",
                     "[protocol:p] start: takes effect", "[listener:gone]: is removed",
                     "[listener:come]: is new"):
            self.assertTrue(any(what in line for line in log), (what, log))
        self.assertEqual(ask(self.connect(daemon), "text"), "new")
        self.assertEqual(ask(self.connect(daemon, "gone"), "still here"), "still here")

    def test_a_reload_during_a_drain_is_put_off(self):
        """It is said, and disturbs nothing."""
        daemon = self.start(server() + listener("probe"))
        peer = self.connect(daemon)
        self.assertEqual(ask(peer, "hold"), "holding")
        daemon.send(signal.SIGTERM)
        daemon.wait_for_log("draining")
        daemon.send(signal.SIGHUP)
        daemon.wait_for_log("reload: not now")
        self.assertEqual(ask(peer, "end"), "end")
        peer.close()
        daemon.wait(0)

    def test_50_reloads_under_load(self):
        """Nobody notices; neither descriptors nor memory grow."""
        configs = [server() + listener("echo", f"idle_timeout = {60 + i}s") +
                   listener("p", name="m") + PROBE + f"text = {'x' * i}\n" for i in (0, 1)]
        daemon, rng, is_done = self.start(configs[0]), seeded(self), threading.Event()
        sizes = [[rng.randint(1, 9000) for _ in range(50)] for _ in range(8)]
        rounds = [0]

        def load(plan):
            peer = daemon.connect("l")
            while rounds[0] < len(sizes) or not is_done.is_set():
                for size in plan:
                    peer.sendall(bytes(size))
                    self.assertEqual(len(receive(peer, size)), size)
                peer.close()
                peer = daemon.connect("l")
                rounds[0] += 1
            peer.close()

        def reload():
            try:
                seen = None
                for i in range(50):
                    daemon.reload(configs[(i + 1) % 2])
                    if i == 9:
                        seen = daemon.n_files(), daemon.resident(), daemon.status("Threads")
                self.assertEqual(daemon.status("Threads"), seen[2])
                growth = daemon.resident() - seen[1]
                self.assertLess(growth, (16 if SANITIZER else 2) * 1024, "KiB")
            finally:
                is_done.set()

        n_files = daemon.n_files()
        gather(reload, *[lambda plan=plan: load(plan) for plan in sizes])
        until(lambda: daemon.n_files() == n_files, "as many descriptors as before")


if __name__ == "__main__":
    main()
