#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: checkpoints.py DATA RUN…

Each RUN/ckpt-N.weights.h5 of a network 64-16-8-10 is loaded by keras.Model.load_weights into a compiled model: weights, iterations and all of the
optimizer's variables must be there, and the predictions must be those in RUN/N.predictions.h5, within 1e-5.
"""

import glob
import os
import re
import sys
import warnings

import h5py
import keras
import numpy as np
import tensorflow
from keras import layers, losses, optimizers

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
import idx
import network

TOLERANCE = 1e-5
OPTIMIZERS = {
    "adam": lambda c: optimizers.Adam(),
    "adamw": lambda c: optimizers.AdamW(weight_decay=float(c["weight-decay"])),
    "sgd": lambda c: optimizers.SGD(momentum=float(c["momentum"]), nesterov=c["nesterov"] == "true"),
    "rmsprop": lambda c: optimizers.RMSprop(momentum=float(c["momentum"]), centered=c["centered"] == "true"),
    "adagrad": lambda c: optimizers.Adagrad(),
    "nadam": lambda c: optimizers.Nadam(),
    "lion": lambda c: optimizers.Lion(),
}


def build(config):
    """An untrained model of this configuration, its optimizer built: Keras drops the state of one that is not."""
    middle = []
    for units in (16, 8):
        middle.append(layers.Dense(units, activation=config["activation"]))
        if float(config["dropout"]) > 0:
            middle.append(layers.Dropout(float(config["dropout"])))
    model = keras.Sequential([keras.Input((8, 8)), layers.Flatten(), *middle, layers.Dense(10)])
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=OPTIMIZERS[config["optimizer"]](config), loss=loss, metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    return model


def check_state(model, path, step):
    optimizer = model.optimizer
    assert int(optimizer.iterations.numpy()) == step, (path, optimizer.iterations.numpy())
    with h5py.File(path) as file:
        saved = file["optimizer/vars"]
        assert len(saved) == len(optimizer.variables), (path, len(saved), len(optimizer.variables))
        for k, variable in enumerate(optimizer.variables):
            assert saved[str(k)][()].tobytes() == variable.numpy().tobytes(), (path, k, variable.path)
        n_nonzero = sum(bool(np.any(variable.numpy())) for variable in optimizer.variables[2:])
    assert n_nonzero == len(optimizer.variables) - 2, (path, n_nonzero)
    for mine, theirs in zip(network.weights(path), model.get_weights(), strict=True):
        assert np.array_equal(mine, theirs), path


def check(path, x, y):
    run, step = re.fullmatch(r"(.*)/ckpt-(\d+)\.weights\.h5", path).groups()
    keras.utils.clear_session()
    model = build(network.config(path))
    model.load_weights(path)
    check_state(model, path, int(step))
    with h5py.File(f"{run}/{step}.predictions.h5") as file:
        predictions = file["predictions"][:]
    error = np.abs(model.predict_on_batch(x) - predictions).max()
    assert error <= TOLERANCE, (path, error)
    assert np.isfinite(model.train_on_batch(x, y)[0])


def main(data, runs):
    tensorflow.config.run_functions_eagerly(True)  # tracing each model would take most of the time
    warnings.simplefilter("error", UserWarning)  # Keras only warns where it drops the optimizer's state
    warnings.filterwarnings("ignore", message=".*run_functions_eagerly.*")
    x = idx.inputs(data, "t10k").reshape(-1, 8, 8)
    y = idx.labels(data, "t10k")
    paths = [path for run in runs for path in sorted(glob.glob(f"{run}/ckpt-*.weights.h5"))]
    for path in paths:
        check(path, x, y)
    print(f"{len(runs)} runs, {len(paths)} checkpoints")


main(sys.argv[1], sys.argv[2:])
