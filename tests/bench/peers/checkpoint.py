# SPDX-License-Identifier: Apache-2.0
"""usage: checkpoint.py KIND FOLDER: saves and restores of a peer, when told; KIND is manager, backup, torch_save or torch_async.

    setup SLOT UNITS    a model 784 → UNITS → 10 with Adam's slots (UNITS "512" or "4096,4096")
    save SLOT           {"stall": seconds that training would wait, "durable": seconds until the bytes are on the disk, "memcpy": a copy of the same bytes}
    restore SLOT        {"seconds"} into the model and optimizer that are there, from the disk: the files are taken out of the page cache first
    drop SLOT

None of these but torch_async syncs its files: `durable` adds an fsync of all of them, so that it says the same of each.
"""
import json
import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np

N_INPUTS, N_CLASSES = 784, 10
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["KERAS_BACKEND"] = "tensorflow"


def sync(folder, forget=False):
    """fsync of all files and folders; then, if asked to, out of the page cache with them."""
    for path in [folder, *folder.rglob("*")]:
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        if forget:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


class Saver:
    """save() stalls, finish() waits for what goes on after it."""

    def __init__(self, folder, units):
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.create(units)
        widths = [N_INPUTS, *units, N_CLASSES]
        n = 3 * sum(k * n + n for k, n in zip(widths, widths[1:]))
        self.source, self.copy = np.ones(n, np.float32), np.zeros(n, np.float32)

    def finish(self):
        pass

    def timed_save(self):
        begin = time.perf_counter()
        self.save()
        stall = time.perf_counter() - begin
        self.finish()
        sync(self.folder)
        durable = time.perf_counter() - begin
        begin = time.perf_counter()
        np.copyto(self.copy, self.source)
        return {"stall": stall, "durable": durable, "memcpy": time.perf_counter() - begin}

    def timed_restore(self):
        sync(self.folder, forget=True)
        begin = time.perf_counter()
        self.restore()
        return {"seconds": time.perf_counter() - begin}


class KerasSaver(Saver):
    def create(self, units):
        import keras

        layers = [keras.Input((N_INPUTS,)), *(keras.layers.Dense(n, activation="relu") for n in units)]
        self.model = keras.Sequential([*layers, keras.layers.Dense(N_CLASSES)])
        self.model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        self.model.optimizer.build(self.model.trainable_variables)


class Manager(KerasSaver):
    def create(self, units):
        super().create(units)
        import tensorflow as tf

        checkpoint = tf.train.Checkpoint(model=self.model, optimizer=self.model.optimizer)
        self.manager = tf.train.CheckpointManager(checkpoint, str(self.folder), max_to_keep=2)

    def save(self):
        self.manager.save()

    def restore(self):
        self.manager.checkpoint.restore(self.manager.latest_checkpoint)


class Backup(KerasSaver):
    def create(self, units):
        super().create(units)
        import keras

        self.callback = keras.callbacks.BackupAndRestore(str(self.folder / "backup"))
        self.callback.set_model(self.model)
        self.callback.on_train_begin()
        self.epoch = 0

    def save(self):
        self.callback.on_epoch_end(self.epoch)
        self.epoch += 1

    def restore(self):
        self.callback.on_train_begin()


class TorchSaver(Saver):
    def create(self, units):
        import torch

        widths = [N_INPUTS, *units, N_CLASSES]
        self.model = torch.nn.Sequential(*(torch.nn.Linear(k, n) for k, n in zip(widths, widths[1:])))
        self.optimizer = torch.optim.Adam(self.model.parameters())
        for p in self.model.parameters():
            p.grad = torch.zeros_like(p)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.count = 0

    def state(self):
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def next_path(self):
        """The newest two are kept, as the others do."""
        self.count += 1
        old = self.folder / str(self.count - 2)
        if old.is_dir():
            shutil.rmtree(old)
        elif old.exists():
            old.unlink()
        return self.folder / str(self.count)


class TorchSave(TorchSaver):
    def save(self):
        import torch

        torch.save(self.state(), self.next_path())

    def restore(self):
        import torch

        state = torch.load(self.folder / str(self.count), mmap=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])


class TorchAsync(TorchSaver):
    def save(self):
        import torch.distributed.checkpoint as dcp

        self.future = dcp.async_save(self.state(), checkpoint_id=self.next_path())

    def finish(self):
        self.future.result()

    def restore(self):
        import torch.distributed.checkpoint as dcp

        state = self.state()
        dcp.load(state, checkpoint_id=self.folder / str(self.count))
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])


KINDS = {"manager": Manager, "backup": Backup, "torch_save": TorchSave, "torch_async": TorchAsync}


def answer(savers, words):
    if words[0] == "setup":
        savers[words[1]] = KINDS[sys.argv[1]](Path(sys.argv[2]) / sys.argv[1] / words[1], [int(u) for u in words[2].split(",")])
        return {}
    saver = savers[words[1]]
    if words[0] == "save":
        return saver.timed_save()
    if words[0] == "restore":
        return saver.timed_restore()
    shutil.rmtree(saver.folder)
    del savers[words[1]]
    return {}


def main():
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    savers = {}
    for line in sys.stdin:
        try:
            result = answer(savers, line.split())
        except Exception as error:  # pylint: disable=broad-except # the driver's row says what it was
            result = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
        print(json.dumps(result), file=out, flush=True)


main()
