#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: predictions.py FILE.h5 DATA ACCURACY LOSS: what `ftmpi predict` wrote agrees with what `ftmpi evaluate` printed."""

import sys

import h5py
import numpy as np

import idx

path, data, accuracy, loss = sys.argv[1:]
y = idx.labels(data, "t10k")
with h5py.File(path) as file:
    assert sorted(file) == ["classes", "ftmpi", "predictions"], sorted(file)
    predictions, classes = file["predictions"], file["classes"]
    assert predictions.shape == (len(y), 10), predictions.shape
    assert predictions.dtype == np.dtype("<f4"), predictions.dtype
    assert classes.shape == (len(y),), classes.shape
    assert classes.dtype == np.dtype("<i4"), classes.dtype
    z, classes = predictions[:].astype(np.float64), classes[:]

assert np.array_equal(classes, z.argmax(axis=1)), "classes are not the argmax of the predictions"
assert len(set(classes)) > 1, "all samples have one class: nothing was learned, and nothing is tested"
assert f"{np.mean(classes == y):.4f}" == accuracy, (np.mean(classes == y), accuracy)
z -= z.max(axis=1, keepdims=True)
cross_entropy = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y]
assert abs(cross_entropy.mean() - float(loss)) < 6e-5, (cross_entropy.mean(), loss)
