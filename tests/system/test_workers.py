#!/usr/bin/env python3
"""How connections are spread over the workers."""

import collections
import os

from harness import Case, Manager, ask, listener, main, server


class Workers(Case):
    """The probe plugin tells which worker serves a connection."""

    def count(self, peers):
        """Connections of each worker."""
        return collections.Counter(ask(peer, "thread") for peer in peers)

    def test_have_threads_of_these_names(self):
        """And there are no others but the supervisor and the log."""
        daemon = self.start(server(workers=3) + listener("probe"))
        self.assertEqual(sorted(daemon.threads()),
                         ["corod", "corod-1", "corod-2", "corod-3", "corod-log"])

    def test_auto_is_one_for_each_cpu(self):
        """That the process may use: one here."""
        cpu = min(os.sched_getaffinity(0))
        daemon = self.start(server(workers="auto") + listener("probe"),
                            wrapper=("taskset", "--cpu-list", str(cpu)))
        daemon.wait_for_log(": 1 workers, ready")

    def test_connections_are_spread_evenly(self):
        """However many listeners they come by."""
        for workers in (1, 2, 3):
            daemon = self.start(server(workers=workers) + listener("probe") +
                                listener("probe", name="m"))
            peers = [self.connect(daemon, "lm"[i % 2]) for i in range(12)]
            self.assertEqual(self.count(peers), {f"corod-{i + 1}": 12 // workers
                                                 for i in range(workers)})
            for peer in peers:
                peer.close()
            daemon.stop()

    def test_the_least_loaded_gets_the_next(self):
        """Those of one worker end: the next go there. The status tells when they have ended."""
        manager = self.stack.enter_context(Manager())
        daemon = self.start(server(workers=3) + listener("probe"), NOTIFY_SOCKET=manager.path,
                            WATCHDOG_USEC="80000")
        peers = [self.connect(daemon) for _ in range(12)]
        for peer in peers:
            if ask(peer, "thread") == "corod-2":
                peer.close()
        manager.wait_for("STATUS=serving: 8 connections, 12 accepted")
        peers = [peer for peer in peers if peer.fileno() >= 0]
        new = [self.connect(daemon) for _ in range(4)]
        self.assertEqual(self.count(new), {"corod-2": 4})
        self.assertEqual(set(self.count(peers + new).values()), {4})

    def test_pin_workers(self):
        """Each has one CPU of those allowed, in turn; without it, all of them."""
        allowed = sorted(os.sched_getaffinity(0))
        for word in ("yes", "no"):
            daemon = self.start(server(f"pin_workers = {word}", workers=3) + listener("probe"))
            threads = daemon.threads()
            for i in range(3):
                self.assertEqual(threads[f"corod-{i + 1}"],
                                 {allowed[i % len(allowed)]} if word == "yes" else set(allowed))
            self.assertEqual(threads["corod"], set(allowed))
            daemon.stop()


if __name__ == "__main__":
    main()
