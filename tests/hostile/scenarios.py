# SPDX-License-Identifier: MIT
"""The catalogue: number, title, who plays it, and whether it mostly waits."""

import bytestreams
import crowds
import ends
import process
import silence


class Scenario:
    def __init__(self, number, title, function, waits=False, most=60, most_full=300):
        self.number, self.title, self.function, self.waits = number, title, function, waits
        self.most, self.most_full = most, most_full

    def seconds(self, full):
        """What it may take before it is said to hang."""
        return self.most_full if full else self.most


ALL = [
    Scenario(1, "slowloris", silence.slowloris, waits=True),
    Scenario(2, "connects, sends nothing", silence.says_nothing, waits=True),
    Scenario(3, "never reads", silence.never_reads, waits=True),
    Scenario(4, "zero window; slow reader", silence.zero_window, waits=True, most_full=600),
    Scenario(5, "RST in mid-transfer", ends.reset_in_transfer),
    Scenario(6, "RST in the accept queue", ends.reset_in_queue),
    Scenario(7, "half-close, then read", ends.half_close_then_read),
    Scenario(8, "half-close at byte 0", ends.half_close_at_once),
    Scenario(9, "1-byte writes", bytestreams.single_bytes),
    Scenario(10, "one long stream", bytestreams.long_stream),
    Scenario(11, "peer killed in transfer", ends.killed_peer),
    Scenario(12, "over the connection limits", crowds.over_the_limit),
    Scenario(13, "EMFILE storm", crowds.descriptor_storm, waits=True),
    Scenario(14, "connect/close churn", crowds.churn),
    Scenario(15, "port scan", crowds.port_scan),
    Scenario(16, "OOB bytes", bytestreams.urgent_bytes),
    Scenario(17, "100 000 pipelined messages", bytestreams.pipelined),
    Scenario(18, "too long and endless lines", bytestreams.endless_line),
    Scenario(19, "TLS ClientHello", bytestreams.client_hello),
    Scenario(20, "PROXY headers, bad too", bytestreams.proxy_headers),
    Scenario(21, "random bytes", bytestreams.random_bytes),
    Scenario(22, "SIGTERM under load", process.terminated, most=120, most_full=900),
    Scenario(23, "SIGSTOP, SIGCONT", process.stopped, waits=True),
    Scenario(24, "wall clock jumps", process.clock_jumps, waits=True),
    Scenario(25, "sprayed with signals", process.sprayed, waits=True),
    Scenario(26, "a handler that stalls", process.stalling_handler, waits=True),
    Scenario(27, "descriptor reuse race", crowds.reuse_race),
    Scenario(28, "restart; port in use", process.restart),
]
