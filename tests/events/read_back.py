#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: read_back.py MKEVENTS tfrecords|tensorboard: what several launches wrote into a log folder, by readers that are not ftmpi's.

tfrecords: the reader of tfrecords.py. tensorboard: TensorBoard's own, once opened after each launch
and once open all along, as in a TensorBoard that runs beside the training."""

import os
import signal
import subprocess
import sys
import time

from tfrecords import events

MKEVENTS, READER = sys.argv[1:]
LOG = "logs/train"
BEGIN = time.time()

# (goes on from, first step, last step, killed?): the launch's number is its value.
LAUNCHES = [(-1, 0, 5, True), (3, 4, 9, True), (9, 10, 10, False), (4, 5, 5, True), (5, 6, 5, True), (5, 6, 8, False), (-1, 0, 1, False)]


class TfRecords:
    def read(self):
        out = {}
        assert all(name.startswith("events.out.tfevents.") for name in os.listdir(LOG)), os.listdir(LOG)
        for wall, step, tag, value in events(LOG):
            assert BEGIN - 60 < wall < time.time() + 60
            if tag is not None:
                out.setdefault(tag, []).append((step, value))
        return out


class TensorBoard:
    def __init__(self):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        self.open = lambda: EventAccumulator(LOG, size_guidance={"scalars": 0})
        self.running = None

    def scalars(self, accumulator):
        accumulator.Reload()
        tags = accumulator.Tags()["scalars"]
        return {tag: [(scalar.step, scalar.value) for scalar in accumulator.Scalars(tag)] for tag in tags}

    def read(self):
        self.running = self.running or self.open()
        fresh, running = self.scalars(self.open()), self.scalars(self.running)
        assert fresh == running, (fresh, running)
        return fresh


reader = {"tfrecords": TfRecords, "tensorboard": TensorBoard}[READER]()
steps = {}
for number, (start, first, last, killed) in enumerate(LAUNCHES, 1):
    command = [MKEVENTS, LOG, *map(str, (start, first, last, number)), *["kill"] * killed]
    assert subprocess.run(command, check=False).returncode == (-signal.SIGKILL if killed else 0), command
    steps = {step: launch for step, launch in steps.items() if step <= start}
    steps.update((step, number) for step in range(first, last + 1))
    expected = {
        "epoch_loss": [(step, launch + step / 16) for step, launch in sorted(steps.items())],
        "validation/accuracy": [(step, -step) for step in sorted(steps)],
    }
    found = reader.read()
    assert found == expected, f"after launch {number}: found {found}, expected {expected}"
