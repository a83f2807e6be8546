#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Peers that behave in ways no good server does. peer.py KIND: prints its address, then serves one
connection that way."""
import signal
import socket
import struct
import sys


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def absorb(s):
    while s.recv(65536):
        pass


def silent(s):
    """Reads everything, answers nothing, never ends."""
    absorb(s)
    signal.pause()


def deaf(_):
    """Reads nothing."""
    signal.pause()


def resets(s):
    """Answers, reads to the half-close, breaks the connection."""
    s.sendall(b"half an ans")
    absorb(s)
    reset(s)


def resets_at_once(s):
    """Breaks the connection while the client has input to come."""
    s.recv(1)
    reset(s)


def floods(s):
    """Sends 64 MB, then ends."""
    for _ in range(1000):
        s.sendall(b"x" * 64000)


def late(s):
    """Answers only after the half-close, in pieces."""
    got = b""
    while True:
        piece = s.recv(65536)
        if not piece:
            break
        got += piece
    for i in range(len(got)):
        s.sendall(got[i : i + 1])


KINDS = {f.__name__: f for f in (silent, deaf, resets, resets_at_once, floods, late)}

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
kind = sys.argv[1]
if kind == "full":
    # A queue of length 0 holds one connection (listen(2)): the next SYN is not answered.
    listener.listen(0)
    crowd = [socket.socket() for _ in range(8)]
    for one in crowd:
        one.setblocking(False)
        one.connect_ex(listener.getsockname())
else:
    listener.listen(1)
print("127.0.0.1:%d" % listener.getsockname()[1], flush=True)
if kind == "full":
    signal.pause()
conn, _ = listener.accept()
try:
    KINDS[kind](conn)
except (BrokenPipeError, ConnectionResetError):
    pass
