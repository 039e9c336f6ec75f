#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: end_to_end.py make DATA OUT.keras             a model that Keras trains for one epoch
       end_to_end.py evaluate DATA FILE.keras        what Keras says of an exported one: accuracy, loss, iterations
       end_to_end.py start DATA sgd|adam OUT.keras   a compiled model without dropout, and DATA's losses, in order, in OUT.losses
       end_to_end.py compare OUT.losses LOG          the log of ftmpi's first epoch has the same losses, each within 1e-4
"""

import os
import re
import sys

import keras
import numpy as np
import tensorflow
from keras import layers, losses, optimizers

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
import idx

BATCH = 24
TOLERANCE = 1e-4


def data(folder, split):
    x = idx.inputs(folder, split)
    return x.reshape(len(x), 8, 8), idx.labels(folder, split)


def build(optimizer, dropout):
    middle = [layers.Dropout(0.2)] if dropout else []
    model = keras.Sequential(
        [keras.Input((8, 8)), layers.Flatten(), layers.Dense(32, activation="relu"), *middle, layers.Dense(10)]
    )
    model.compile(
        optimizer=optimizer, loss=losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    model.optimizer.build(model.trainable_variables)
    return model


def make(folder, out):
    model = build(optimizers.Adam(0.002), True)
    model.fit(*data(folder, "train"), batch_size=BATCH, epochs=1, verbose=0)
    model.save(out)
    print("iterations", int(model.optimizer.iterations.numpy()))


def evaluate(folder, file):
    model = keras.saving.load_model(file)
    loss, accuracy = model.evaluate(*data(folder, "t10k"), verbose=0)
    print(f"accuracy: {accuracy:.4f} - loss: {loss:.4f} iterations {int(model.optimizer.iterations.numpy())}")


def start(folder, kind, out):
    model = build({"sgd": optimizers.SGD(0.05), "adam": optimizers.Adam(0.001)}[kind], False)
    model.save(out)
    x, y = data(folder, "train")
    with open(out.replace(".keras", ".losses"), "w") as file:
        for first in range(0, len(x), BATCH):
            with tensorflow.GradientTape() as tape:
                loss = model.loss(y[first : first + BATCH], model(x[first : first + BATCH], training=True))
            gradients = tape.gradient(loss, model.trainable_variables)
            model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            print(float(loss), file=file)


def compare(expected_file, log):
    expected = np.loadtxt(expected_file)
    with open(log) as file:
        found = np.array([float(match) for match in re.findall(r"^loss = ([^,]+), step", file.read(), re.M)])
    assert len(found) == len(expected), (len(found), len(expected))
    error = np.abs(found / expected - 1).max()
    assert error <= TOLERANCE, error
    assert expected[-1] < expected[0], "Keras learns nothing here"
    print(f"{len(found)} losses agree within {error:.2g}")


if __name__ == "__main__":
    keras.utils.set_random_seed(1)
    {"make": make, "evaluate": evaluate, "start": start, "compare": compare}[sys.argv[1]](*sys.argv[2:])
