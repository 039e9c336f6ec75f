# SPDX-License-Identifier: Apache-2.0
"""Reading the IDX files of a data folder."""

import numpy as np


def read(path):
    """The array in an IDX file of 8-bit values."""
    raw = np.fromfile(path, np.uint8)
    assert bytes(raw[:3]) == b"\0\0\x08", path
    dims = raw[4 : 4 + 4 * raw[3]].view(">u4")
    return raw[4 + 4 * raw[3] :].reshape(dims)


def inputs(folder, split):
    """float32 [n, features], scaled as ftmpi scales 8-bit images: split is "train" or "t10k"."""
    x = read(f"{folder}/{split}-images-idx3-ubyte")
    return (x.reshape(len(x), -1).astype(np.float64) * (1.0 / 255)).astype(np.float32)


def labels(folder, split):
    return read(f"{folder}/{split}-labels-idx1-ubyte").astype(np.int64)
