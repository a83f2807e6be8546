#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An echo server that shares no line of code with Pollux, on Python's selectors: what a load
generator says it sent can be compared with what was served. It can also be a bad server, in one
way at a time, and then says on standard error what it did to whom, so that the generator's
diagnosis can be compared as well.

server.py MODE [OPTIONS]: prints "listening on ADDR"; at SIGTERM it prints
    served connections=C messages=M bytes=B left=L
where messages are of --size bytes, counted on each connection, and `left` is the sum of the bytes
that made no whole message. Offsets count from 0 in what one connection is answered, connections
from 0 in the order in which they were accepted. `head` is what a connection sent first."""
import argparse
import heapq
import os
import selectors
import signal
import socket
import struct
import sys
import time

MODES = """
echo     the same bytes
sink     nothing; what is counted is what came
corrupt  one wrong byte in every --every bytes of all answers together
short    the byte at --at of connection --connection is missing; --close: and that was all
long     a byte too many before the byte at --at of connection --connection
swap     from --at on, connections 0 and 1 are each given the other's answers
silent   connection --connection is answered up to --at, then no more; it stays open
close    the same, and it is closed
reset    the same, and it is reset
refuse   every connection is reset as soon as it is accepted
die      the process ends without a word after --after messages
slow     every answer comes --delay milliseconds late
"""
HIGH = 1 << 20  # bytes of answers that wait; above that a connection is not read


def say(what, conn, offset):
    print(
        f"{what} connection={conn.number} peer={conn.peer} head={conn.head.decode('latin-1')!r} offset={offset}",
        file=sys.stderr,
        flush=True,
    )


class Connection:
    def __init__(self, sock, peer, number):
        self.sock, self.number = sock, number
        self.peer = "%s:%d" % peer[:2] if isinstance(peer, tuple) else "-"
        self.head = b""  # the first bytes it sent: by them a generator's messages can be told apart
        self.out = bytearray()  # answers not yet written
        self.queued = 0  # bytes of answers since the beginning, before they are changed
        self.written = 0  # bytes the kernel has taken
        self.ending = False  # no more answers; the rest of them is written, then that is the end
        self.eof = self.shut = self.ended = False
        self.events = selectors.EVENT_READ


class Server:
    def __init__(self, options):
        self.options = options
        self.connections = {}
        self.number = self.bytes = self.messages = self.left = 0
        self.passed = 0  # bytes of all answers, for corrupt
        self.late = []  # heap of (due, order, connection, answer), for slow
        self.order = 0
        self.acted = self.asked = False
        self.selector = selectors.DefaultSelector()
        self.listener = self.listen(options.listen, options.port)
        self.selector.register(self.listener, selectors.EVENT_READ)

    def listen(self, address, port):
        if address.startswith("unix:"):
            s = socket.socket(socket.AF_UNIX)
            s.bind(address[5:])
            text = address
        else:
            s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((address, port))
            text = ("[%s]:%d" if ":" in address else "%s:%d") % s.getsockname()[:2]
        s.listen(4096)
        s.setblocking(False)
        print("listening on " + text, flush=True)
        return s

    # ---- one connection ----

    def accept(self):
        while True:
            try:
                sock, peer = self.listener.accept()
            except BlockingIOError:
                return
            conn = Connection(sock, peer, self.number)
            self.number += 1
            if self.options.mode == "refuse":
                self.reset(conn)
                continue
            sock.setblocking(False)
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections[conn.number] = conn
            self.selector.register(sock, conn.events, conn)

    def count(self, conn):
        size = self.options.size
        self.messages += conn.written // size
        self.left += conn.written % size

    def drop(self, conn):
        if conn.number in self.connections:
            self.selector.unregister(conn.sock)
            del self.connections[conn.number]
            self.count(conn)
        conn.ended = True
        conn.sock.close()

    def reset(self, conn):
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.drop(conn)

    def watch(self, conn):
        if conn.ending and not conn.out:
            if conn.eof:
                self.drop(conn)
                return
            # To close with input unread would be a reset, which takes answers away that are on
            # their way. So it is read until the peer has ended, too.
            if not conn.shut:
                conn.shut = True
                conn.sock.shutdown(socket.SHUT_WR)
        events = 0 if conn.eof or len(conn.out) > HIGH else selectors.EVENT_READ
        if conn.out:
            events |= selectors.EVENT_WRITE
        if events != conn.events:
            conn.events = events
            self.selector.modify(conn.sock, events, conn)

    def write(self, conn):
        if conn.ended:
            return
        try:
            while conn.out:
                n = conn.sock.send(conn.out)
                del conn.out[:n]
                conn.written += n
                self.bytes += n
        except BlockingIOError:
            pass
        except OSError:
            self.drop(conn)
            return
        try:
            self.watch(conn)
        except OSError:  # the peer has gone before our end
            self.drop(conn)

    def read(self, conn):
        try:
            data = conn.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            self.drop(conn)
            return
        if not data:
            conn.ending = conn.eof = True
            self.write(conn)
        if conn.ending:
            return
        conn.head += data[: 8 - len(conn.head)]
        getattr(self, "answer_" + self.options.mode)(conn, data)
        conn.queued += len(data)
        self.write(conn)

    # ---- what is answered, mode by mode ----

    def cut(self, conn, data):
        """The index of the byte at --at in these bytes; None if it is not here or not this one's."""
        i = self.options.at - conn.queued
        return i if conn.number == self.options.connection and 0 <= i < len(data) else None

    def answer_echo(self, conn, data):
        conn.out += data

    def answer_sink(self, conn, data):
        conn.written += len(data)
        self.bytes += len(data)

    def answer_corrupt(self, conn, data):
        answer = bytearray(data)
        every = self.options.every
        # The last byte of each --every bytes.
        i = every - 1 - self.passed % every
        while i < len(data):
            say("corrupt", conn, conn.queued + i)
            answer[i] ^= 0x01
            i += every
        self.passed += len(data)
        conn.out += answer

    def answer_short(self, conn, data):
        i = self.cut(conn, data)
        if i is None:
            conn.out += data
            return
        conn.out += data[:i] + data[i + 1 :]
        say("short", conn, conn.queued + i)
        conn.ending = self.options.close

    def answer_long(self, conn, data):
        i = self.cut(conn, data)
        if i is None:
            conn.out += data
            return
        conn.out += data[:i] + b"!" + data[i:]
        say("long", conn, conn.queued + i)

    def answer_swap(self, conn, data):
        other = self.connections.get(1 - conn.number) if conn.number < 2 else None
        if other is None or conn.queued < self.options.at:
            conn.out += data
            return
        if not self.acted:
            say("swap", conn, conn.queued)
        self.acted = True
        other.out += data
        self.write(other)

    def stop_at(self, conn, data):
        """Answers up to --at; true once that is reached."""
        if conn.number != self.options.connection:
            conn.out += data
            return False
        left = max(0, self.options.at - conn.queued)
        conn.out += data[:left]
        if len(data) >= left and not self.acted:
            self.acted = True
            say(self.options.mode, conn, conn.queued + left)
        return len(data) >= left

    def answer_silent(self, conn, data):
        self.stop_at(conn, data)

    def answer_close(self, conn, data):
        if self.stop_at(conn, data):
            conn.ending = True

    def answer_reset(self, conn, data):
        if self.stop_at(conn, data):
            self.write(conn)
            if not conn.ended:
                self.reset(conn)

    def answer_die(self, conn, data):
        conn.out += data
        self.write(conn)
        if self.bytes >= self.options.after * self.options.size:
            print("die", file=sys.stderr, flush=True)
            os._exit(1)

    def answer_slow(self, conn, data):
        self.order += 1
        heapq.heappush(self.late, (time.monotonic() + self.options.delay / 1000, self.order, conn, data))

    # ---- all of them ----

    def turn(self, most=None):
        """Waits, at most so many seconds, and serves; false if there was nothing to do."""
        timeout = max(0, self.late[0][0] - time.monotonic()) if self.late else most
        ready = self.selector.select(timeout)
        for key, events in ready:
            conn = key.data
            if key.fileobj is self.listener:
                self.accept()
            elif conn is None:
                key.fileobj.recv(1)
                self.asked = True
            else:
                if events & selectors.EVENT_WRITE:
                    self.write(conn)
                if events & selectors.EVENT_READ and not conn.ended:
                    self.read(conn)
        while self.late and self.late[0][0] <= time.monotonic():
            _, _, conn, data = heapq.heappop(self.late)
            if not conn.ended:
                conn.out += data
                self.write(conn)
        return bool(ready or self.late)

    def run(self):
        woken, wake = socket.socketpair()
        wake.setblocking(False)
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.set_wakeup_fd(wake.fileno())
        self.selector.register(woken, selectors.EVENT_READ)
        while not self.asked:
            self.turn()
        # What clients that have ended left behind still counts: connections that wait to be
        # accepted, bytes that wait to be read. One that stays and is silent does not keep it up.
        while self.turn(0.3 if self.connections else 0):
            pass
        for conn in self.connections.values():
            self.count(conn)
        print(f"served connections={self.number} messages={self.messages} bytes={self.bytes} left={self.left}", flush=True)


parser = argparse.ArgumentParser(
    description=__doc__, epilog=MODES, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("mode", choices=[line.split()[0] for line in MODES.strip().splitlines()])
parser.add_argument("--listen", default="127.0.0.1", help="127.0.0.1, ::1 or unix:PATH")
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--size", type=int, default=64, help="bytes of a message")
parser.add_argument("--at", type=int, default=0)
parser.add_argument("--connection", type=int, default=0)
parser.add_argument("--every", type=int, default=1000000)
parser.add_argument("--after", type=int, default=1000)
parser.add_argument("--delay", type=float, default=10)
parser.add_argument("--close", action="store_true")
Server(parser.parse_args()).run()
