#!/usr/bin/env python3
"""Clients of every kind for a while, with reloads going on: nothing breaks, nothing leaks.
COROD_SEED repeats a run, COROD_SOAK is its length in seconds."""

import os
import random
import socket
import threading
import time

from harness import (SANITIZER, Case, ask, gather, is_over, is_silent, listener, main,
                     receive, receive_all, reset, seeded, server, until)

SOAK_SECONDS = float(os.environ.get("COROD_SOAK", 10))
N_CLIENTS = 24
HELLO = b"Hello, World!"


def config(i):
    """Generation i: what a reload can change, changes."""
    times = [f"idle_timeout = {i % 3 + 2}s", f"write_timeout = {i % 2 + 2}s",
             "linger_timeout = 500ms", f"high_water = {4 << i % 4}k"]
    return (server("drain_timeout = 10s", f"log_level = {('info', 'debug')[i % 2]}") +
            listener("echo", *times, name="echo", address="127.0.0.1:0, unix:{dir}/echo.sock") +
            listener("hello", *times, name="hello") + listener("p", *times, name="probe") +
            f"[protocol:p]\nplugin = probe\ntext = {'t' * (i % 5 + 1)}\n")


class Client:
    """One client: connects, behaves in one of many ways, and again."""

    def __init__(self, daemon, seed):
        self.daemon, self.rng = daemon, random.Random(seed)
        self.pacer = daemon.connect("echo")  # silent for as long as a pause is to be
        self.done = {}

    def connect(self, name):
        """To one of the listener's addresses."""
        return self.daemon.connect(name, self.rng.randrange(len(self.daemon.ports[name])))

    def pause(self, most):
        """For a random time."""
        if not is_silent(self.pacer, self.rng.uniform(0.001, most)):
            self.pacer.close()  # idle_timeout: it has paused enough
            self.pacer = self.daemon.connect("echo")

    def data(self, most=17):
        """Random bytes, small sizes as likely as large ones."""
        return self.rng.randbytes(int(2 ** self.rng.uniform(0, most)))

    def talk(self, test):
        """Question and answer with pauses, and a half-close at the end."""
        with self.connect("echo") as peer:
            for _ in range(self.rng.randint(1, 5)):
                data = self.data(15)
                peer.sendall(data)
                test.assertEqual(receive(peer, len(data)) == data, True)
                self.pause(0.05)
            data = self.data(15)
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
            test.assertEqual(receive_all(peer) == data, True)

    def greet(self, test):
        """The hello service, in one segment or two, its end first or not."""
        with self.connect("hello") as peer:
            if self.rng.random() < 0.8:
                peer.sendall(self.data(12))
                if self.rng.random() < 0.3:
                    peer.shutdown(socket.SHUT_WR)
            else:
                peer.shutdown(socket.SHUT_WR)
            test.assertEqual(receive_all(peer), HELLO)

    def question(self, test):
        """The plugin that has options: some generation's."""
        with self.connect("probe") as peer:
            for _ in range(self.rng.randint(1, 10)):
                test.assertRegex(ask(peer, "text"), "^t{1,5}$")

    def reset(self, _):
        """With something on its way, perhaps."""
        peer = self.connect(self.rng.choice(["echo", "hello", "probe"]))
        if self.rng.random() < 0.7:
            peer.sendall(self.data())
        reset(peer)

    def vanish(self, _):
        """Closes without a word, with something unread, perhaps."""
        with self.connect(self.rng.choice(["echo", "hello", "probe"])) as peer:
            if self.rng.random() < 0.7:
                peer.sendall(self.data())
                if self.rng.random() < 0.5:
                    self.pause(0.02)

    def slow(self, test):
        """Reads what it has sent at leisure."""
        with self.connect("echo") as peer:
            data = self.data(18)
            peer.sendall(data[:30000])
            got = receive(peer, min(len(data), 30000) // 2)
            self.pause(0.1)
            got += receive(peer, min(len(data), 30000) - len(got))
            test.assertEqual(got == data[:30000], True)

    def stuff(self, _):
        """Sends and never reads, until it is ended or goes."""
        with self.connect("echo") as peer:
            peer.settimeout(0.2)
            try:
                for _ in range(64):
                    peer.sendall(bytes(65536))
            except (TimeoutError, ConnectionError):
                pass

    def idle(self, test):
        """Waits to be ended."""
        with self.connect(self.rng.choice(["echo", "probe"])) as peer:
            test.assertTrue(is_over(peer))

    def run(self, test, is_over_by):
        """Until the time is over."""
        kinds = [self.talk, self.greet, self.question, self.reset, self.vanish, self.slow]
        with self.pacer:
            while time.monotonic() < is_over_by:
                kind = self.rng.choice(kinds * 10 + [self.stuff, self.idle])
                kind(test)
                self.done[kind.__name__] = self.done.get(kind.__name__, 0) + 1
            self.pacer.close()


class Soak(Case):
    """All at once."""

    def test_mixed_clients_and_reloads(self):
        """At the end: as many descriptors as at the start, no connection, status 0."""
        rng, is_done = seeded(self), threading.Event()
        daemon = self.start(config(0))
        n_files, n_threads = daemon.n_files(), daemon.status("Threads")
        end = time.monotonic() + SOAK_SECONDS
        clients = [Client(daemon, rng.random()) for _ in range(N_CLIENTS)]
        reloads = [0]

        def reload():
            while not is_done.wait(0.1):
                reloads[0] += 1
                daemon.reload(config(reloads[0]))

        def run():
            try:
                gather(*[lambda c=c: c.run(self, end) for c in clients])
            finally:
                is_done.set()

        gather(run, reload)
        total = {}
        for client in clients:
            for kind, n in client.done.items():
                total[kind] = total.get(kind, 0) + n
        print(f"{reloads[0]} reloads, {total}", flush=True)
        self.assertGreater(reloads[0], SOAK_SECONDS)
        for kind in ("talk", "greet", "question", "reset", "vanish", "slow"):
            self.assertGreater(total[kind], N_CLIENTS)
        for name, addresses in daemon.ports.items():
            for i in range(len(addresses)):  # served, so all before it have been accepted
                with daemon.connect(name, i) as peer:
                    peer.sendall(b"text\n")
                    self.assertTrue(receive(peer, 2))
        until(lambda: daemon.n_files() == n_files, "as many descriptors as at the start")
        self.assertEqual(daemon.status("Threads"), n_threads)
        self.assertLess(daemon.resident(), (256 if SANITIZER else 32) * 1024, "KiB")
        daemon.reload()  # by then the supervisor knows of all that have ended before
        daemon.stop()
        daemon.wait_for_log("draining 0 connections")
        daemon.wait_for_log("drained: 0 connections ended by themselves, 0 were cut")


if __name__ == "__main__":
    main()
