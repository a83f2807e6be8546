#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds `pollux serve --service echo` under load for a time, with faults, and keeps a ledger: what
was played, what was lost, whether the server grew. Called by script/soak, which says how.

    the server                 pollux serve, looked at every second
    idle, two processes        clients.py: connections that are held and hardly ever speak
    active                     pollux bench: messages at a fixed rate on a thousand connections
    churn                      pollux bench --mode connect: connections that come and go
    chaos                      clients.py: peers that misbehave
    probe                      clients.py: what a bystander sees

Exit status: 0 nothing was lost and nothing grew; 1 something was; 2 wrong usage; 3 not valid."""

import argparse
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True  # no caches among the sources
sys.path.insert(0, str(Path(__file__).parent))
import ledger  # noqa: E402

CLIENTS = str(Path(__file__).parent / "clients.py")
SCHEMA_VERSION = 1
STATUS = (("failed", 1), ("not started", 2), ("not valid", 3))  # the worst of several runs first
WRITE_TIMEOUT = 3  # seconds until a peer that never reads is dropped
WARMUP_MOST = 120.0  # seconds; a quarter of a short run
STOP_EVERY, STOP_FOR = 2.0, 0.1  # a client process is stopped so often, for so long
OWN_DESCRIPTORS = 64  # of the server, besides connections
UNDER_CHURN = 60  # connections of churn, chaos and probe at a time, at most

# Models that cannot hold 11 000 connections: how many they are asked to, why, and the options that
# bring them there. All others take what the limit on descriptors allows.
LIMITS = {
    "blocking": (1, "one connection at a time", []),
    "fork": (4000, "4096 processes", []),
    "threadpool": (4000, "4096 threads of the pool", ["--pool-size", "4096"]),
    "select": (1000, "descriptors below 1024 (FD_SETSIZE)", []),
    "posix-aio": (1000, "2048 helper threads of the C library", []),
}
OPTIONS = {"nonblocking": ["--poll-pause", "1ms"]}  # else it leaves a small machine no processor


def seconds_of(text):
    m = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", text)
    value = float(m[1]) * {"ms": 0.001, "s": 1, None: 1, "m": 60, "h": 3600}[m[2]] if m else 0
    if not 1 <= value <= 7 * 24 * 3600:
        raise argparse.ArgumentTypeError(f"{text}: a time from 1s to 168h, as 60s or 10m")
    return value


# ---- how much of what --------------------------------------------------------------------------


def make_plan(model, args):
    limit, why, options = LIMITS.get(model, (None, None, []))
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    room = descriptors - OWN_DESCRIPTORS
    if model != "fork" and descriptors != resource.RLIM_INFINITY and (limit is None or room < limit):
        limit, why = room, f"{descriptors} descriptors"
    plan = {
        "idle": args.idle,
        "active": args.active,
        "churn_per_second": args.churn,
        "messages_per_second": args.rate,
        "at_once": 1000,
        "churn_connections": 20,
        "timeout": 30,
        "options": options + OPTIONS.get(model, []),
        "scaled": None,
    }
    if limit == 1:
        # Everybody waits for everybody else: nobody is held, and there is one of each.
        plan |= {"idle": 0, "active": 0, "at_once": 1, "churn_connections": 1, "timeout": 120}
        plan["scaled"] = why
    elif limit is not None and args.idle + args.active + UNDER_CHURN > limit:
        plan["active"] = min(args.active, limit // 10)
        plan["idle"] = min(args.idle, limit - plan["active"] - 2 * UNDER_CHURN)
        plan["messages_per_second"] = max(1, args.rate * plan["active"] // args.active)
        plan["scaled"] = why
    return plan


# ---- processes ---------------------------------------------------------------------------------


class Failed(Exception):
    """The server did not do its part."""


class Unable(Exception):
    """We did not do ours."""


class NotStarted(Exception):
    """There is no such model, or it does not run here."""


class Client:
    """A process of clients.py."""

    def __init__(self, name, role, port, options):
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, CLIENTS, role, str(port), json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.timeout = options["timeout"]

    def line(self, timeout):
        """The next line it says. A timer ends it where it says none, and then there is an end."""
        timer = threading.Timer(timeout, self.process.kill)
        timer.start()
        text = self.process.stdout.readline()
        timer.cancel()
        if not text:
            raise Unable(f"{self.name} ended or said nothing for {timeout:.0f} s")
        return text

    def await_ready(self):
        self.line(60 + 2 * self.timeout)

    def order_end(self):
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # its last line says why

    def result(self):
        return json.loads(self.line(60 + 2 * self.timeout))


class Bench:
    """A process of `pollux bench`, which verifies every byte."""

    def __init__(self, name, args, port, seconds, work, options):
        self.name = name
        self.json = work / f"{name}.json"
        self.stderr = work / f"{name}.err"
        self.limit = seconds + 180
        with open(self.stderr, "w") as err:
            self.process = subprocess.Popen(
                [args.pollux, "bench", "--duration", f"{seconds * 1000:.0f}ms", "--warmup", "none"]
                + options
                + ["--json", str(self.json), f"127.0.0.1:{port}"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=err,
            )

    def result(self):
        try:
            status = self.process.wait(self.limit)
            whole = json.loads(self.json.read_text())["result"]
        except (subprocess.TimeoutExpired, OSError, ValueError) as error:
            raise Unable(f"{self.name}: {self.stderr.read_text().strip() or error}") from error
        errors, run = whole["errors"], whole["whole_run"]
        wrong = errors["mismatch"]["count"]
        lost = errors["total"] - wrong
        if status not in (0, 1, 3):
            raise Unable(f"{self.name}: exit {status}: {self.stderr.read_text().strip()}")
        if status and lost + wrong == 0:
            lost = max(1, run["connections_lost"])
        first = [f"{self.name}: {e['first']}" for e in errors.values() if isinstance(e, dict) and e["count"]]
        return {
            "connections": run["connections_opened"],
            "messages": run["verified"],
            "bytes": run["bytes_received"],
            "lost": lost,
            "wrong": wrong,
            "reasons": first,
        }


class Server:
    def __init__(self, args, model, plan, work):
        self.out, self.err = work / "server.out", work / "server.err"
        command = [args.pollux, "serve", "--service", args.service, "--model", model]
        command += ["--listen", "127.0.0.1:0", "--backlog", "4096", "--max-connections", "none"]
        command += ["--idle-timeout", "none", "--write-timeout", f"{WRITE_TIMEOUT}s"]
        command += ["--stats", "24h", "--log-level", "warn"] + plan["options"]
        with open(self.out, "w") as out, open(self.err, "w") as err:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        self.pid = self.process.pid
        for _ in range(400):
            ready = re.match(r"pollux: listening on \S+:(\d+) model=(\S+) .*\n", self.out.read_text())
            if ready:
                self.port, self.model = int(ready[1]), ready[2]
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.process.kill()
        self.process.wait()
        raise NotStarted(self.complaint() or "the server said nothing")

    def pids(self):
        """With the processes that serve a connection each."""
        pids = [self.pid]
        for task in os.listdir(f"/proc/{self.pid}/task"):
            try:
                pids += map(int, Path(f"/proc/{self.pid}/task/{task}/children").read_text().split())
            except OSError:
                pass  # a thread that has ended
        return pids

    def sample(self, began):
        """Of several processes RSS is the first's, and of the others their anonymous pages: what they
        share with the first since fork(2) is counted in each, which is nothing to a slope."""
        if self.process.poll() is not None:
            raise Failed(f"the server ended with status {self.process.returncode}: {self.complaint()}")
        rss = threads = 0
        for pid in self.pids():
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            field = "VmRSS" if pid == self.pid else "RssAnon"
            m = re.search(rf"^{field}:\s+(\d+).*^Threads:\s+(\d+)", status, re.M | re.S)
            if m:
                rss += int(m[1])
                threads += int(m[2])
        # The size of this directory is the number of descriptors from Linux 6.2 on.
        fds = os.stat(f"/proc/{self.pid}/fd").st_size or len(os.listdir(f"/proc/{self.pid}/fd"))
        return {
            "seconds": time.monotonic() - began,
            "descriptors": fds,
            "rss_kib": rss,
            "threads": threads,
        }

    def complaint(self):
        return self.err.read_text().strip()[-400:]

    def end(self):
        """Its last word, the counters. It must end politely."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            raise Failed("the server did not end within 60 s of SIGTERM") from None
        if status:
            raise Failed(f"the server ended with status {status}: {self.complaint()}")
        return json.loads(self.out.read_text().splitlines()[-1])

    def log_lines(self):
        return sum(1 for line in self.err.read_text().splitlines() if "model auto" not in line)


# ---- a run -------------------------------------------------------------------------------------


class Soak:
    def __init__(self, args, model, work):
        self.args, self.work = args, work
        self.plan = make_plan(model, args)
        self.server = Server(args, model, self.plan, work)
        self.plan = make_plan(self.server.model, args) if model == "auto" else self.plan
        self.clients, self.benches, self.samples, self.stops = [], [], [], 0

    def client(self, name, role, source, **options):
        options |= {"source": source, "timeout": self.plan["timeout"]}
        self.clients.append(Client(name, role, self.server.port, options))

    def bench(self, name, source, options):
        options = options + ["--source", source, "--timeout", f"{self.plan['timeout']}s"]
        self.benches.append(
            Bench(name, self.args, self.server.port, self.args.duration, self.work, options)
        )

    def start(self):
        plan = self.plan
        half = plan["idle"] // 2
        for number, n in enumerate((half, plan["idle"] - half)):
            if n:
                self.client(
                    f"idle {number + 1}",
                    "idle",
                    f"127.0.4.{number + 1}",
                    n=n,
                    first=number * half,
                    asked_per_second=20,
                )
        for client in self.clients:
            client.await_ready()
        self.client("chaos", "chaos", "127.0.3.1", at_once=plan["at_once"])
        self.client("probe", "probe", "127.0.5.1", per_second=20)
        for client in self.clients[-2:]:
            client.await_ready()
        if plan["active"]:
            load = ["--connections", str(plan["active"]), "--rate", str(plan["messages_per_second"])]
            # Of one size: in the thread models each connection has a buffer of its own, and with
            # several sizes memory would grow for as long as some have not had the largest yet.
            self.bench("active", "127.0.1.0/24", load + ["--size", "4k"])
        churn = ["--mode", "connect", "--connections", str(plan["churn_connections"])]
        churn += ["--connect-rate", str(plan["churn_per_second"]), "--messages-per-connection", "3"]
        self.bench("churn", "127.0.2.0/24", churn + ["--size-mix", "64:9,4k:1"])

    def stop_one(self):
        """Stops a client for a moment. Not the probe: it would see itself."""
        able = [p for p in self.clients if p.name != "probe"] + self.benches
        process = able[self.stops % len(able)].process
        if process.poll() is None:
            process.send_signal(signal.SIGSTOP)
            time.sleep(STOP_FOR)
            process.send_signal(signal.SIGCONT)
            self.stops += 1

    def progress(self, sample):
        if sys.stderr.isatty():
            sys.stderr.write(
                f"\r\033[Ksoak: {self.server.model}  {sample['seconds']:.0f} of "
                f"{self.args.duration:.0f} s  {sample['descriptors']:,} descriptors  "
                f"{sample['rss_kib']:,} KiB  {sample['threads']:,} threads"
            )
            sys.stderr.flush()

    def watch(self):
        began = time.monotonic()
        next_sample, next_stop = 0.0, STOP_EVERY
        while (now := time.monotonic() - began) < self.args.duration:
            if now >= next_sample:
                self.samples.append(self.server.sample(began))
                self.progress(self.samples[-1])
                next_sample = max(next_sample + 1, now)
                ended = [c.name for c in self.clients if c.process.poll() is not None]
                if ended:
                    raise Unable(f"{ended[0]} ended early")
            if now >= next_stop:
                self.stop_one()
                next_stop = max(next_stop + STOP_EVERY, now)
            until = min(next_sample, next_stop, self.args.duration)
            time.sleep(max(0.0, until - (time.monotonic() - began)))
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K")
        return time.monotonic() - began

    def collect(self):
        """What each client saw. The idle ones end last: until then they are held."""
        results = {bench.name: bench.result() for bench in self.benches}
        for client in sorted(self.clients, key=lambda c: c.name.startswith("idle")):
            client.order_end()
            results[client.name] = client.result()
            client.process.wait()
        return results

    def settled(self, start):
        """The server after the last client. Threads and processes take a moment to end."""
        until = time.monotonic() + 20
        while True:
            sample = self.server.sample(0)
            same = all(sample[k] == start[k] for k in ("descriptors", "threads"))
            if same or time.monotonic() > until:
                return sample
            time.sleep(0.2)

    def run(self):
        start = self.server.sample(0)
        self.start()
        seconds = self.watch()
        results = self.collect()
        end = self.settled(start)
        counters = self.server.end()
        return self.entry(seconds, results, start, end, counters)

    def entry(self, seconds, results, start, end, counters):
        plan = self.plan
        names = ("connections", "messages", "bytes", "lost", "wrong")
        totals = {name: sum(r[name] for r in results.values()) for name in names}
        faults = {"stopped client processes": self.stops, **results["chaos"].pop("played")}
        latency = results["probe"].pop("seconds")
        warmup = min(WARMUP_MOST, seconds / 4)
        passing = totals["connections"] - plan["idle"] - plan["active"]
        run = {
            "model": self.server.model,
            "plan": plan,
            "seconds": seconds,
            "warmup": warmup,
            "judge_slopes": self.args.slopes,
            "totals": totals,
            "churn_per_second": passing / seconds,
            "clients": results,
            "faults": faults,
            "counters": counters,
            "log_lines": self.server.log_lines(),
            "probe": {
                f"{name}_ms": value and value * 1000
                for name, value in (
                    ("p50", ledger.percentile(latency, 0.5)),
                    ("p99", ledger.percentile(latency, 0.99)),
                    ("max", max(latency, default=None)),
                )
            },
            "growth": ledger.judge_growth(self.samples, warmup, passing / seconds * 60, start, end),
            "samples": self.samples,
            "reasons": [reason for r in results.values() for reason in r.pop("reasons")][:12],
            "failures": [],
            "not_valid": self.doubts(seconds, results),
        }
        ledger.judge(run)
        return run

    def doubts(self, seconds, results):
        """Whether the load was what it should have been."""
        plan, doubts = self.plan, []
        active = results["active"]["messages"] if plan["active"] else 0
        messages = plan["messages_per_second"] * seconds if plan["active"] else 0
        # One at a time has no rate of its own: who comes waits for who was there.
        churned = plan["churn_per_second"] * seconds if plan["at_once"] > 1 else 1
        for name, seen, planned in (
            ("active messages", active, messages),
            ("churned connections", results["churn"]["connections"], churned),
        ):
            if seen < planned * 0.5:
                doubts.append(f"{name}: {seen:,} of {planned:,.0f} that were planned: the machine is too busy")
        gap = max((b["seconds"] - a["seconds"] for a, b in zip(self.samples, self.samples[1:])), default=0)
        if gap > 5:
            doubts.append(f"the server was not looked at for {gap:.0f} s")
        return doubts

    def close(self):
        for p in [c.process for c in self.clients + self.benches] + [self.server.process]:
            if p.poll() is None:
                p.kill()
            p.wait()


def soak(args, model, work):
    """A run's entry in the ledger, whatever happens."""
    verdict = {"model": model, "seconds": 0}
    one = None
    try:
        one = Soak(args, model, work)
        return one.run()
    except Failed as error:
        verdict |= {"verdict": "failed", "failures": [str(error)], "not_valid": []}
    except NotStarted as error:
        verdict |= {"verdict": "not started", "failures": [], "not_valid": [str(error)]}
    except Unable as error:
        # Clients of a server that has ended can do nothing either.
        gone = one is not None and one.server.process.poll() is not None
        why = f"the server ended: {one.server.complaint()}" if gone else str(error)
        verdict |= {"verdict": "failed" if gone else "not valid"}
        verdict |= {"failures": [why] if gone else [], "not_valid": [] if gone else [why]}
    finally:
        if one:
            one.close()
    return verdict


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("duration", nargs="?", type=seconds_of, default=60.0)
    parser.add_argument("-m", "--model", action="append", help="may be repeated; auto if not given")
    parser.add_argument("--pollux", required=True, help="the program")
    parser.add_argument("--output", required=True, help="the ledger, a JSON document")
    parser.add_argument("--idle", type=int, default=10000)
    parser.add_argument("--active", type=int, default=1000)
    parser.add_argument("--churn", type=int, default=200, help="connections per second that come and go")
    parser.add_argument("--rate", type=int, default=2000, help="messages per second of the active ones")
    parser.add_argument("--service", default="echo", help="for a test of this very program")
    parser.add_argument("--no-slopes", dest="slopes", action="store_false", help="too short to judge growth")
    args = parser.parse_args()
    runs = []
    for model in args.model or ["auto"]:
        with tempfile.TemporaryDirectory(prefix="pollux-soak-") as work:
            run = soak(args, model, Path(work))
        runs.append(run)
        if "totals" in run:
            print(ledger.table(run))
        else:
            print(f"{run['model']}: {run['verdict']}:", *run["failures"], *run["not_valid"])
        print(flush=True)
        document = {"schema_version": SCHEMA_VERSION, "kind": "soak", "runs": runs}
        Path(args.output).write_text(json.dumps(document, indent=1) + "\n")
    verdicts = {run["verdict"] for run in runs}
    return next((status for verdict, status in STATUS if verdict in verdicts), 0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda signo, frame: sys.exit(128 + signo))  # through finally
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
