#!/usr/bin/env python3
"""The hello service, asked by the clients that people have."""

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

from harness import SECONDS, Case, listener, main, receive, receive_all, server

ANSWER = b"Hello, World!"
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
CLIENT = Path(__file__).resolve().parents[2] / "conf/examples/client.py"


def run(*command, data=b""):
    """What a client program prints, given data on its standard input."""
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, timeout=SECONDS,
                          check=True).stdout


class Hello(Case):
    """One daemon; a connection each."""

    def setUp(self):
        super().setUp()
        self.daemon = self.start(server() + listener("hello"))
        self.port = self.daemon.port("l")

    def test_answers_the_client_of_the_asyncio_tutorial(self):
        """open_connection, write, read to the end."""
        async def ask():
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(REQUEST)
            await writer.drain()
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            return answer

        self.assertEqual(asyncio.run(asyncio.wait_for(ask(), SECONDS)), ANSWER)

    def test_answers_a_client_that_ends_its_side_first(self):
        """With a request before the end of the stream, and without one."""
        for request in (REQUEST, b""):
            peer = self.connect(self.daemon)
            peer.sendall(request)
            peer.shutdown(socket.SHUT_WR)
            self.assertEqual(receive_all(peer), ANSWER)

    def test_the_rest_of_a_request_resets_nothing(self):
        """The second segment comes after the answer: the answer is there, whole."""
        peer = self.connect(self.daemon)
        peer.sendall(REQUEST[:10])
        first = receive(peer, 1)
        peer.sendall(REQUEST[10:] * 1000)
        self.assertEqual(first + receive_all(peer), ANSWER)

    def test_a_long_request_resets_nothing(self):
        """Far more is on its way than is read before the answer, or has room in buffers."""
        peer = self.connect(self.daemon)
        peer.sendall(bytes(16 << 20))
        self.assertEqual(receive_all(peer), ANSWER)

    def test_answers_curl(self):
        """It has no header, so it is HTTP/0.9 to curl."""
        self.assertEqual(run("curl", "-sS", "--http0.9", f"http://127.0.0.1:{self.port}/"),
                         ANSWER)

    def test_answers_nc(self):
        """-N ends the stream after the input."""
        self.assertEqual(run("nc", "-N", "127.0.0.1", str(self.port), data=b"hi\n"), ANSWER)

    def test_answers_socat(self):
        """It ends its side, too, and waits for the answer."""
        self.assertEqual(run("socat", "-t", "10", "-", f"TCP:127.0.0.1:{self.port}",
                             data=b"hi\n"), ANSWER)

    def test_answers_the_sample_client(self):
        """conf/examples/client.py, as its users start it."""
        self.assertEqual(run(sys.executable, CLIENT, "127.0.0.1", str(self.port)), ANSWER)

    def test_a_client_that_connects_and_closes_harms_nobody(self):
        """Many of them; the next one is answered."""
        for _ in range(100):
            self.daemon.connect("l").close()
        self.assertEqual(run(sys.executable, CLIENT, "127.0.0.1", str(self.port)), ANSWER)


if __name__ == "__main__":
    main()
