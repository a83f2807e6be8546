# SPDX-License-Identifier: MIT
"""Scenarios 1 to 4: peers that say little, or do not listen."""

import select
import socket
import time

import clients

# Limits are judged by a sweep that may be late by a sixteenth, at most a second; the rest is for a
# loaded machine: a server that was not woken in time was away, and its limits stand still meanwhile.
LATE = 3.0


def ends_between(trial, sockets, since, first, last):
    """Every peer is ended, none before `first` and none after `last` seconds."""
    open_ = {s.fileno(): s for s in sockets}
    poll = select.poll()
    for fd in open_:
        poll.register(fd, select.POLLIN)
    while open_:
        begun = time.monotonic() - since
        for fd, _ in poll.poll(50):
            took = time.monotonic() - since
            how = clients.end_of(open_[fd], 0)
            if how is None:  # the echo of what it did say
                continue
            trial.expect(took >= first, f"a peer was ended ({how}) after {took:.3f} s already")
            poll.unregister(fd)
            open_.pop(fd).close()
        left = f"{len(open_)} silent peers are still served after {begun:.2f} s"
        trial.expect(not open_ or begun <= last, left)
    return time.monotonic() - since


def silent_peers(trial, drip):
    idle = trial.size(0.5, 4.0)
    n = trial.size(100, 1000)
    turns = 1  # how many times over the limit, for those who wait for a thread
    options = ["--idle-timeout", f"{int(idle * 1000)}ms"]
    if trial.one:
        n = turns = 4
        trial.limited("one")
    elif trial.model == "threadpool":
        n, turns = 64, 4
        trial.limited("pool")
    server = trial.serve(*options, "--max-connections", "2k")
    begun = time.monotonic()
    sockets = clients.crowd(server.address, n)
    if drip:
        for s in sockets:
            s.send(b"x")
    connected = time.monotonic()
    last = turns * (idle * 17 / 16) + (connected - begun) + LATE * trial.slow
    if turns == 1:
        with trial.bystander(server):
            ends_between(trial, sockets, connected, idle - (connected - begun), last)
    else:
        ends_between(trial, sockets, connected, 0, last)
    stats = server.until_stats(lambda s: s["open"] == 0)
    trial.expect(stats["timeouts_idle"] == n, f"{stats['timeouts_idle']} idle timeouts of {n}")
    trial.expect(stats["errors"] == 0, f"{stats['errors']} errors were counted")


def slowloris(trial):
    """One byte at the beginning, the next too late."""
    silent_peers(trial, True)


def says_nothing(trial):
    """A short limit and many; a limit of seconds, with which kernels are less exact, and one."""
    patient = trial.serve("--idle-timeout", "4s")
    alone = clients.connect(patient.address)
    since = time.monotonic()
    silent_peers(trial, False)
    ends_between(trial, [alone], since, 3.99, 4 * 17 / 16 + LATE * trial.slow)


def stuff(sockets, most):
    """Sends to each as much as it takes, up to `most` bytes. Returns the most that one took."""
    piece = bytes(range(256)) * 256
    sent = dict.fromkeys(sockets, 0)
    left = list(sockets)
    quiet = time.monotonic() + 0.5
    while left and time.monotonic() < quiet:
        for s in select.select([], left, [], 0.1)[1]:
            try:
                sent[s] += s.send(piece)
                quiet = time.monotonic() + 0.5
            except BlockingIOError:
                pass
            except (ConnectionResetError, BrokenPipeError):  # stalled, and ended for it
                left.remove(s)
            if sent[s] > most:
                return sent[s]
    return max(sent.values())


def never_reads(trial):
    """The server must stop reading from who does not read, keep no more than its mark for him, and
    end him at the write limit. Twice: what malloc keeps of the first time serves the second."""
    limit = trial.size(1.5, 10.0)
    n = 1 if trial.one else trial.size(8, 100)
    server = trial.serve(
        *("--write-timeout", f"{int(limit * 1000)}ms", "--high-water", "256k"),
        *("--pool-size", "128") * (trial.model == "threadpool"),
    )
    kept = []
    for round_ in (1, 2):
        with trial.bystander(server):
            sockets = clients.crowd(server.address, n, received=65536, sent=65536)
            stall(trial, server, sockets, limit)
        stats = server.until_stats(lambda s: s["open"] == 0)
        timeouts = stats["timeouts_write"]
        trial.expect(timeouts == round_ * n, f"{timeouts} write timeouts of {round_ * n}")
        if not trial.blocks:  # whose threads have no queue: they sit in send(2)
            throttled = stats["throttled"]
            trial.expect(throttled >= round_ * n, f"throttled {throttled} times, not {round_ * n}")
        clients.close_all(sockets)
        trial.expect_restored(server, slack=n * each_may_have(trial))
        kept.append(server.memory())
    # A queue that is lost is 256 KiB for each of them; a quarter of one is malloc's.
    trial.note(f"kept {kept[0] >> 10} KiB after the first time, {kept[1] >> 10} after the second")
    if trial.slow == 1:
        trial.expect(
            kept[1] - kept[0] <= n * (64 << 10) + (1 << 20),
            f"memory that is not given back grows: {kept[0] >> 10}, then {kept[1] >> 10} KiB",
        )
    server.before["memory"] = kept[1]


def each_may_have(trial):
    """Of one who does not read: the queue may pass its mark by one receive of 64 KiB, and lies in
    chunks of 64 KiB of which the first and the last are in part empty. Input that was in flight is
    held: 64 KiB more. A thread has a buffer of 64 KiB and touches some pages of stack; a process
    has more of both."""
    extra = {"threads": 128, "threadpool": 128, "fork": 512}
    return (256 + 5 * 64 + extra.get(trial.model, 0)) << 10


def stall(trial, server, sockets, limit):
    for s in sockets:
        s.setblocking(False)
    # What is under way when nobody reads: two buffers on each side, which the kernel lets grow to
    # 32 MB and 4 MB (tcp_rmem, tcp_wmem), and the queue.
    before = server.before["memory"]
    took = stuff(sockets, 64 << 20)
    stalled = time.monotonic()
    memory = server.memory() - before
    most = len(sockets) * each_may_have(trial) + (4 << 20)
    trial.note(f"{len(sockets)} peers, {took >> 10} KiB taken, memory {memory >> 10:+} KiB")
    trial.expect(took < 64 << 20, f"{took >> 20} MB were taken from a peer that never reads")
    if trial.slow == 1:
        trial.expect(memory <= most, f"memory grew by {memory >> 10} KiB, {most >> 10} are allowed")
    # The kernel is asked for progress four times per limit, so it is exceeded by a quarter. A send(2)
    # that took a part comes back a quarter later, so there it is a half, and the kernel's timer wheel
    # is late by up to an eighth.
    exceeded = 1.5 * 9 / 8 if trial.blocks else 1.25
    until = stalled + exceeded * limit + LATE * trial.slow
    hung = select.poll()
    for s in sockets:
        hung.register(s, select.POLLRDHUP)
    left = len(sockets)
    while left:
        trial.expect(time.monotonic() < until, f"{left} who never read are still served")
        for fd, _ in hung.poll(50):
            hung.unregister(fd)
            left -= 1


def zero_window(trial):
    """A window of zero for long: ended by the write limit where there is one, kept where there is
    none, and complete when he reads after all. Who reads slowly is moving, and is not ended."""
    limited = trial.serve("--write-timeout", "1s", "--high-water", "64k")
    patient = trial.serve("--write-timeout", "none", "--high-water", "64k")
    hold = trial.size(2.5, 120.0)
    deaf = clients.connect(patient.address, received=4096, sent=65536)
    stream = clients.Stream(deaf, 4)
    while select.select([], [deaf], [], 0.5)[1]:  # sends, never reads
        stream.write()
        trial.expect(stream.sent < 64 << 20, "the server takes all from who never reads")
    limit = time.monotonic()
    trial.note(f"held {stream.sent >> 10} KiB for {hold:g} s")
    slow_reader(trial, limited, hold)
    dead_reader(trial, limited)
    time.sleep(max(0, limit + hold - time.monotonic()))
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    stream.total = stream.sent
    finished = clients.pump([stream], 30 * trial.slow)
    trial.expect(finished and stream.end is None, f"ended ({stream.end}) instead of waited for")
    deaf.close()


def slow_reader(trial, server, seconds):
    """Reads 2 KiB every 50 ms, much less than he is sent: the limit of 1 s passes several times."""
    s = clients.connect(server.address, received=4096)
    stream = clients.Stream(s, 5)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if select.select([], [s], [], 0)[1]:
            stream.write()
        if select.select([s], [], [], 0.05)[0]:
            piece = s.recv(2048)
            trial.expect(piece, f"a slow reader was ended after {stream.got} bytes")
            want = bytes(stream.pattern.at(stream.got, len(piece)))
            trial.expect(piece == want, "a slow reader was sent a wrong byte")
            stream.got += len(piece)
        time.sleep(0.05)
    trial.expect(stream.sent > stream.got + (32 << 10), "the slow reader was never behind")
    stats = server.stats() if not trial.one else {"timeouts_write": 0}
    trial.expect(stats["timeouts_write"] == 0, "a slow reader ran into the write limit")
    clients.reset(s)


def dead_reader(trial, server):
    s = clients.connect(server.address, received=4096)
    s.setblocking(False)
    stuff([s], 64 << 20)
    since = time.monotonic()
    poll = select.poll()
    poll.register(s, select.POLLRDHUP)
    trial.expect(
        poll.poll(int((1.25 + LATE * trial.slow) * 1000)), "a window of zero is still waited for"
    )
    trial.note(f"window of zero ended {time.monotonic() - since:.2f} s after the stall")
    s.close()
    stats = server.until_stats(lambda stats: stats["timeouts_write"] == 1)
    trial.expect(stats["timeouts_write"] == 1, f"write timeouts: {stats['timeouts_write']}")
