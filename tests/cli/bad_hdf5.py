#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: bad_hdf5.py DIR: write HDF5 data files with one fault each; the file's name says which."""

import sys

import h5py
import numpy as np

N_TRAIN, N_TEST, SHAPE = 24, 8, (4, 4)
rng = np.random.default_rng(1)


def arrays():
    return {
        "x_train": rng.integers(0, 256, (N_TRAIN, *SHAPE), dtype=np.uint8),
        "y_train": np.arange(N_TRAIN, dtype=np.int32) % 10,
        "x_test": rng.integers(0, 256, (N_TEST, *SHAPE), dtype=np.uint8),
        "y_test": np.arange(N_TEST, dtype=np.int32) % 10,
    }


def write(name, changes=None, drop=(), more=None):
    with h5py.File(f"{sys.argv[1]}/{name}.h5", "w") as file:
        for key, value in {**arrays(), **(changes or {})}.items():
            if key not in drop:
                file.create_dataset(key, data=value)
        if more is not None:
            more(file)


def with_value(key, at, value, dtype=np.float32):
    array = arrays()[key].astype(dtype)
    array[at] = value
    return {key: array}


def floats(train_value):
    x = arrays()["x_train"].astype(np.float32)
    x[17, 2, 3] = train_value
    return {"x_train": x, "x_test": arrays()["x_test"].astype(np.float32)}


def unwritten(file):
    file.create_dataset("x_train", (N_TRAIN, *SHAPE), np.uint8)


def external(file):
    file.create_dataset("x_train", (N_TRAIN, *SHAPE), np.uint8, external=[("elsewhere.bin", 0, N_TRAIN * 16)])


def soft_link(file):
    file["x"] = arrays()["x_train"]
    file["x_train"] = h5py.SoftLink("/x")


def group(file):
    file.create_group("x_train")


write("good")
write("no_x_train", drop=["x_train"])
write("no_y_train", drop=["y_train"])
write("no_train", drop=["x_train", "y_train"])
write("no_y_test", drop=["y_test"])
write("no_x_test", drop=["x_test"])
write("nothing", drop=arrays())
write("scalar_x", {"x_train": np.uint8(3)})
write("rows_test", {"x_test": arrays()["x_test"][:, :3]})
write("type_test", {"x_test": arrays()["x_test"].astype(np.float32)})
write("one_hot", {"y_train": np.eye(10, dtype=np.int32)[arrays()["y_train"]]})
write("few_labels", {"y_train": arrays()["y_train"][:-1]})
write("many_labels_test", {"y_test": np.arange(N_TEST + 2) % 10})
write("no_samples", {"x_train": np.zeros((0, *SHAPE), np.uint8), "y_train": np.zeros(0, np.int32)})
write("text_x", {"x_train": np.array([b"abcd"] * N_TRAIN)})
write("text_y", {"y_train": np.array([b"1"] * N_TRAIN)})
write("compound_y", {"y_train": np.zeros(N_TRAIN, np.dtype([("a", "i4"), ("b", "f4")]))})
write("complex_x", {"x_train": np.zeros((N_TRAIN, *SHAPE), np.complex64)})
write("label_10", with_value("y_train", 5, 10, np.int32))
write("label_minus_1", with_value("y_train", 5, -1, np.int32))
write("label_half", with_value("y_train", 5, 2.5))
write("label_nan", with_value("y_train", 5, np.nan))
write("label_10_test", with_value("y_test", 7, 10, np.int32))
write("nan", floats(np.nan))
write("minus_inf", floats(-np.inf))
write("huge", {key: value.astype(np.float64) for key, value in arrays().items() if key.startswith("x")}
      | {"x_train": np.full((N_TRAIN, *SHAPE), 1e300)})
write("unwritten", drop=["x_train"], more=unwritten)
write("external", drop=["x_train"], more=external)
write("soft_link", drop=["x_train"], more=soft_link)
write("group", drop=["x_train"], more=group)
