#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an idle connection costs: opens N connections to each server, echoes one message on each,
lets them rest, and reads what the server's memory and the kernel's have grown by; then echoes on a
random thousand of them. Called by script/bench-idle, which says what is measured.

idle.py N NAME=COMMAND...: COMMAND has {port}; it is started without a shell and echoes on
127.0.0.1. Writes a table in Markdown; status 1 if a server failed."""
import os
import random
import resource
import shlex
import signal
import socket
import subprocess
import sys
import time

PER_CLIENT = 15000  # connections of one client process, and of one source address
PROBES = 1000
MESSAGE = b"0123456789abcdef" * 4


def smaps(pid, field):
    """Bytes of a process's memory, by field of smaps_rollup (proc(5))."""
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return sum(int(line.split()[1]) * 1024 for line in f if line.startswith(field + ":"))


def tree(pid):
    """The process and its descendants."""
    pids = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as f:
            for child in f.read().split():
                pids += tree(int(child))
    return pids


def user_bytes(pid):
    return sum(smaps(p, "Pss_Anon") for p in tree(pid))


def kernel_bytes():
    """Slab and what sockets, page tables and stacks of tasks take besides (meminfo)."""
    with open("/proc/meminfo") as f:
        return sum(int(l.split()[1]) * 1024 for l in f if l.startswith(("Slab:", "PageTables:", "KernelStack:")))


def cpu_seconds(pid):
    ticks = 0
    for p in tree(pid):
        with open(f"/proc/{p}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def echo(sock):
    sock.sendall(MESSAGE)
    got = b""
    while len(got) < len(MESSAGE):
        part = sock.recv(len(MESSAGE) - len(got))
        if not part:
            raise OSError("the server closed the connection")
        got += part
    if got != MESSAGE:
        raise OSError("a wrong answer")


def client(number, port, count, orders, answers):
    """A process with a part of the connections. Answers each order with a line."""
    socks = []
    try:
        for i in range(count):
            s = socket.socket(socket.AF_INET)
            # One source address has 28 000 ports: each client has one of its own.
            s.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT (ip(7))
            s.bind((f"127.0.{1 + number // 250}.{1 + number % 250}", 0))
            s.settimeout(30)
            s.connect(("127.0.0.1", port))
            echo(s)
            socks.append(s)
        answers.write("open\n")
        for line in orders:
            for i in random.sample(range(count), int(line)):
                echo(socks[i])
            answers.write("echoed\n")
            answers.flush()
    except OSError as error:
        answers.write(f"{error}, after {len(socks)} connections\n")
    answers.flush()
    os._exit(0)


class Clients:
    def __init__(self, port, count):
        self.parts = []
        for number in range((count + PER_CLIENT - 1) // PER_CLIENT):
            part = min(PER_CLIENT, count - number * PER_CLIENT)
            order_r, order_w = os.pipe()
            answer_r, answer_w = os.pipe()
            pid = os.fork()
            if pid == 0:
                for p in self.parts:
                    p["orders"].close()
                os.close(order_w)
                os.close(answer_r)
                client(number, port, part, os.fdopen(order_r), os.fdopen(answer_w, "w", 1))
            os.close(order_r)
            os.close(answer_w)
            self.parts.append(
                {"pid": pid, "n": part, "orders": os.fdopen(order_w, "w", 1), "answers": os.fdopen(answer_r)}
            )
        self.expect("open")

    def expect(self, what):
        for p in self.parts:
            line = p["answers"].readline().strip()
            if line != what:
                raise OSError(line or "a client ended")

    def probe(self, total):
        every = sum(p["n"] for p in self.parts)
        for p in self.parts:
            p["orders"].write(f"{min(p['n'], max(1, total * p['n'] // every))}\n")
        self.expect("echoed")

    def close(self):
        for p in self.parts:
            os.kill(p["pid"], signal.SIGKILL)
            os.waitpid(p["pid"], 0)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def await_server(process, port):
    for _ in range(400):
        if process.poll() is not None:
            raise OSError("it ended before it listened")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.025)
    raise OSError("it did not listen within 10 s")


def measure(command, count):
    """(user bytes, kernel bytes) per connection, and CPU seconds per second at rest."""
    port = free_port()
    errors = open("/dev/null", "w")
    process = subprocess.Popen(
        shlex.split(command.replace("{port}", str(port))), stdout=errors, stderr=errors, start_new_session=True
    )
    clients = None
    try:
        await_server(process, port)
        time.sleep(0.5)
        user, kernel = user_bytes(process.pid), kernel_bytes()
        clients = Clients(port, count)
        time.sleep(1)
        cpu = cpu_seconds(process.pid)
        time.sleep(2)
        cpu = (cpu_seconds(process.pid) - cpu) / 2
        user, kernel = user_bytes(process.pid) - user, kernel_bytes() - kernel
        clients.probe(min(PROBES, count))
        return user / count, kernel / count, cpu
    finally:
        if clients:
            clients.close()
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def main():
    count = int(sys.argv[1])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(f"| server | user bytes each | kernel bytes each, both ends | CPU at rest | {PROBES} of them echo |")
    print("|---|---|---|---|---|", flush=True)
    failed = 0
    for arm in sys.argv[2:]:
        name, command = arm.split("=", 1)
        try:
            user, kernel, cpu = measure(command, count)
            print(f"| `{name}` | {user:.0f} | {kernel:.0f} | {cpu:.3f} | yes |", flush=True)
        except OSError as error:
            failed = 1
            print(f"| `{name}` | - | - | - | no: {error} |", flush=True)
        time.sleep(2)  # what was closed is freed a moment later
    return failed


if __name__ == "__main__":
    if len(sys.argv) < 3 or not sys.argv[1].isdigit():
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main())
