# SPDX-License-Identifier: MIT
"""One cell of the matrix: a scenario against a model. Holds what scenarios share: the servers they
start, what they expect, and what a cell may say instead of "ok"."""

import contextlib
import os
import threading
import time

import clients
import words
from server import Server

# What a server may have more than before. Its free lists keep 64 chunks of 4 KiB and 16 of 64 KiB
# and about a thousand ended connections of 0.25 KiB (1.6 MB together); io_uring's provided buffers
# are 1 MiB that is touched when first used; the rest is what malloc does not give back.
SLACK = 4 << 20
# Thread models: malloc has an arena for every few threads (up to 8 per processor), and each keeps
# up to 128 KiB free at its top (M_TRIM_THRESHOLD), more where a piece in use lies above.
ARENA_SLACK = 128 << 10


class Failure(Exception):
    """The server did something that it must not do."""


class Skip(Exception):
    """The scenario cannot be played on this machine; says why."""


class Trial:
    def __init__(self, options, model, number):
        self.options, self.model, self.number = options, model, number
        self.full = options.full
        self.slow = options.slow  # a sanitizer's build: how many times longer everything may take
        # An honest client's patience: a second. Where more tasks run than two for each processor, he
        # waits for the machine, not for the server; that is said beside what was measured.
        self.within = self.slow * max(1.0, os.getloadavg()[0] / (2 * (os.cpu_count() or 1)))
        self.reasons, self.omitted, self.notes, self.servers = [], [], [], []
        if self.within > self.slow:
            self.note(
                f"patience {self.within:.1f} s on a machine with a load of {os.getloadavg()[0]:g}"
            )

    # ---- what the model is ----

    @property
    def one(self):
        """One connection at a time."""
        return self.model == "blocking"

    @property
    def blocks(self):
        """A thread or process sits in recv(2) or send(2) for a connection."""
        return self.model in ("blocking", "fork", "threads", "threadpool")

    @property
    def stalls(self):
        """Whether a handler that does not return holds the other connections up."""
        return self.one or not self.blocks

    # ---- what is said ----

    def size(self, scaled, full):
        return full if self.full else scaled

    def expect(self, condition, text):
        if not condition:
            raise Failure(text)

    def limited(self, kind):
        """The model cannot do what the scenario asks of it, and words.py says why that is right.
        A model of which it says nothing has no excuse."""
        text = words.reason(kind, self.model)
        if text is None:
            raise Failure(f"no reason is known why {self.model} should be limited here ({kind})")
        if text not in self.reasons:
            self.reasons.append(text)

    def omit(self, text):
        """A part that this machine does not allow."""
        self.omitted.append("skipped a part: " + text)

    def note(self, text):
        self.notes.append(text)

    # ---- servers ----

    def serve(self, *options, **how):
        if self.model == "nonblocking" and "--poll-pause" not in options:
            # Without a pause it burns a processor by definition, and the other scenarios have none.
            options += ("--poll-pause", how.pop("pause", "1ms"))
        how.pop("pause", None)
        server = Server(self.options.pollux, self.model, options, self.slow, **how)
        self.servers.append(server)
        server.start()
        return server

    def probe(self, server, within=None):
        """An honest client: connects, is echoed correctly in time, leaves."""
        try:
            return server.how.get("probe", clients.probe)(server.address, within or self.within)
        except OSError as error:
            raise Failure(f"the probe was not echoed within {within or self.within:g} s: {error!r}")

    def unharmed(self, server):
        """After a scenario: who comes now is served, and nothing is left of what was."""
        latency = self.probe(server)
        self.note(f"probe {latency * 1e3:.1f} ms")
        self.expect_restored(server)

    def expect_restored(self, server, slack=SLACK):
        slack = max(slack, SLACK)
        if self.model in ("threads", "threadpool"):
            slack += 8 * (os.cpu_count() or 1) * ARENA_SLACK
        # A lingering connection ends after 2 s, an idle helper thread of libc after 1 s.
        until = time.monotonic() + 5 * self.slow
        while True:
            now, was = server.counts(), server.before
            kinds = ["descriptors", "threads", "children"]
            worse = [f"{k} {was[k]} -> {now[k]}" for k in kinds if now[k] > was[k]]
            if self.slow == 1 and now["memory"] > was["memory"] + slack:
                worse.append(f"memory {was['memory'] >> 10} -> {now['memory'] >> 10} KiB")
            if not worse:
                self.note(f"memory {(now['memory'] - was['memory']) / 1024:+.0f} KiB")
                return
            if time.monotonic() > until:
                raise Failure("not given back after the scenario: " + ", ".join(worse))
            time.sleep(0.05)

    @contextlib.contextmanager
    def bystander(self, server, among=None):
        """While the scenario goes on, an honest client comes again and again. Its worst wait is
        noted, and must be within its patience; where the model serves one at a time nobody comes.
        """
        if self.one:
            self.limited("one")
            yield None
            return
        stop, waits, errors = threading.Event(), [], []

        def come():
            while not stop.is_set():
                try:
                    waits.append(
                        server.how.get("probe", clients.probe)(server.address, self.within)
                    )
                except OSError as error:
                    errors.append(repr(error))
                    return
                stop.wait(0.05)

        thread = threading.Thread(target=come, daemon=True)
        thread.start()
        try:
            yield waits
        finally:
            stop.set()
            thread.join()
        if errors:
            raise Failure(
                f"another client was not served meanwhile ({among or 'probe'}): {errors[0]}"
            )
        if waits:
            self.note(f"others waited {max(waits) * 1e3:.1f} ms at most")

    # ---- the whole ----

    def run(self, function):
        try:
            function(self)
            for server in self.servers:
                if server.running:
                    self.unharmed(server)
                    status = server.stop()
                    self.expect(status == 0, f"exit {status} at the end: {server.errors()}")
            for server in self.servers:
                self.expect(not server.left(), f"processes are left: {server.left()}")
                server.check_report()
            state = "limited" if self.reasons else "partly" if self.omitted else "ok"
            self.reasons += self.omitted
        except Skip as skip:
            state, self.reasons = "skipped", [str(skip)]
        except (Failure, OSError, AssertionError) as error:
            state = "failed"
            text = str(error) if isinstance(error, Failure) else repr(error)
            said = [s.errors() for s in self.servers if s.errors()]
            self.reasons = [text] + ["the server said: " + " | ".join(said)[:2000]] * bool(said)
            if not isinstance(error, Failure):
                raise
        finally:
            for server in self.servers:
                server.kill()
        return {"state": state, "words": "; ".join(self.reasons), "notes": self.notes}
