#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: training.py START END DATA: training in NumPy from START's weights ends where ftmpi ended, in END: weights, slots and history.

No dropout, no shuffling. Formulas: Keras's, in double precision. Errors are relative to the largest value, for weights of the layer, for others of
the array. Slots may have larger ones: float32 rounds the gradients, which are differences, and second moments are their squares."""

import sys

import h5py
import numpy as np

import idx
import network

WEIGHTS_TOLERANCE, SLOTS_TOLERANCE = 1e-5, 1e-4


def gradients(params, x, y, activation, scale):
    """Of the sum of the samples' losses times scale; and the losses and the number of right answers."""
    values = network.forward(params, x, activation)
    losses, p = network.cross_entropy(values[-1], y)
    n_correct = (values[-1].argmax(axis=1) == y).sum()
    delta = p
    delta[np.arange(len(y)), y] -= 1
    delta *= scale
    grads = [None] * len(params)
    for i in range(len(params) - 2, -1, -2):
        grads[i], grads[i + 1] = values[i // 2].T @ delta, delta.sum(axis=0)
        if i > 0:
            h = values[i // 2]
            delta = (delta @ params[i].T) * {"relu": h > 0, "tanh": 1 - h * h, "linear": 1}[activation]
    return grads, losses, n_correct


class Optimizer:
    """Keras 3's update rules. slots[k][i]: slot k of parameter i."""

    def __init__(self, options, params):
        self.kind = options["optimizer"]
        self.lr, self.mu, self.b1, self.b2, self.rho, self.eps, self.wd, first = (float(options.get(name, "nan")) for name in (
            "learning-rate", "momentum", "beta-1", "beta-2", "rho", "epsilon", "weight-decay", "initial-accumulator"))
        self.nesterov, self.centered = (options.get(name) == "true" for name in ("nesterov", "centered"))
        names = {"sgd": ["m"] if self.mu > 0 else [], "adam": ["m", "v"], "adamw": ["m", "v"], "adagrad": ["acc"],
                 "nadam": ["m", "v"], "lion": ["m"],
                 "rmsprop": ["v"] + (["m"] if self.mu > 0 else []) + (["a"] if self.centered else [])}[self.kind]
        first = first if self.kind == "adagrad" else 0.0
        self.slots = {name: [np.full(p.shape, first) for p in params] for name in names}
        self.iteration, self.u_product = 0, 1.0
        if self.kind in ("nadam", "lion"):  # here Keras has them in single precision
            self.b1, self.b2 = (float(np.float32(beta)) for beta in (self.b1, self.b2))

    def u(self, t):
        return self.b1 * (1 - float(np.float32(0.96)) ** t / 2)

    def apply(self, params, grads):
        self.iteration += 1
        self.u_product *= self.u(self.iteration)
        for i, g in enumerate(grads):
            params[i] -= params[i] * self.wd * self.lr
            params[i] -= self.step({name: arrays[i] for name, arrays in self.slots.items()}, g)

    def step(self, slot, g):
        if self.kind == "sgd":
            if self.mu == 0:
                return self.lr * g
            slot["m"] *= self.mu
            slot["m"] -= self.lr * g
            return -(self.mu * slot["m"] - self.lr * g) if self.nesterov else -slot["m"]
        if self.kind in ("adam", "adamw"):
            t = self.iteration
            slot["m"] += (g - slot["m"]) * (1 - self.b1)
            slot["v"] += (g * g - slot["v"]) * (1 - self.b2)
            rate = self.lr * np.sqrt(1 - self.b2**t) / (1 - self.b1**t)
            return rate * slot["m"] / (np.sqrt(slot["v"]) + self.eps)
        if self.kind == "nadam":
            t = self.iteration
            slot["m"] += (g - slot["m"]) * (1 - self.b1)
            slot["v"] += (g * g - slot["v"]) * (1 - self.b2)
            step = self.u(t + 1) * slot["m"] / (1 - self.u_product * self.u(t + 1))
            step += (1 - self.u(t)) * g / (1 - self.u_product)
            return self.lr * step / (np.sqrt(slot["v"] / (1 - self.b2**t)) + self.eps)
        if self.kind == "lion":
            step = self.lr * np.sign(self.b1 * slot["m"] + (1 - self.b1) * g)
            slot["m"] += (g - slot["m"]) * (1 - self.b2)
            return step
        if self.kind == "adagrad":
            slot["acc"] += g * g
            return self.lr * g / np.sqrt(slot["acc"] + self.eps)
        slot["v"] += (g * g - slot["v"]) * (1 - self.rho)
        denominator = slot["v"] + self.eps
        if self.centered:
            slot["a"] += (g - slot["a"]) * (1 - self.rho)
            denominator = denominator - slot["a"] ** 2
        step = self.lr * g / np.sqrt(denominator)
        if self.mu == 0:
            return step
        slot["m"] *= self.mu
        slot["m"] += step
        return slot["m"].copy()

    def in_file_order(self):
        arrays = list(self.slots.values())
        if self.kind in ("adam", "adamw", "nadam"):
            scalars = [np.array(self.u_product)] if self.kind == "nadam" else []
            return [a[i] for i in range(len(arrays[0])) for a in arrays] + scalars
        return [p for a in arrays for p in a]


def train(params, options, data):
    """Ends with the optimizer, and loss, accuracy, val_loss and val_accuracy of every epoch."""
    x, y = idx.inputs(data, "train").astype("f8"), idx.labels(data, "train")
    x_test, y_test = idx.inputs(data, "t10k").astype("f8"), idx.labels(data, "t10k")
    batch, activation = int(options["batch-size"]), options["activation"]
    mean = options["loss-reduction"] == "mean"
    optimizer, history = Optimizer(options, params), []
    for _ in range(int(options["epochs"])):
        batch_losses, n_correct = [], 0
        for start in range(0, len(x), batch):
            rows = slice(start, start + batch)
            grads, losses, n = gradients(params, x[rows], y[rows], activation, 1 / len(y[rows]) if mean else 1)
            optimizer.apply(params, grads)
            batch_losses.append(losses.sum())
            n_correct += n
        logits = network.forward(params, x_test, activation)[-1]
        history.append([sum(batch_losses) / (len(x) if mean else len(batch_losses)), n_correct / len(x),
                        network.cross_entropy(logits, y_test)[0].mean(), (logits.argmax(axis=1) == y_test).mean()])
    return optimizer, np.array(history).T


def main():
    start, end, data = sys.argv[1:]
    options, params = network.config(end), network.weights(start)
    assert options["shuffle"] == "false" and options["dropout"] == "0", options
    for bias in params[1::2]:  # what one step with a vanishing learning rate left of 0
        assert np.abs(bias).max() < 1e-20, "biases do not begin with 0"
    for kernel in params[::2]:
        limit = np.sqrt(6 / sum(kernel.shape))
        assert 0.8 * limit < np.abs(kernel).max() <= limit * (1 + 1e-6), ("not Glorot's range", kernel.shape)

    optimizer, history = train(params, options, data)
    expected = {f"layer {i // 2}": tuple(np.vstack(p[i : i + 2]) for p in (network.weights(end), params))
                for i in range(0, len(params), 2)}
    with h5py.File(end) as file:
        saved = file["optimizer/vars"]
        assert saved["0"][()] == optimizer.iteration
        assert saved["1"][()] == np.float32(optimizer.lr)
        slots = optimizer.in_file_order()
        assert len(saved) == 2 + len(slots), (len(saved), len(slots))
        for i, slot in enumerate(slots):
            expected[f"optimizer/vars/{i + 2}"] = saved[str(i + 2)][()], slot
        for name, values in zip(("loss", "accuracy", "val_loss", "val_accuracy"), history):
            expected[f"history/{name}"] = file[f"ftmpi/history/{name}"][()], values
    errors = {name: network.relative_error(*pair) for name, pair in expected.items()}
    wrong = {name: f"{error:.1e}" for name, error in errors.items()
             if not error <= (SLOTS_TOLERANCE if name.startswith("optimizer") else WEIGHTS_TOLERANCE)}
    print({name: f"{error:.1e}" for name, error in errors.items()})
    assert not wrong, wrong


main()
