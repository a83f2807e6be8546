# SPDX-License-Identifier: MIT
"""What make_results.py makes its documents of: models, workloads, and words that fit them."""

# name, CPU of a message (ns), and what the connections that only wait cost with each of them (ns)
MODELS = [
    ("blocking", 3590, 0),
    ("fork", 4100, 0),
    ("threads", 3900, 0),
    ("threadpool", 3960, 0),
    ("nonblocking", 5200, 900),
    ("select", 3650, 45),
    ("poll", 3620, 30),
    ("epoll", 3700, 0),
    ("epoll-et", 3670, 0),
    ("sigio", 6100, 0),
    ("posix-aio", 14800, 0),
    ("io_uring", 3900, 0),
]
WHYS = {
    "nonblocking": "61 % of its CPU in receives that found nothing",
    "sigio": "1.0 more system calls per message",
    "select": "55 % of its CPU copying the descriptor set",
    "poll": "48 % of its CPU copying the descriptor set",
    "threads": "1.0 more context switches per message",
    "fork": "1.0 more context switches per message",
    "posix-aio": "2.1 more context switches and 2.0 more system calls per message",
}
LIMITS = {"blocking": 1, "fork": 4096, "select": 1000, "posix-aio": 1000}

# name, connections, active, pipeline, size, mode, more
WORKLOADS = [
    ("1x64B", 1, 1, 1, 64, "pingpong", {}),
    ("64x64B", 64, 64, 1, 64, "pingpong", {}),
    ("64x64B-p16", 64, 64, 16, 64, "pipeline", {}),
    ("64x16KiB", 64, 64, 1, 16384, "pingpong", {}),
    ("1000x64B", 1000, 1000, 1, 64, "pingpong", {}),
    ("10000x64B-100active", 10000, 100, 1, 64, "pingpong", {}),
    ("1x64KiB-stream", 1, 1, 4, 65536, "stream", {}),
    ("64x64B-short", 64, 64, 1, 64, "connect", {}),
    ("64x64B-half", 64, 64, 1, 64, "pingpong", {"half": True}),
    ("64-idle", 64, 64, 1, 64, "pingpong", {"idle": True}),
    *(
        (f"{n}x64B-10active", n, 10, 1, 64, "pingpong", {"sweep": "connections", "at": float(n)})
        for n in (10, 30, 100, 300, 1000, 3000, 10000)
    ),
    ("1x1KiB", 1, 1, 1, 1024, "pingpong", {}),
    ("1x16KiB", 1, 1, 1, 16384, "pingpong", {}),
    ("64x1KiB", 64, 64, 1, 1024, "pingpong", {}),
    ("1000x1KiB", 1000, 1000, 1, 1024, "pingpong", {}),
    ("1000x16KiB", 1000, 1000, 1, 16384, "pingpong", {}),
]

CLAIMS = [
    (
        "Many connections, few active: epoll beats select and poll, whose cost grows with them",
        "HOLDS HERE",
        "from 10 to 1000 connections: select 3.7 to 8.2 us per message, epoll 3.7 to 3.8 us",
    ),
    (
        "Few connections, all active: select is no worse than epoll",
        "HOLDS HERE",
        "64x64B: select 3.65 us, epoll 3.70 us, -1.4 % (-2.1 to -0.6 %)",
    ),
    (
        "A thread per connection beats a selector at few connections, and loses as they grow",
        "CANNOT TELL",
        "1x64B: threads -13 %; 1000x64B: threads +39 %, fork not measured",
    ),
    (
        "Polling burns a whole core even when idle",
        "HOLDS HERE",
        "64-idle: nonblocking 100 % of a CPU, epoll 0.01 %",
    ),
    (
        "Edge-triggered wakes up less often than level-triggered",
        "DOES NOT HOLD HERE",
        "64x64B: 0.082 wake-ups per message with both",
    ),
    (
        "Copying the descriptor set at each wait is what select and poll pay for",
        "HOLDS HERE",
        "1000x64B-10active: 55 % of select's CPU is in the wait",
    ),
    (
        "System calls and switches per message differ by model",
        "HOLDS HERE",
        "io_uring 0.09, epoll 2.08, threads 2.00 calls",
    ),
    (
        "A blocking write waits where a non-blocking one takes a part",
        "CANNOT TELL",
        "not measured in this set of workloads",
    ),
    (
        "The two phases take different shares of time in each model",
        "CANNOT TELL",
        "not measured in this set of workloads",
    ),
]
CAVEATS = [
    (
        "loopback",
        "Client and server share one kernel: the sender pays for the receiver's softirq.",
    ),
    (
        "two-cores",
        "There are 2 CPUs: whatever else runs disturbs the server or the client.",
    ),
    (
        "virtual-machine",
        "This is a virtual machine (KVM): the host may take its CPUs away at any time.",
    ),
    (
        "client-bound",
        "In 64x16KiB, 1x16KiB and 1000x16KiB the client was busy for over 90 % of its CPU.",
    ),
]
MACHINE = {
    "system": "Linux",
    "kernel": "6.18.5",
    "kernel_version": "#1 SMP PREEMPT_DYNAMIC",
    "architecture": "x86_64",
    "hostname": "testbench",
    "command_line": "console=ttyS0 root=/dev/vda rw quiet",
    "mitigations": {
        "spectre_v2": "Mitigation: Enhanced / Automatic IBRS; IBPB: conditional",
        "meltdown": "Not affected",
    },
    "cpu": {
        "model": "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz",
        "count": 2,
        "allowed": "0-1",
        "governor": None,
        "smt": "off",
        "numa_nodes": 1,
        "mhz": 2699.998,
    },
    "memory_bytes": 8331149312,
    "page_size": 4096,
    "virtual": "KVM",
    "container": "docker",
    "limits": {
        "nofile_soft": 1048576,
        "nofile_hard": "unlimited",
        "memlock_bytes": 8388608,
        "seccomp": 2,
        "io_uring_disabled": 0,
        "cgroup_cpu_quota": None,
        "cgroup_memory_bytes": None,
        "somaxconn": 4096,
        "ip_local_port_range": [32768, 60999],
        "tcp_tw_reuse": 2,
        "tcp_rmem": [4096, 131072, 6291456],
        "tcp_wmem": [4096, 16384, 4194304],
    },
    "load_average": [0.42, 0.31, 0.18],
    "uptime_seconds": 86223.4,
    "build": {
        "version": "0.1.0",
        "compiler": "GNU 12.2.0",
        "flags": "-O2 -g -DNDEBUG -fstack-protector-strong",
        "type": "RelWithDebInfo",
        "revision": "23730544ab1c0e4ad9d8a2a95f2c0a3bb3b0f1aa",
        "dirty": False,
    },
}
