#!/usr/bin/env python3
"""Limits: connections, time, descriptors."""

import threading
import time

from harness import (Case, ask, gather, is_over, is_silent, listener, main, receive,
                     receive_all, server, until)


def timed(function):
    """Seconds that a call takes."""
    start = time.monotonic()
    function()
    return time.monotonic() - start


class Connections(Case):
    """max_connections, of the server and of a listener."""

    def check_limit(self, daemon, n, name="l"):
        """Exactly n connections are served; gives them."""
        peers = [self.connect(daemon, name) for _ in range(n)]
        for peer in peers:
            self.assertRegex(ask(peer, "thread"), "corod-")
        for _ in range(3):
            self.assertTrue(is_over(self.connect(daemon, name)), "one too many is refused")
        for peer in peers:
            self.assertRegex(ask(peer, "thread"), "corod-")
        return peers

    def test_of_the_server_over_all_listeners(self):
        """Whichever listener they come by; the log says which limit it was."""
        daemon = self.start(server("max_connections = 5") + listener("probe", name="l") +
                            listener("probe", name="m"))
        self.check_limit(daemon, 5)
        self.assertTrue(is_over(self.connect(daemon, "m")))
        daemon.wait_for_log(r"connection limit reached \(\[server\] max_connections\)")
        self.assertEqual(daemon.count_log("connection limit"), 1, "one line a period")

    def test_of_a_listener(self):
        """The other listener is not concerned."""
        daemon = self.start(server() + listener("probe", "max_connections = 3") +
                            listener("probe", name="m"))
        self.check_limit(daemon, 3)
        self.check_limit_is_elsewhere(daemon)
        daemon.wait_for_log(r"l: connection limit reached \(max_connections of the listener\)")

    def check_limit_is_elsewhere(self, daemon):
        """Ten connections by the other listener."""
        for _ in range(10):
            self.assertRegex(ask(self.connect(daemon, "m"), "thread"), "corod-")

    def test_a_place_that_the_server_freed_is_free(self):
        """Whoever saw the server close one is admitted, each time, and never one too many."""
        daemon = self.start(server() + listener("probe", "max_connections = 2",
                                                "linger_timeout = 0"))
        kept = self.connect(daemon)
        ask(kept, "thread")
        for i in range(200):
            peer = daemon.connect("l")
            self.assertRegex(ask(peer, "thread"), "corod-", i)
            self.assertTrue(is_over(self.connect(daemon)), "one too many is refused")
            peer.sendall(b"close\n")
            self.assertEqual(receive_all(peer), b"")
            peer.close()
        ask(kept, "thread")

    def test_a_place_that_the_client_left_is_free(self):
        """Read to the end, closed, and back at once: the worker has yet to see it leave."""
        # Between TCP connections the kernel keeps no order: a SYN may overtake a FIN.
        daemon = self.start(server("max_connections = 1") +
                            listener("hello", address="unix:{dir}/l.sock"))
        for i in range(300):
            with daemon.connect("l") as peer:
                peer.sendall(b"hi")
                self.assertEqual(receive_all(peer), b"Hello, World!", i)

    def test_places_under_a_crowd_are_exact(self):
        """Threads that come and go: never more than the limit are served at a time."""
        limit = 4
        daemon = self.start(server(f"max_connections = {limit}") +
                            listener("probe", "linger_timeout = 0"))
        lock, served, seen = threading.Lock(), [0], []

        def count(by):
            with lock:
                served[0] += by
                seen.append(served[0])

        def come_and_go():
            for _ in range(40):
                with daemon.connect("l") as peer:
                    try:
                        ask(peer, "thread")
                    except (EOFError, ConnectionError):
                        continue
                    count(1)
                    count(-1)
                    peer.sendall(b"close\n")
                    is_over(peer)

        gather(*[come_and_go] * (2 * limit))
        self.assertLessEqual(max(seen), limit)
        self.assertGreaterEqual(len(seen), 2 * 40)
        self.check_limit(daemon, limit)


class Times(Case):
    """Timeouts, kept short; nothing ends before its time."""

    def serve(self, protocol, *lines):
        """A daemon with a listener of these lines."""
        return self.start(server() + listener(protocol, *lines))

    def test_idle_timeout(self):
        """Of one that never sent, and of one that was served; not before it is over."""
        daemon = self.serve("echo", "idle_timeout = 400ms")

        def sit(data):
            peer = self.connect(daemon)
            peer.sendall(data)
            self.assertEqual(receive(peer, len(data)), data)
            self.assertTrue(is_over(peer))

        for data in (b"", b"x"):
            self.assertGreaterEqual(timed(lambda data=data: sit(data)), 0.4)

    def test_idle_timeout_is_pushed_back_by_bytes(self):
        """A client that talks for four times as long, with pauses below the limit."""
        peer = self.connect(self.serve("echo", "idle_timeout = 500ms"))
        for _ in range(20):
            peer.sendall(b"x")
            self.assertEqual(receive(peer, 1), b"x")
            self.assertTrue(is_silent(peer, 0.1))

    def test_read_timeout(self):
        """A message that comes byte by byte has to be whole in time; slow bytes do not help."""
        daemon = self.serve("probe", "read_timeout = 500ms", "idle_timeout = 60s")
        slow, quick = self.connect(daemon), self.connect(daemon)
        quick.sendall(b"thr")
        self.assertRegex(ask(quick, "ead"), "corod-")

        # What a loop has slept through before does not count.
        self.assertTrue(is_silent(slow, 0.9))

        def trickle():
            slow.sendall(b"t")
            while is_silent(slow, 0.1):
                slow.sendall(b"t")

        took = timed(trickle)
        self.assertGreaterEqual(took, 0.5)
        self.assertLess(took, 5)
        self.assertRegex(ask(quick, "thread"), "corod-", "between messages is not reading")

    def test_write_timeout(self):
        """A peer that reads nothing is ended; one that reads slowly, but reads, is not."""
        daemon = self.serve("echo", "write_timeout = 500ms", "high_water = 1k")
        dead, slow, piece, total = self.connect(daemon), self.connect(daemon), bytes(1 << 20), 16

        def stuff():
            with self.assertRaises(ConnectionError):
                while True:
                    dead.sendall(piece)

        def send():
            for _ in range(total):
                slow.sendall(piece)

        def read():
            other = self.connect(daemon)
            for i in range(total):
                self.assertEqual(len(receive(slow, len(piece))), len(piece))
                self.assertTrue(i >= 10 or is_silent(other, 0.1))

        self.assertGreaterEqual(timed(stuff), 0.5)
        self.assertGreater(timed(lambda: gather(send, read)), 0.9)

    def test_linger_timeout(self):
        """A client that keeps its side open after the answer is let go in the end."""
        daemon = self.serve("hello", "linger_timeout = 300ms", "write_timeout = 0")
        n_files = daemon.n_files()
        peer = self.connect(daemon)
        peer.sendall(b"hi")
        self.assertEqual(receive_all(peer), b"Hello, World!")
        until(lambda: daemon.n_files() == n_files, "the end of the lingering")


class Descriptors(Case):
    """The end of the process's descriptors."""

    def test_no_descriptor_left(self):
        """Who is too many is told so, at little cost; the rest goes on, and room is used again."""
        daemon = self.start(server() + listener("probe"), n_files=64)
        daemon.wait_for_log("needs more descriptors than the limit of 64")
        n_files = daemon.n_files()
        peers = []
        while True:
            peer = self.connect(daemon)
            try:
                ask(peer, "thread")
            except (EOFError, ConnectionError):
                break
            peers.append(peer)
        self.assertGreater(len(peers), 32)
        daemon.wait_for_log("cannot accept: .*; refused")
        cpu = daemon.cpu_seconds()
        for i in range(20):
            self.assertTrue(is_over(self.connect(daemon)), "refused, and not left waiting")
            self.assertRegex(ask(peers[i], "thread"), "corod-")
        self.assertLess(daemon.cpu_seconds() - cpu, 0.5)
        self.assertEqual(daemon.count_log("cannot accept"), 1, "one line a period")
        for peer in peers[10:]:
            peer.close()
        # All 64 were in use, but for the one that is given up for a moment to refuse somebody.
        until(lambda: daemon.n_files() <= 64 - len(peers[10:]), "their sockets are closed")
        for _ in peers[10:]:
            self.assertRegex(ask(self.connect(daemon), "thread"), "corod-")


if __name__ == "__main__":
    main()
