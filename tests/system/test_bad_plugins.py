#!/usr/bin/env python3
"""What a plugin does wrong is reported, with its name, and harms as few as it can."""

import signal
import socket

from harness import Case, ask, is_over, listener, main, server

NO_CORE = ("prlimit", "--core=0")


class Overflow(Case):
    """By TCP, IPv6 and Unix sockets."""

    def overflow(self, address, shown, i=3):
        """Lets the i-th connection of the process overflow; the report shows its peer."""
        daemon = self.start(server() + listener("overflow", address=address) +
                            listener("echo", name="m"), wrapper=NO_CORE)
        bystanders = [self.connect(daemon, "m") for _ in range(i - 1)]
        for peer in bystanders:
            self.assertEqual(ask(peer, "hi"), "hi")
        peer = self.connect(daemon)
        name = shown(peer)
        peer.sendall(b"x")
        for each in (peer, *bystanders):
            self.assertTrue(is_over(each))
        daemon.wait(-signal.SIGABRT)
        report = [line for line in daemon.log if "fatal" in line]
        self.assertEqual(report, [
            "corod: fatal: stack overflow in task overflow (plugin overflow, listener l, "
            f"connection {i} from {name}): 16 KiB were not enough; raise stack_size or use less"])

    def test_is_reported_with_the_peer(self):
        """Plugin, listener, connection and peer are named, and how large the stack was."""
        self.overflow("127.0.0.1:0", lambda peer: "127.0.0.1:%d" % peer.getsockname()[1])

    def test_is_reported_with_an_ipv6_peer(self):
        """Its groups are written out."""
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError as error:
            self.skipTest(f"no IPv6 on the loopback: {error}")
        groups = ":".join(["0000"] * 7 + ["0001"])
        self.overflow("[::1]:0", lambda peer: f"[{groups}]:{peer.getsockname()[1]}")

    def test_is_reported_with_a_unix_peer(self):
        """Which has no name."""
        self.overflow("unix:{dir}/o.sock", lambda peer: "unix:")


class Lazy(Case):
    """It parks and never reads."""

    def test_ends_its_own_connection(self):
        """Not called again and again for the same bytes; the other listener is not concerned."""
        daemon = self.start(server(workers=1) + listener("lazy") + listener("echo", name="m"))
        other = self.connect(daemon, "m")
        for _ in range(3):
            peer = self.connect(daemon)
            peer.sendall(b"x")
            self.assertTrue(is_over(peer))
            self.assertEqual(ask(other, "hi"), "hi")
        daemon.wait_for_log("plugin lazy parks and leaves input unread: closed")


if __name__ == "__main__":
    main()
