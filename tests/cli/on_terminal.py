#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: on_terminal.py COMMAND…: run a command on a terminal of its own, copy what it prints, and end with its exit code."""

import os
import pty
import sys

pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
while True:
    try:
        text = os.read(terminal, 65536)
    except OSError:  # EIO: nobody has the terminal open any more
        break
    if not text:
        break
    sys.stdout.buffer.write(text)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
