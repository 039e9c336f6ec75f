# SPDX-License-Identifier: Apache-2.0
"""The loop of a peer that measures rounds when told, with the commands of bench_serve.c on standard input and one line of JSON as the answer.

A peer is a class: Peer(data, units, batch) with step(steps) -> seconds a step, and loss() over the whole training data.
"""
import json
import os
import sys

import numpy as np

N_SAMPLES, N_INPUTS, N_CLASSES = 20480, 784, 10


def read_data(path):
    """The data that bench_serve wrote: float32 [20480, 784] in [0, 1], int32 [20480]."""
    x = np.fromfile(path, np.float32, N_SAMPLES * N_INPUTS).reshape(N_SAMPLES, N_INPUTS)
    y = np.fromfile(path, np.int32, N_SAMPLES, offset=x.nbytes)
    return x, y


def answer(peers, make, words):
    command = words[0]
    if command == "setup":
        units = [int(u) for u in words[2].split(",")]
        peers.pop(words[1], None)
        peers[words[1]] = make(units, int(words[3]))
        return {}
    if command == "step":
        return {"seconds": peers[words[1]].step(int(words[2]))}
    if command == "loss":
        return {"loss": peers[words[1]].loss()}
    if command == "drop":
        del peers[words[1]]
        return {}
    raise ValueError(f"unknown command {command}")


def serve(peer_class, data_path):
    """Answer until the end of the input. What else the libraries print on standard output goes to standard error."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    data = read_data(data_path)
    peers = {}
    for line in sys.stdin:
        try:
            result = answer(peers, lambda units, batch: peer_class(data, units, batch), line.split())
        except Exception as error:  # pylint: disable=broad-except # the driver's row says what it was
            result = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
        print(json.dumps(result), file=out, flush=True)
