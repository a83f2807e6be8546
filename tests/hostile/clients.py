# SPDX-License-Identifier: MIT
"""Clients, honest and otherwise."""

import os
import random
import selectors
import socket
import struct
import time


def connect(address, timeout=10.0, received=None, sent=None, source=None):
    """`received`, `sent`: sizes of the socket's buffers; they must be set before it connects."""
    s = socket.socket()
    s.settimeout(timeout)
    if received:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received)
    if sent:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sent)
    if source:
        s.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        s.bind((source, 0))
    try:
        s.connect(address)
    except OSError:
        s.close()
        raise
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def crowd(address, n, **how):
    return [connect(address, **how) for _ in range(n)]


def close_all(sockets):
    for s in sockets:
        s.close()


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def receive(s, n):
    """Exactly n bytes, or fewer when the peer has ended."""
    got = b""
    while len(got) < n:
        piece = s.recv(n - len(got))
        if not piece:
            break
        got += piece
    return got


def ask(s, data):
    """Seconds until the data were echoed."""
    begun = time.monotonic()
    s.sendall(data)
    got = receive(s, len(data))
    if got != data:
        raise OSError(f"echo of {data!r}: {got!r}")
    return time.monotonic() - begun


def _timed(address, within, converse):
    begun = time.monotonic()
    s = connect(address, within)
    try:
        s.settimeout(max(0.001, within - (time.monotonic() - begun)))
        converse(s)
    finally:
        s.close()
    took = time.monotonic() - begun
    if took > within:
        raise OSError(f"took {took:.3f} s")
    return took


def probe(address, within):
    """Seconds from connecting to the last byte of a correct echo. The text is one that the service
    capitalize leaves as it is."""
    return _timed(address, within, lambda s: ask(s, b"Probe " + os.urandom(8).hex().encode()))


def probe_end(address, within):
    """The same of a server that answers nothing: our end is answered by its own."""

    def converse(s):
        s.shutdown(socket.SHUT_WR)
        got = s.recv(1)
        if got:
            raise OSError(f"{got!r} instead of the end")

    return _timed(address, within, converse)


def probe_line(address, within):
    """The same of the example `lines`."""

    def converse(s):
        s.sendall(b"probe\n")
        got = receive(s, 9)
        if got != b"1: probe\n":
            raise OSError(f"{got!r} instead of the line")

    return _timed(address, within, converse)


def end_of(s, timeout):
    """How it ended ("fin", "reset"), or None; reads and drops what comes before."""
    s.settimeout(timeout)
    try:
        while s.recv(65536):
            pass
        return "fin"
    except (ConnectionResetError, BrokenPipeError):
        return "reset"
    except (TimeoutError, BlockingIOError):
        return None


class Pattern:
    """Bytes that follow from a seed and their place, so that a stream need not be kept to be
    compared. The period is odd, so that a piece that is lost or doubled shifts what follows."""

    PERIOD = 262147

    def __init__(self, seed):
        block = random.Random(seed).randbytes(self.PERIOD)
        self.block = memoryview(block * 2)

    def at(self, offset, n):
        start = offset % self.PERIOD
        return self.block[start : start + min(n, self.PERIOD)]


class Stream:
    """Sends a pattern and compares what comes back, byte by byte. `window` = how much may be
    unanswered."""

    def __init__(self, s, seed, total=None, window=None, piece=65536):
        self.socket, self.pattern, self.piece = s, Pattern(seed), piece
        self.total, self.window = total, window
        self.sent = self.got = 0
        self.sending, self.end = True, None
        s.setblocking(False)

    def wants(self):
        events = selectors.EVENT_READ
        if self.sending and self.total != self.sent and self._room() > 0:
            events |= selectors.EVENT_WRITE
        return events

    def _room(self):
        room = self.piece
        if self.window is not None:
            room = min(room, self.window - (self.sent - self.got))
        return room if self.total is None else min(room, self.total - self.sent)

    def write(self):
        try:
            self.sent += self.socket.send(self.pattern.at(self.sent, self._room()))
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            self.end = "reset"

    def read(self):
        try:
            data = self.socket.recv(262144)
        except BlockingIOError:
            return
        except ConnectionResetError:
            self.end = "reset"
            return
        if not data:
            self.end = "fin"
            return
        offset = 0
        while offset < len(data):
            want = self.pattern.at(self.got, len(data) - offset)
            if want != data[offset : offset + len(want)]:
                raise OSError(f"a wrong byte in the echo near offset {self.got}")
            self.got += len(want)
            offset += len(want)
        if self.got > self.sent:
            raise OSError(f"{self.got} bytes came back of {self.sent} sent")

    def done(self):
        return self.end is not None or (self.total is not None and self.got == self.total)


def pump(streams, seconds, until=None):
    """Turns the streams until all are done, or `until()` says so, or the time is over. True unless
    the time was over first."""
    limit = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream.socket, selectors.EVENT_READ, stream)
        while True:
            active = [stream for stream in streams if not stream.done()]
            if not active or (until and until()):
                return True
            if time.monotonic() > limit:
                return False
            for stream in streams:
                if stream.done():
                    if stream.socket in selector.get_map():
                        selector.unregister(stream.socket)
                else:
                    selector.modify(stream.socket, stream.wants(), stream)
            for key, events in selector.select(0.02):
                if events & selectors.EVENT_READ:
                    key.data.read()
                if events & selectors.EVENT_WRITE and not key.data.done():
                    key.data.write()
