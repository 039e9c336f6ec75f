#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: layout.py FILE SLOTS: a checkpoint of the network 64-16-8-10 is laid out as Keras lays out model.save_weights().

SLOTS: how the optimizer's slots follow iteration and learning rate: "N" all of the first slot, then all of the second …;
"Nx" the N slots of a variable side by side; "NxS" S scalars after them."""

import sys

import h5py
import numpy as np

path, slots = sys.argv[1:]
OPTIMIZER = sys.argv[1].split("/")[0].split("-")[0]
SHAPES = [(64, 16), (16,), (16, 8), (8,), (8, 10), (10,)]
LAYERS = {
    "flatten": [],
    "dense": SHAPES[0:2],
    "dropout": [],
    "dense_1": SHAPES[2:4],
    "dropout_1": [],
    "dense_2": SHAPES[4:6],
}


def check_vars(group, name, expected):
    """A group of variables: Keras's attribute, and datasets 0, 1, 2 … of these types and shapes."""
    assert group.name.endswith("/vars"), group.name
    text = group.attrs["name"]  # h5py gives a string of fixed length as bytes
    assert (text.decode() if isinstance(text, bytes) else text) == name, (group.name, text, name)
    assert list(group.attrs) == ["name"], list(group.attrs)
    assert sorted(group, key=int) == [str(i) for i in range(len(expected))], (group.name, list(group))
    for i, (dtype, shape) in enumerate(expected):
        dataset = group[str(i)]
        assert dataset.shape == shape, (dataset.name, dataset.shape, shape)
        assert dataset.dtype == np.dtype(dtype), (dataset.name, dataset.dtype, dtype)
        assert dataset.dtype.byteorder in "=<", dataset.name
        assert dataset.chunks is None and not dataset.external and not dataset.is_virtual, dataset.name
        assert isinstance(group.get(str(i), getlink=True), h5py.HardLink), dataset.name


with open(path, "rb") as raw:
    start = raw.read(9)
assert start[:8] == b"\x89HDF\r\n\x1a\n", start
assert start[8] == 3, f"superblock version {start[8]}"

n_slots, side_by_side, n_scalars = slots.partition("x")
slot_shapes = [s for s in SHAPES for _ in range(int(n_slots))] if side_by_side else SHAPES * int(n_slots)
slot_shapes += [()] * int(n_scalars or 0)
with h5py.File(path) as file:
    assert set(file) == {"vars", "layers", "optimizer", "ftmpi"}, list(file)
    check_vars(file["vars"], "sequential", [])
    assert set(file["layers"]) == set(LAYERS), list(file["layers"])
    for name, shapes in LAYERS.items():
        assert list(file["layers"][name]) == ["vars"], list(file["layers"][name])
        check_vars(file["layers"][name]["vars"], name, [("<f4", shape) for shape in shapes])
    assert list(file["optimizer"]) == ["vars"], list(file["optimizer"])
    check_vars(file["optimizer/vars"], OPTIMIZER,
               [("<i8", ()), ("<f4", ())] + [("<f4", shape) for shape in slot_shapes])

    assert file["optimizer/vars/0"][()] == 7, file["optimizer/vars/0"][()]
    state = {"epoch": ("<i8", ()), "position": ("<i8", ()), "seed": ("<u8", ()), "logical_workers": ("<i8", ()),
             "order_seed": ("<u8", ()), "history/skipped": ("<i8", (0,)), "loss_mean": ("<f8", (2,)),
             "metric_sums": ("<f8", (4,)), "history/loss": ("<f8", (1,)), "history/val_accuracy": ("<f8", (1,)),
             "run/wall_time_s": ("<f8", ()), "run/relaunches": ("<i8", ()),
             "run/failures": ("<i8", ()), "run/save_costs_s": ("<f8", (5,))}
    for name, (dtype, shape) in state.items():
        dataset = file["ftmpi"][name]
        assert (dataset.dtype, dataset.shape) == (np.dtype(dtype), shape), (dataset, dtype, shape)
    assert file["ftmpi/epoch"][()] == 1 and file["ftmpi/position"][()] == 0
    assert b"optimizer = " in file["ftmpi/config"][()] and b"blas = " in file["ftmpi/environment"][()]
    paths = []
    file.visititems(lambda name, item: paths.append(name) if isinstance(item, h5py.Dataset) else None)
    listed = file["ftmpi/digests/paths"]
    n_digests = len(file["ftmpi/digests/xxh3_128"])
    assert n_digests == sum(not name.startswith("ftmpi/digests/") for name in paths), (n_digests, listed)
