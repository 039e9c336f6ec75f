#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the files of this folder, with real Keras: make_fixtures.py [FOLDER]. They are checked in; this shows where they come from.

Element i of variable k of a layer is 10·n + k + i/64, n the number of its Dense layer from 1; element i of the optimizer's variable k (from 2 on)
is −k − i/64. The iteration is 7. Archives are packed, but for adam.keras, which is just as Keras wrote it. keras_3_0.keras is the same model
made with Keras 3.0.5; the others are made with the version that tests/interop/venv.sh installs.
"""
import io
import os
import sys
import zipfile

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import h5py
import keras
import numpy as np
from keras import layers, optimizers


def fill(shape, start, step):
    return start + step * np.arange(np.prod(shape), dtype="float64").reshape(shape) / 64


def set_variables(model):
    dense = [layer for layer in model.layers if isinstance(layer, layers.Dense)]
    for n, layer in enumerate(dense, 1):
        for k, variable in enumerate(layer.variables):
            variable.assign(fill(variable.shape, 10 * n + k, 1))
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)
    optimizer.iterations.assign(7)
    for k, variable in enumerate(optimizer.variables):
        if k >= 2:
            variable.assign(fill(variable.shape, -k, -1))


def members(file):
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(file, contents):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in contents.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


def save(model, file):
    set_variables(model)
    model.save(file)
    pack(file, members(file))


def sequential(optimizer):
    keras.utils.clear_session()
    model = keras.Sequential([keras.Input((3, 2)), layers.Flatten(), layers.Dense(5, activation="relu"), layers.Dropout(0.25),
                              layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    return model


def functional():
    keras.utils.clear_session()
    start = keras.Input((6,))
    x = layers.Dense(5)(start)
    x = layers.Activation("tanh")(x)
    x = layers.Dense(3)(x)
    model = keras.Model(start, layers.Softmax()(x))
    model.compile(optimizer=optimizers.SGD(0.1, momentum=0.9, nesterov=True), loss="sparse_categorical_crossentropy",
                  metrics=[keras.metrics.SparseCategoricalAccuracy(name="acc")])
    return model


def regression():
    keras.utils.clear_session()
    model = keras.Sequential([keras.Input((6,)), layers.Dense(5), layers.ReLU(), layers.Dense(3, kernel_initializer="he_normal")])
    model.compile(optimizer=optimizers.RMSprop(0.01, momentum=0.5, centered=True), loss="mse", metrics=["mae", "mse"])
    return model


def rewrite(source, file, change):
    """The same archive with another model.weights.h5: change(old, new, path) writes a dataset of it."""
    contents = members(source)
    memory = io.BytesIO()
    with h5py.File(io.BytesIO(contents["model.weights.h5"])) as old, h5py.File(memory, "w") as new:
        def visit(path, item):
            if isinstance(item, h5py.Dataset):
                change(item, new, path)
            else:
                new.require_group(path)
        old.visititems(visit)
    contents["model.weights.h5"] = memory.getvalue()
    pack(file, contents)


def copied(old, new, path):
    new[path] = old[()]


def chunked(old, new, path):
    if not old.shape:
        return copied(old, new, path)
    chunks = tuple(max(1, (n + 1) // 2) for n in old.shape)
    new.create_dataset(path, data=old[()].astype("float64"), chunks=chunks, compression="gzip", shuffle=True, fletcher32=True)


def plain_chunks(old, new, path):
    if not old.shape:
        return copied(old, new, path)
    new.create_dataset(path, data=old[()], chunks=(2,) * len(old.shape), maxshape=(None,) * len(old.shape))


def special(where, how):
    return lambda old, new, path: how(old, new, path) if path == where else copied(old, new, path)


KERNEL = "layers/dense_1/vars/0"


def soft(old, new, path):
    new["elsewhere"] = old[()]
    new[path] = h5py.SoftLink("/elsewhere")


def external_link(old, new, path):
    new[path] = h5py.ExternalLink("other.h5", "/x")


def external_data(old, new, path):
    new.create_dataset(path, old.shape, old.dtype, external=[("other.bin", 0, h5py.h5f.UNLIMITED)])


def big_endian(old, new, path):
    new[path] = old[()].astype(">f4")


def half(old, new, path):
    new[path] = old[()].astype("f2")


def transposed(old, new, path):
    new[path] = old[()].T


def missing(old, new, path):
    pass


def surplus(old, new, path):
    copied(old, new, path)
    new["layers/dense_1/vars/2"] = old[()]


def lzf(old, new, path):
    new.create_dataset(path, data=old[()], chunks=old.shape, compression="lzf")


def sparse_chunks(old, new, path):
    dataset = new.create_dataset(path, old.shape, old.dtype, chunks=(1, old.shape[1]))
    dataset[0] = old[0]


def narrow(old, new, path):
    new[path] = np.int32(old[()])


def main(folder):
    os.chdir(folder)
    with open("sequential.json", "w", encoding="utf-8") as text:
        text.write(sequential("adam").to_json())
    with open("functional.json", "w", encoding="utf-8") as text:
        text.write(functional().to_json())
    model = sequential("adam")
    set_variables(model)
    model.save("adam.keras")
    save(sequential(optimizers.SGD(0.5)), "sgd.keras")
    save(sequential(optimizers.Nadam()), "nadam.keras")
    save(functional(), "functional.keras")
    save(regression(), "regression.keras")
    rewrite("adam.keras", "chunked.keras", chunked)
    rewrite("adam.keras", "growable.keras", plain_chunks)
    rewrite("adam.keras", "iteration_int32.keras", special("optimizer/vars/0", narrow))
    for how in (soft, external_link, external_data, big_endian, half, transposed, missing, surplus, lzf, sparse_chunks):
        rewrite("adam.keras", f"bad_{how.__name__}.keras", special(KERNEL, how))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__)))
