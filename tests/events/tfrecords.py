#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A reader of TensorBoard's event files that is not ftmpi's, written from the description of the format.

usage: tfrecords.py DIR: prints tag, step and value of each scalar of a log folder, a line each, tab between them."""

import pathlib
import struct
import sys


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


def events(directory):
    """(wall time, step, tag, value) of each scalar, and (wall time, step, None, None) of what is none: of all event files of the folder,
    in the order of their names, to their last byte."""
    for path in sorted(pathlib.Path(directory).glob("events.out.tfevents.*")):
        messages = [fields(event) for event in records(path)]
        assert messages[0][3] == [b"brain.Event:2"], messages[0]
        for message in messages:
            wall, step = struct.unpack("<d", message[1][0])[0], message.get(2, [0])[0]
            if 5 not in message:
                yield wall, step, None, None
            for summary in message.get(5, []):
                value = fields(fields(summary)[1][0])
                yield wall, step, value[1][0].decode(), struct.unpack("<f", value[2][0])[0]


if __name__ == "__main__":
    for _, step_, tag_, value_ in events(sys.argv[1]):
        if tag_ is not None:
            print(tag_, step_, repr(value_), sep="\t")
