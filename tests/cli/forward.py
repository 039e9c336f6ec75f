#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: forward.py CHECKPOINT DATA PREDICTIONS: the network in NumPy gives what `ftmpi predict` gave, within 1e-5."""

import sys

import h5py

import idx
import network

checkpoint, data, predictions = sys.argv[1:]
x = idx.inputs(data, "t10k").astype("f8")
logits = network.forward(network.weights(checkpoint), x, network.config(checkpoint)["activation"])[-1]
with h5py.File(predictions) as file:
    error = network.relative_error(file["predictions"][:], logits)
assert error <= 1e-5, f"predictions are off by {error:.2e}"
