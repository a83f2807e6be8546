# SPDX-License-Identifier: MIT
"""A server under test: `pollux serve`, seen from outside. What it has (descriptors, threads,
children, memory) is read from /proc, what it counts is asked for with SIGUSR1."""

import ctypes
import json
import os
import re
import resource
import select
import signal
import subprocess
import tempfile
import time

PR_SET_PDEATHSIG = 1
REPORT = re.compile("ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:")
libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent():
    """Whatever happens to a test, nothing that it started stays."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def fields(pid):
    """Of /proc/PID/stat, those after the name, which may contain anything."""
    with open(f"/proc/{pid}/stat", encoding="latin-1") as f:
        return f.read().rpartition(")")[2].split()


def family(leader):
    """The processes that belong to this server: it leads a session, which its children stay in."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                values = fields(name)
            except OSError:
                continue
            if int(values[3]) == leader:
                found.append((int(name), values[0]))
    return found


def kibibytes(path, keys):
    total = 0
    with open(path, encoding="ascii") as f:
        for line in f:
            if line.split(":")[0] in keys:
                total += int(line.split()[1])
    return total << 10


class Server:
    def __init__(self, pollux, model, options, slow, **how):
        """how: descriptors = the limit on them; environment = additions; listen = an address;
        program = another command line; probe = how its honest client behaves."""
        self.model, self.slow, self.how = model, slow, how
        listen = how.get("listen", "127.0.0.1:0")
        self.command = how.get("program") or [
            *(pollux, "serve", "--model", model, "--listen", listen, "--stats", "24h"),
            *options,
        ]
        self.process = self.address = self.before = None
        self.rest = b""
        self.stderr = tempfile.TemporaryFile()

    # ---- life ----

    def _in_child(self):
        end_with_parent()
        if "descriptors" in self.how:
            n = self.how["descriptors"]
            resource.setrlimit(resource.RLIMIT_NOFILE, (n, n))

    def start(self):
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.stderr,
            start_new_session=True,
            preexec_fn=self._in_child,
            env={**os.environ, **self.how.get("environment", {})},
        )
        self.pid = self.process.pid
        line = self.line(20 * self.slow)
        found = re.search(r" on 127\.0\.0\.1:(\d+)", line or "")
        if not found:
            status = self.process.poll()
            raise OSError(f"no ready line, exit {status}: {line!r} {self.errors()}")
        self.address = ("127.0.0.1", int(found[1]))
        self.before = self.counts()

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def wait(self, seconds):
        """The exit status, or None."""
        try:
            return self.process.wait(seconds * self.slow)
        except subprocess.TimeoutExpired:
            return None

    def signal(self, number):
        os.kill(self.pid, number)

    def signal_all(self, number):
        os.killpg(self.pid, number)

    def stop(self):
        self.signal(signal.SIGTERM)
        return self.wait(15)

    def kill(self):
        if self.process is None:
            return
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process.stdout.close()

    def left(self):
        """Of a server that has ended: processes that have not."""
        until = time.monotonic() + 2 * self.slow
        while True:
            found = [] if self.running else [p for p in family(self.pid) if p[1] != "Z"]
            if not found or time.monotonic() > until:
                return found
            time.sleep(0.02)

    # ---- what it says ----

    def line(self, seconds):
        """The next line of its standard output, or None."""
        until = time.monotonic() + seconds
        fd = self.process.stdout.fileno()
        while b"\n" not in self.rest:
            left = until - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                return None
            # A byte at a time up to the ready line: what comes later may be left in the pipe.
            piece = os.read(fd, 1 if self.address is None else 65536)
            if not piece:
                return None
            self.rest += piece
        line, _, self.rest = self.rest.partition(b"\n")
        return line.decode()

    def errors(self):
        return os.pread(self.stderr.fileno(), 1 << 20, 0).decode("utf-8", "replace").strip()

    def log_lines(self):
        return [line for line in self.errors().splitlines() if line]

    def check_report(self):
        found = REPORT.search(self.errors())
        if found:
            raise OSError(f"a sanitizer reports: {self.errors()[:4000]}")

    def stats(self):
        self.signal(signal.SIGUSR1)
        until = time.monotonic() + 5 * self.slow
        while time.monotonic() < until:
            line = self.line(until - time.monotonic())
            if line is not None and '"final"' in line:
                return json.loads(line)
        raise OSError("no counters at SIGUSR1")

    def until_stats(self, condition, seconds=2):
        """The counters once they fulfil the condition, or the last ones: a server may be a moment
        behind what its peers see."""
        until = time.monotonic() + seconds * self.slow
        while True:
            stats = self.stats()
            if condition(stats) or time.monotonic() > until:
                return stats
            time.sleep(0.02)

    # ---- what it has ----

    def memory(self):
        """Bytes that are its own: resident, not of files, with what its children have beside."""
        total = kibibytes(f"/proc/{self.pid}/status", ("RssAnon", "RssShmem"))
        for pid, _ in family(self.pid):
            if pid != self.pid:
                try:
                    total += kibibytes(f"/proc/{pid}/smaps_rollup", ("Private_Dirty",))
                except OSError:  # it has ended meanwhile
                    pass
        return total

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def counts(self):
        return {
            "descriptors": self.descriptors(),
            "threads": len(os.listdir(f"/proc/{self.pid}/task")),
            "children": len(family(self.pid)) - 1,
            "memory": self.memory(),
        }

    def cpu(self):
        """Seconds of processor time, its children's included."""
        ticks = 0
        for pid, _ in family(self.pid):
            try:
                values = fields(pid)
            except OSError:
                continue
            own = values[11:15] if pid == self.pid else values[11:13]
            ticks += sum(int(v) for v in own)
        return ticks / os.sysconf("SC_CLK_TCK")
