# SPDX-License-Identifier: Apache-2.0
"""A dense network in NumPy, in double precision, with the weights of a checkpoint: written from the formulas, not from ftmpi's code."""

import math

import h5py
import numpy as np

erf = np.vectorize(math.erf, otypes=[float])


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


ACTIVATIONS = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "gelu": lambda z: z * 0.5 * (1 + erf(z / math.sqrt(2))),
    "softmax": softmax,
}


def config(path):
    """The options of the run, as the checkpoint keeps them."""
    with h5py.File(path) as file:
        text = file["ftmpi/config"][()].decode()
    return dict(line.split(" = ", 1) for line in text.splitlines())


def weights(path):
    """[kernel, bias, kernel, bias, …]"""
    with h5py.File(path) as file:
        n = sum(name.startswith("dense") for name in file["layers"])
        groups = [file["layers"][f"dense_{i}" if i else "dense"]["vars"] for i in range(n)]
        return [group[k][()].astype(np.float64) for group in groups for k in "01"]


def forward(params, x, activation):
    """The inputs of every layer, and last the logits."""
    values = [x]
    for i in range(0, len(params), 2):
        z = values[-1] @ params[i] + params[i + 1]
        values.append(z if i + 2 == len(params) else ACTIVATIONS[activation](z))
    return values


def cross_entropy(logits, y):
    """Loss of every sample, and the probabilities."""
    p = softmax(logits)
    return -np.log(p[np.arange(len(y)), y]), p


def relative_error(a, b):
    """Largest difference, relative to the largest value of b."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert a.shape == b.shape, (a.shape, b.shape)
    return np.abs(a - b).max() / max(np.abs(b).max(), 1e-30)
