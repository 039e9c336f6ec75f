#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: read_back.py MKEVENTS tfrecords|tensorboard: what several launches wrote into a log folder, by readers that are not ftmpi's.

tfrecords: the reader below, written from the description of the format. tensorboard: TensorBoard's own, once opened after each launch
and once open all along, as in a TensorBoard that runs beside the training."""

import pathlib
import signal
import struct
import subprocess
import sys
import time

MKEVENTS, READER = sys.argv[1:]
LOG = "logs/train"
BEGIN = time.time()

# (goes on from, first step, last step, killed?): the launch's number is its value.
LAUNCHES = [(-1, 0, 5, True), (3, 4, 9, True), (9, 10, 10, False), (4, 5, 5, True), (5, 6, 5, True), (5, 6, 8, False), (-1, 0, 1, False)]


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 0x80:
            return value, at


def fields(data):
    """A message of protocol buffers as {number: [value]}; a number or a length's bytes."""
    out, at = {}, 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        else:
            length, at = varint(data, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
            value, at = data[at:at + length], at + length
            assert len(value) == length
        out.setdefault(key >> 3, []).append(value)
    return out


def records(path):
    data, at = path.read_bytes(), 0
    while at < len(data):
        length, length_crc = struct.unpack_from("<QI", data, at)
        event = data[at + 12:at + 12 + length]
        assert length_crc == masked(data[at:at + 8]), (path, at)
        assert struct.unpack_from("<I", data, at + 12 + length)[0] == masked(event), (path, at)
        yield event
        at += 16 + length


class TfRecords:
    """All files of the folder, in the order of their names, to their last byte."""

    def read(self):
        out = {}
        for path in sorted(pathlib.Path(LOG).iterdir()):
            assert path.name.startswith("events.out.tfevents."), path
            events = [fields(event) for event in records(path)]
            assert events[0][3] == [b"brain.Event:2"], events[0]
            for event in events:
                assert BEGIN - 60 < struct.unpack("<d", event[1][0])[0] < time.time() + 60
                for summary in event.get(5, []):
                    value = fields(fields(summary)[1][0])
                    step = event.get(2, [0])[0]
                    out.setdefault(value[1][0].decode(), []).append((step, struct.unpack("<f", value[2][0])[0]))
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
