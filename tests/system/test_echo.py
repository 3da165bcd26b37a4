#!/usr/bin/env python3
"""The echo service: everything comes back, in order, whatever the client does."""

import asyncio
import os
import socket
import subprocess

from harness import (SANITIZER, SECONDS, Case, Daemon, gather, is_over, listener, main, receive,
                     receive_all, reset, seeded, server, until)

ADDRESSES = "127.0.0.1:0, [::1]:0, unix:{dir}/echo.sock, unix:@corod-test-{pid}"
MIB = 1 << 20


def has_ipv6():
    """Whether the loopback has an IPv6 address."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def echo(*lines, address="127.0.0.1:0"):
    """A config with one echo listener."""
    return server() + listener("echo", *lines, address=address)


class Echo(Case):
    """Bytes, sizes, ends."""

    def test_asyncio_streams_in_order(self):
        """Lines one by one, then many at once."""
        daemon = self.start(echo())

        async def talk():
            reader, writer = await asyncio.open_connection("127.0.0.1", daemon.port("l"))
            for i in range(100):
                writer.write(b"line %d\n" % i)
                await writer.drain()
                self.assertEqual(await reader.readline(), b"line %d\n" % i)
            burst = b"".join(b"burst %d\n" % i for i in range(1000))
            writer.write(burst)
            self.assertEqual(await reader.readexactly(len(burst)), burst)
            writer.write_eof()
            self.assertEqual(await reader.read(), b"")
            writer.close()
            await writer.wait_closed()

        asyncio.run(asyncio.wait_for(talk(), SECONDS))

    def test_nc_and_socat(self):
        """They end their side and get all they sent."""
        port = str(self.start(echo()).port("l"))
        data = os.urandom(300000)
        for command in (["nc", "-N", "127.0.0.1", port],
                        ["socat", "-t", str(SECONDS), "-", f"TCP:127.0.0.1:{port}"]):
            answer = subprocess.run(command, input=data, stdout=subprocess.PIPE,
                                    timeout=SECONDS, check=True).stdout
            self.assertEqual(answer == data, True, command[0])

    def test_byte_by_byte(self):
        """Each byte comes back before the next is sent."""
        peer = self.connect(self.start(echo()))
        for i in range(1000):
            peer.sendall(bytes([i % 256]))
            self.assertEqual(receive(peer, 1), bytes([i % 256]))

    def test_every_kind_of_address(self):
        """IPv4, IPv6, a Unix socket with a path, and an abstract one. The path goes at the end."""
        addresses = ADDRESSES.replace("{pid}", str(os.getpid()))
        if not has_ipv6():
            print("without [::1]: the loopback has no IPv6 address")
            addresses = addresses.replace("[::1]:0, ", "")
        daemon = self.start(echo(address=addresses))
        self.assertEqual(len(daemon.ports["l"]), len(addresses.split(",")))
        for i in range(len(daemon.ports["l"])):
            peer = self.connect(daemon, i=i)
            peer.sendall(b"hi")
            peer.shutdown(socket.SHUT_WR)
            self.assertEqual(receive_all(peer), b"hi", daemon.ports["l"][i])
        path = daemon.folder / "echo.sock"
        self.assertTrue(path.is_socket())
        daemon.stop()
        self.assertFalse(path.exists())

    def test_the_path_of_a_dead_daemon_is_taken_over(self):
        """A socket file that nobody listens on is no obstacle; another file is."""
        path = self.start(echo()).folder / "left.sock"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        self.start(echo(address=f"unix:{path}")).stop()
        path.write_text("mine")
        daemon = Daemon(echo(address=f"unix:{path}"), ready=False)
        with daemon:
            daemon.wait_for_log("cannot listen on unix:.*left.sock")
            daemon.wait(1)
        self.assertEqual(path.read_text(), "mine")

    def test_200_clients_at_once(self):
        """Random sizes, some end their side first; each gets its own bytes back."""
        daemon, rng = self.start(echo()), seeded(self)
        plans = [[rng.randbytes(int(2 ** rng.uniform(0, 16))) for _ in range(rng.randint(1, 8))]
                 for _ in range(200)]

        async def talk(plan):
            reader, writer = await asyncio.open_connection("127.0.0.1", daemon.port("l"))
            for data in plan:
                writer.write(data)
                self.assertEqual(await reader.readexactly(len(data)) == data, True)
            writer.write(plan[0])
            writer.write_eof()
            self.assertEqual(await reader.read() == plan[0], True)
            writer.close()
            await writer.wait_closed()

        async def all_of_them():
            await asyncio.gather(*map(talk, plans))

        asyncio.run(asyncio.wait_for(all_of_them(), 3 * SECONDS))

    def test_64_mib_through_one_connection(self):
        """A client that sends and reads at its own pace, with a half-close at the end."""
        daemon = self.start(echo())
        peer, piece, total = self.connect(daemon), os.urandom(MIB), 64

        def send():
            for _ in range(total):
                peer.sendall(piece)
            peer.shutdown(socket.SHUT_WR)

        def check():
            for _ in range(total):
                self.assertEqual(receive(peer, MIB) == piece, True)
            self.assertEqual(receive(peer, 1), b"")

        before = daemon.resident()
        gather(send, check)
        self.assertLess(daemon.resident() - before, (16 if SANITIZER else 2) * 1024, "KiB")

    def test_peers_that_never_read_cost_bounded_memory(self):
        """Each is stopped being read at high_water, and ended by write_timeout."""
        daemon = self.start(echo("write_timeout = 3s", "high_water = 64k"))
        n_files = daemon.n_files()
        peers = [self.connect(daemon) for _ in range(20)]
        before, piece = daemon.resident(), bytes(256 * 1024)

        def stuff(peer):
            peer.settimeout(0.5)
            with self.assertRaises(TimeoutError):
                for _ in range(256):  # 64 MiB, more than the kernel's buffers take
                    peer.sendall(piece)

        gather(*[lambda peer=peer: stuff(peer) for peer in peers])
        # A block of input and output beyond high_water each; instruments take their share.
        self.assertLess(daemon.resident() - before, len(peers) * (512 if SANITIZER else 256),
                        "KiB")
        for peer in peers:
            peer.settimeout(SECONDS)
            with self.assertRaises(ConnectionError):
                while True:
                    peer.sendall(piece)
        until(lambda: daemon.n_files() == n_files, "the daemon closes their sockets")

    def test_half_close_drains_what_waits(self):
        """A slow reader that has ended its side gets all that was echoed."""
        daemon = self.start(echo())
        peer, data = self.connect(daemon), os.urandom(4 * MIB)

        def send():
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)

        def slow():
            got = receive(peer, 4096)
            while piece := peer.recv(70000):
                got += piece
            self.assertEqual(got == data, True)

        gather(send, slow)

    def test_resets_in_the_middle_harm_nobody_else(self):
        """Peers reset while input, output and a parked connection are under way."""
        daemon = self.start(echo())
        bystander = self.connect(daemon)
        for i in range(300):
            peer = daemon.connect("l")
            if i % 3 > 0:
                peer.sendall(bytes(100000 if i % 3 == 2 else 10))
            if i % 2:
                receive(peer, 1 if i % 3 > 0 else 0)
            reset(peer)
            bystander.sendall(b"still here")
            self.assertEqual(receive(bystander, 10), b"still here")
        bystander.shutdown(socket.SHUT_WR)
        self.assertTrue(is_over(bystander))


if __name__ == "__main__":
    main()
