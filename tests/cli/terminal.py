#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a command with a terminal as its standard input, and types on it.
terminal.py COMMAND...: types two lines, each after the answer to the one before has come, then the end of
input (^D). Prints what the command wrote; ends with its status."""
import os
import pty
import subprocess
import sys

master, slave = pty.openpty()
child = subprocess.Popen(sys.argv[1:], stdin=slave, stdout=subprocess.PIPE)
os.close(slave)
answers = b""
for line in (b"one\n", b"two\n"):
    os.write(master, line)
    answers += child.stdout.readline()
os.write(master, b"\x04")
answers += child.stdout.read()
sys.stdout.write(answers.decode())
sys.exit(child.wait())
