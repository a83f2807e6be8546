#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""clients.py ROLE PORT OPTIONS: one of the client processes of soak.py, each with a table of
descriptors and a source address of its own. OPTIONS is a JSON object.

    idle   holds connections, each of which echoed a message at first and echoes one more at the
           end; meanwhile a few of them are asked in turn, and none may say or end anything by itself
    chaos  plays faults: peers that reset, half-close, read slowly or never, write single bytes, send
           much at once. Every byte that one of them is owed is compared
    probe  a connection after another that sends one message: what a bystander sees

Says "ready" once it is in full play, and, when a line or the end comes on standard input, ends what
is under way and prints what it saw as a line of JSON: counts, `lost` (a connection or an answer that
did not come although it was owed), `wrong` (other bytes than were sent), `unable` (the client's own
trouble), `reasons` (the first few of all these, in words).
"""

import asyncio
import errno
import json
import os
import random
import resource
import select
import socket
import struct
import sys
import threading
import time

KIB = 1024
# What stops a client before it has met the server.
OWN_TROUBLE = (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM)


class Seen:
    """What a client process has seen."""

    def __init__(self):
        self.counts = {"connections": 0, "messages": 0, "bytes": 0, "lost": 0, "wrong": 0, "unable": 0}
        self.reasons = []

    def add(self, name, n=1):
        self.counts[name] = self.counts.get(name, 0) + n

    def failed(self, what, why):
        """Charges a failure to the one whose it is."""
        if isinstance(why, OSError) and why.errno in OWN_TROUBLE:
            name = "unable"
        else:
            name = "wrong" if why == "wrong" else "lost"
        self.add(name)
        if len(self.reasons) < 8:
            self.reasons.append(f"{what}: {why if isinstance(why, str) else why or type(why).__name__}")

    def tell(self, **more):
        print(json.dumps({**self.counts, "reasons": self.reasons, **more}), flush=True)


def new_socket(options, rcvbuf=0):
    s = socket.socket()
    s.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT (ip(7)): the port at connect
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if rcvbuf:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    s.bind((options["source"], 0))
    return s


def linger_zero(s):
    """The next close is a reset."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# ---- idle ---------------------------------------------------------------------------------------


def message(number, turn):
    """No other connection, and no other turn of this one, has the same."""
    return struct.pack("!4sIIxxxx", b"idle", number, turn) * 4


class Idle:
    def __init__(self, port, options):
        self.port, self.options, self.seen = port, options, Seen()
        self.open = {}  # descriptor -> [socket, number, turn, what is still to come]
        self.poll = select.epoll()

    def connect(self, number):
        s = new_socket(self.options)
        try:
            s.settimeout(self.options["timeout"])
            s.connect(("127.0.0.1", self.port))
        except OSError as error:
            s.close()
            self.seen.failed(f"idle connection {number}", error)
            return
        s.setblocking(False)
        self.open[s.fileno()] = [s, number, 0, b""]
        self.poll.register(s, select.EPOLLIN | select.EPOLLRDHUP)
        self.seen.add("connections")

    def drop(self, fd, why):
        s, number, _, _ = self.open.pop(fd)
        s.close()
        self.seen.failed(f"idle connection {number}", why)

    def ask(self, fd):
        c = self.open[fd]
        if c[3]:
            return  # the last one is still under way
        c[2] += 1
        c[3] = message(c[1], c[2])
        try:
            c[0].send(c[3])
        except OSError as error:
            self.drop(fd, error)

    def hear(self, fd):
        c = self.open[fd]
        try:
            part = c[0].recv(4096)
        except BlockingIOError:
            return
        except OSError as error:
            self.drop(fd, error)
            return
        if not part:
            self.drop(fd, "the server ended it")
        elif not c[3].startswith(part):
            self.drop(fd, "wrong")
        else:
            c[3] = c[3][len(part):]
            self.seen.add("bytes", len(part))
            self.seen.add("messages", not c[3])

    def turn(self, wait):
        """Hears who has something to say. Whether standard input says that it is over."""
        over = False
        for fd, _ in self.poll.poll(wait):
            if fd == 0:
                over = True
            elif fd in self.open:
                self.hear(fd)
        return over

    def ask_all(self):
        """Each once, so many at a time that none of them is lost on the way."""
        self.await_answers()
        for i, fd in enumerate(list(self.open)):
            if fd in self.open:
                self.ask(fd)
            if i % 100 == 99:
                self.turn(0)
        self.await_answers()

    def await_answers(self):
        until = time.monotonic() + self.options["timeout"]
        while any(c[3] for c in self.open.values()) and time.monotonic() < until:
            self.turn(0.1)
        for fd in [fd for fd, c in self.open.items() if c[3]]:
            self.drop(fd, "no answer")

    def run(self):
        for number in range(self.options["first"], self.options["first"] + self.options["n"]):
            self.connect(number)
            if number % 100 == 0:
                self.turn(0)
        self.ask_all()
        print("ready", flush=True)
        self.poll.register(0, select.EPOLLIN)
        every = 1 / self.options["asked_per_second"]
        due = time.monotonic()
        dice = random.Random(1)
        order = []
        while not self.turn(max(0, due - time.monotonic())):
            if time.monotonic() >= due:
                due = max(due + every, time.monotonic() - 1)
                order = order or dice.sample(list(self.open), len(self.open))
                if order and (fd := order.pop()) in self.open:
                    self.ask(fd)
        self.poll.unregister(0)
        self.ask_all()
        self.seen.tell(held=len(self.open))


# ---- chaos --------------------------------------------------------------------------------------


class Wrong(Exception):
    pass


class Chaos:
    """Each kind has a few peers that play it again and again, so as many connections are in play at
    any time, and the server's memory has no reason to change."""

    # kind: how many peers, seconds between two plays of one
    KINDS = {
        "resets in mid-transfer": ("reset", 2, 0.1),
        "resets before accept": ("vanish", 1, 0.1),
        "half-closes": ("half_close", 2, 0.1),
        "slow readers": ("slow_reader", 4, 0.1),
        "never readers": ("never_reader", 3, 0.5),
        "one-byte writers": ("one_byte", 2, 0.3),
        "bursts": ("burst", 2, 0.5),
    }

    def __init__(self, port, options):
        self.port, self.options, self.seen = port, options, Seen()
        self.played = {kind: 0 for kind in self.KINDS}
        self.dice = random.Random(2)
        self.over = asyncio.Event()
        # A model that serves one connection at a time has room for one of these.
        self.room = asyncio.Semaphore(options["at_once"])

    async def send(self, s, data):
        await self.loop.sock_sendall(s, data)

    async def compare(self, s, data, piece=64 * KIB, pause=0.0):
        """Reads what `data` was answered with."""
        at = 0
        while at < len(data):
            part = await self.loop.sock_recv(s, min(piece, len(data) - at))
            if not part:
                raise ConnectionError("the server ended it")
            if part != data[at : at + len(part)]:
                raise Wrong()
            at += len(part)
            self.seen.add("bytes", len(part))
            if pause:
                await asyncio.sleep(pause)

    async def both(self, s, data, **how):
        """Sends and reads at once."""
        sending = asyncio.ensure_future(self.send(s, data))
        try:
            await self.compare(s, data, **how)
            await sending
        finally:
            sending.cancel()

    # What the peers do. A connection that returns is closed; it is reset where it has SO_LINGER.

    async def reset(self, s):
        await self.send(s, self.dice.randbytes(96 * KIB))
        await self.loop.sock_recv(s, 1)
        linger_zero(s)

    async def vanish(self, s):
        linger_zero(s)

    async def half_close(self, s):
        data = self.dice.randbytes(self.dice.choice((0, 1, 1000, 100 * KIB)))
        await self.send(s, data)  # no more than the kernel's buffers hold
        s.shutdown(socket.SHUT_WR)
        await self.compare(s, data)
        if await self.loop.sock_recv(s, 1):
            raise Wrong()

    async def slow_reader(self, s):
        await self.both(s, self.dice.randbytes(384 * KIB), piece=8 * KIB, pause=0.04)

    async def never_reader(self, s):
        """Sends until the server takes no more, and is owed nothing but to be dropped in time."""
        data = self.dice.randbytes(64 * KIB)
        try:
            while True:
                await asyncio.wait_for(self.send(s, data), 1)
        except asyncio.TimeoutError:
            pass
        except ConnectionError:
            return
        while s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
            await asyncio.sleep(0.1)

    async def one_byte(self, s):
        data = self.dice.randbytes(400)
        reading = asyncio.ensure_future(self.compare(s, data))
        try:
            for i in range(len(data)):
                await self.send(s, data[i : i + 1])
            await reading
        finally:
            reading.cancel()

    async def burst(self, s):
        await self.both(s, self.dice.randbytes(2048 * KIB))

    async def play(self, kind):
        name = self.KINDS[kind][0]
        small = {"slow_reader": 8 * KIB, "never_reader": 4 * KIB}.get(name, 0)
        with new_socket(self.options, small) as s:
            s.setblocking(False)
            await self.loop.sock_connect(s, ("127.0.0.1", self.port))
            self.seen.add("connections")
            await getattr(self, name)(s)

    async def peer(self, kind):
        while not self.over.is_set():
            try:
                async with self.room:
                    if not self.over.is_set():
                        await asyncio.wait_for(self.play(kind), self.options["timeout"])
                        self.played[kind] += 1
            except Wrong:
                self.seen.failed(kind, "wrong")
            except (OSError, asyncio.TimeoutError) as error:
                self.seen.failed(kind, error)
            try:
                await asyncio.wait_for(self.over.wait(), self.KINDS[kind][2])
            except asyncio.TimeoutError:
                pass

    async def main(self):
        self.loop = asyncio.get_running_loop()

        def listen():
            sys.stdin.readline()
            self.loop.call_soon_threadsafe(self.over.set)

        threading.Thread(target=listen, daemon=True).start()
        print("ready", flush=True)
        peers = [self.peer(kind) for kind, (_, n, _) in self.KINDS.items() for _ in range(n)]
        await asyncio.gather(*peers)
        self.seen.tell(played=self.played)


# ---- probe --------------------------------------------------------------------------------------


def probe(port, options):
    seen = Seen()
    seconds = []
    number = 0
    print("ready", flush=True)
    due = time.monotonic()
    while not select.select([0], [], [], max(0, due - time.monotonic()))[0]:
        due = max(due + 1 / options["per_second"], time.monotonic())
        number += 1
        said = message(number, 0)
        began = time.monotonic()
        try:
            with new_socket(options) as s:
                s.settimeout(options["timeout"])
                s.connect(("127.0.0.1", port))
                seen.add("connections")
                s.sendall(said)
                got = b""
                while len(got) < len(said):
                    part = s.recv(len(said) - len(got))
                    if not part:
                        raise ConnectionError("the server ended it")
                    got += part
            seconds.append(time.monotonic() - began)
            seen.add("messages")
            seen.add("bytes", len(got))
            if got != said:
                seen.failed("probe", "wrong")
        except OSError as error:
            seen.failed("probe", error)
    seen.tell(seconds=seconds)


def main():
    role, port, options = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if role == "idle":
        Idle(port, options).run()
    elif role == "chaos":
        # The event loop's objects are made inside it: earlier versions of Python bind them there.
        async def run():
            await Chaos(port, options).main()

        asyncio.run(run())
    else:
        probe(port, options)
    sys.stdout.flush()
    os._exit(0)  # chaos has a thread that waits for input


if __name__ == "__main__":
    main()
