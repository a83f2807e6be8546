# SPDX-License-Identifier: MIT
"""Scenarios 12 to 15 and 27: more peers than there is room for, and peers that come and go fast."""

import random
import re
import selectors
import socket
import struct
import threading
import time

import clients

# ---- 12: over the limit --------------------------------------------------------------------------


def pool_of(trial, n):
    return ("--pool-size", str(n)) * (trial.model == "threadpool")


def over_the_limit(trial):
    """As many as may be, and a hundred more, who are refused by a close; room reappears."""
    most, extra = trial.size(50, 900), 100
    if trial.one:
        trial.limited("refuse")
        return queue_of_one(trial)
    server = trial.serve("--max-connections", str(most), *pool_of(trial, most))
    inside = clients.crowd(server.address, most)
    for s in inside:
        clients.ask(s, b"in")
    for s in clients.crowd(server.address, extra):
        how = clients.end_of(s, trial.within)
        trial.expect(how is not None, "one too many was neither served nor refused")
        s.close()
    stats = server.until_stats(lambda s: s["refused"] == extra)
    trial.expect(stats["refused"] == extra, f"{stats['refused']} counted as refused of {extra}")
    for s in inside:
        clients.ask(s, b"still in")
    clients.close_all(inside[: most // 2])
    again = [admitted(trial, server) for _ in range(most // 2)]
    for s in again + inside[most // 2 :]:
        clients.ask(s, b"in again")
    clients.close_all(again + inside[most // 2 :])
    trial.expect_restored(server)  # a process holds its place until it is gone
    over_the_limit_of_one(trial)
    if trial.model == "threadpool":
        over_the_queue(trial)
    return None


def admitted(trial, server):
    """A connection that is served, at the latest when patience ends: a place is free again when the
    thread or process of who left is gone, which is a moment later."""
    until = time.monotonic() + trial.within
    while True:
        s = clients.connect(server.address, timeout=trial.within)
        try:
            clients.ask(s, b"me?")
            return s
        except OSError as error:
            s.close()
            trial.expect(time.monotonic() < until, f"no room where some have left: {error!r}")
            time.sleep(0.01)


def over_the_limit_of_one(trial):
    """The limit of one address leaves room for another."""
    server = trial.serve("--max-per-ip", "3", *pool_of(trial, 8))
    inside = clients.crowd(server.address, 3, source="127.0.0.2")
    for s in inside:
        clients.ask(s, b"in")
    fourth = clients.connect(server.address, source="127.0.0.2")
    how = clients.end_of(fourth, trial.within)
    trial.expect(how is not None, "a fourth of an address that may have three is served")
    fourth.close()
    trial.probe(server)
    clients.close_all(inside)


def over_the_queue(trial):
    """Two are served, three wait, the sixth is closed at once; who waited is served in his turn."""
    server = trial.serve("--pool-size", "2", "--pool-queue", "3")
    served = clients.crowd(server.address, 2, timeout=trial.within)
    for s in served:
        clients.ask(s, b"served")
    waiting = clients.crowd(server.address, 3, timeout=trial.within)
    server.until_stats(lambda s: s["calls_accept"] >= 5)
    sixth = clients.connect(server.address)
    trial.expect(clients.end_of(sixth, trial.within) is not None, "the sixth is not refused")
    sixth.close()
    for s in waiting:
        s.sendall(b"hello")
    clients.close_all(served)
    for s in waiting:
        trial.expect(clients.receive(s, 5) == b"hello", "who waited was not served in his turn")
        s.close()


def queue_of_one(trial):
    server = trial.serve("--max-connections", "1")
    first = clients.connect(server.address)
    clients.ask(first, b"in")
    others = clients.crowd(server.address, 20, timeout=trial.within)
    for s in others:
        s.sendall(b"next")
    clients.ask(first, b"still in")
    first.close()
    for s in others:
        trial.expect(clients.receive(s, 4) == b"next", "who waited was not served in his turn")
        s.close()
    stats = server.until_stats(lambda s: s["open"] == 0)
    trial.expect(stats["refused"] == 0, f"{stats['refused']} refused")


# ---- 13: out of descriptors ----------------------------------------------------------------------


class Storm:
    """`n` connections that are made again 50 ms after they are closed, from a thread. Every tenth
    leaves by itself after half a second, so that again and again a place becomes free."""

    def __init__(self, address, n):
        self.address, self.n, self.stop, self.made = address, n, threading.Event(), 0
        self.thread = threading.Thread(target=self._blow, daemon=True)
        self.thread.start()

    def _blow(self):
        due = [0.0] * self.n
        with selectors.DefaultSelector() as selector:
            while not self.stop.is_set():
                now = time.monotonic()
                while due and due[0] <= now:
                    due.pop(0)
                    s = socket.socket()
                    s.setblocking(False)
                    s.connect_ex(self.address)
                    leaves = now + 0.5 if self.made % 10 == 0 else float("inf")
                    selector.register(s, selectors.EVENT_READ, leaves)
                    self.made += 1
                gone = [key.fileobj for key, _ in selector.select(0.01)]
                gone += [k.fileobj for k in selector.get_map().values() if k.data < now]
                for s in set(gone):
                    selector.unregister(s)
                    s.close()
                    due.append(now + 0.05)
            for key in list(selector.get_map().values()):
                key.fileobj.close()

    def end(self):
        self.stop.set()
        self.thread.join()


def most_of_a_kind(lines):
    """How many lines of the log there are of the most frequent kind: numbers do not count."""
    kinds = [re.sub(r"\d+", "N", line.partition(" (")[0]) for line in lines]
    return max((kinds.count(kind) for kind in kinds), default=0)


def recovery(trial, server, most):
    """Seconds until an honest client is served, who tries again when he is turned away, or is not
    answered: a SYN that a full backlog dropped is sent again only after a second."""
    begun = time.monotonic()
    while True:
        left = most - (time.monotonic() - begun)
        trial.expect(left > 0, f"nobody is served {most:g} s after descriptors are free again")
        try:
            clients.probe(server.address, min(left, 0.3 * trial.slow))
            return time.monotonic() - begun
        except OSError:
            time.sleep(0.02)


def descriptor_storm(trial):
    """Five hundred who come back whenever they are sent away, and descriptors for about fifty. The
    server must not spin, not forget whom it serves, not fill its log, and recover at once."""
    seconds = trial.size(3.0, 20.0)
    server = trial.serve(
        *("--max-connections", "none", "--log-level", "warn"), descriptors=64, pause="10ms"
    )
    old = clients.crowd(server.address, 1 if trial.one else 5, timeout=trial.within)
    for s in old:
        clients.ask(s, b"before")
    storm = Storm(server.address, 500)
    time.sleep(0.5)
    begun, cpu, lines = time.monotonic(), server.cpu(), len(server.log_lines())
    worst = 0.0
    while time.monotonic() - begun < seconds:
        for s in old:
            worst = max(worst, clients.ask(s, b"meanwhile"))
        time.sleep(0.1)
    took = time.monotonic() - begun
    cpu = (server.cpu() - cpu) / took
    lines = server.log_lines()[lines:]
    stats = server.stats()
    storm.end()
    if trial.one:
        trial.limited("descriptors")
        clients.ask(old[0], b"after")
        clients.close_all(old)
    recovered = recovery(trial, server, trial.within)
    trial.note(
        f"{storm.made} came, {stats['refused']} refused, {stats['accept_pauses']} pauses, "
        f"cpu {cpu:.1%}, old served within {worst * 1e3:.0f} ms, recovery "
        f"{recovered * 1e3:.0f} ms, {len(lines)} lines"
    )
    if trial.slow == 1:
        trial.expect(cpu < 0.10, f"{cpu:.0%} of a processor while out of descriptors")
    trial.expect(
        most_of_a_kind(lines) <= took + 1, f"{len(lines)} lines in the log in {took:.1f} s"
    )
    if not trial.one:
        trial.expect(stats["accept_pauses"] > 0, "there was no storm: the listener never paused")
        for s in old:
            clients.ask(s, b"after")
        clients.close_all(old)


# ---- 14, 15, 27: coming and going ----------------------------------------------------------------


def source(i):
    """Another address of ours each time, so that ports do not run out."""
    return f"127.{1 + i % 7}.{i // 7 % 250}.{1 + i // 1750 % 250}"


def churn(trial):
    """Connect and close, ten thousand times a second where that is possible; every sixteenth waits
    for an echo, which keeps the backlog from overflowing."""
    seconds, rate = trial.size(2.0, 60.0), 10000
    server = trial.serve("--backlog", "4096")
    begun, made, peak = time.monotonic(), 0, []
    while (now := time.monotonic()) - begun < seconds:
        if made > (now - begun) * rate:
            time.sleep(0.001)
            continue
        s = clients.connect(server.address, source=source(made))
        made += 1
        if made % 16 == 0:
            clients.ask(s, b"churn")
        if made % 8:
            clients.reset(s)  # leaves no TIME_WAIT behind, of which the kernel has only so many
        else:
            s.close()
        if made % 2000 == 0:
            peak.append(server.counts())
    took = time.monotonic() - begun
    trial.note(f"{made} connections, {made / took:.0f}/s")
    if len(peak) > 1:
        growth = peak[-1]["memory"] - peak[0]["memory"]
        trial.note(f"memory {growth >> 10:+} KiB from the 2000th on")
        if trial.slow == 1 and trial.model != "fork":  # whose children are counted as they run
            trial.expect(growth < (4 << 20), f"memory grew by {growth >> 10} KiB on the way")
    stats = server.until_stats(lambda s: s["open"] == 0 and s["accepted"] >= made, 5)
    # A connection that was reset before it was accepted may be gone without a trace.
    trial.expect(stats["open"] == 0, f"{stats['open']} connections are still open")
    trial.expect(stats["refused"] == 0, f"{stats['refused']} were refused")
    trial.expect(stats["accepted"] >= made // 2, f"{stats['accepted']} accepted of {made}")


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def segment(port, flags, rand):
    """A TCP segment to the server from a port that nobody has."""
    there = socket.inet_aton("127.0.0.1")
    here = rand.randint(1024, 30000)
    head = struct.pack("!HHIIBBHHH", here, port, rand.getrandbits(32), 0, 5 << 4, flags, 1024, 0, 0)
    pseudo = there + there + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(head))
    return head[:16] + struct.pack("!H", checksum(pseudo + head)) + head[18:]


def port_scan(trial):
    """What a scanner sends: connections that are closed or reset at once, and segments with every
    mix of flags. Nothing but counters changes."""
    n = trial.size(200, 5000)
    server = trial.serve("--log-level", "warn")
    for i in range(n):
        s = clients.connect(server.address)
        if i % 2:
            clients.reset(s)
        else:
            s.close()
    rand = random.Random(15)
    try:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    except PermissionError:
        trial.omit("mixes of TCP flags, for which a raw socket is needed (CAP_NET_RAW)")
    else:
        with raw:
            for flags in list(range(256)) * trial.size(1, 20):
                raw.sendto(segment(server.address[1], flags, rand), ("127.0.0.1", 0))
    stats = server.until_stats(lambda s: s["open"] == 0)
    trial.expect(stats["open"] == 0, f"{stats['open']} connections are still open")
    trial.expect(stats["errors"] + stats["accept_errors"] == 0, f"errors were counted: {stats}")
    trial.expect(not server.errors(), f"the log: {server.errors()[:300]}")


def reuse_race(trial):
    """The server ends a connection (its peer half-closed) while the peer closes it, and descriptors
    are used again at once. Each stream is tagged: no byte may reach another."""
    rounds = trial.size(2000, 100000)
    server = trial.serve("--backlog", "4096", *pool_of(trial, 64))
    rand = random.Random(27)
    live, most = [], 32
    if trial.one:
        trial.limited("one")
        most = 1
    for i in range(rounds):
        s = clients.connect(server.address, source=source(i))
        s.setblocking(False)
        tag = b"%08d," % i
        s.send(tag * rand.choice((1, 1, 8, 500)))
        how = rand.randrange(4)
        if how < 2:
            s.shutdown(socket.SHUT_WR)
        live.append((s, tag, how))
        if len(live) >= most:
            one = live.pop(rand.randrange(len(live)))
            leave(trial, *one)
    for one in live:
        leave(trial, *one)
    stats = server.until_stats(lambda s: s["open"] == 0)
    trial.expect(stats["open"] == 0, f"{stats['open']} connections are still open")


def leave(trial, s, tag, how):
    """Reads what has come (or all that comes), which must be its own, and closes or resets."""
    got = b""
    try:
        if how == 0:
            s.settimeout(10 * trial.slow)
            while piece := s.recv(65536):
                got += piece
        else:
            got = s.recv(65536)
    except BlockingIOError:
        pass
    except ConnectionResetError:
        trial.expect(how != 0, f"{tag!r} was reset instead of answered to its end")
    want = tag * (len(got) // len(tag) + 1)
    trial.expect(got == want[: len(got)], f"{tag!r} received bytes of another: {got[:60]!r}")
    if how % 2:
        clients.reset(s)
    else:
        s.close()
