#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: keras_files.py KERAS_TOOL

Models of every supported kind are made, trained for some steps and saved by Keras. ftmpi must read the same bits, and predict the same within 1e-5.
What it exports then must load in Keras, compiled, with the same weights, predictions, iteration and slots, and go on training as the first one does.
"""

import subprocess
import sys

import h5py
import keras
import numpy as np
import tensorflow
from keras import layers, losses, optimizers

TOOL = sys.argv[1]
TOLERANCE = 1e-5
ROWS = 16
RANDOM = np.random.default_rng(5)
tensorflow.config.run_functions_eagerly(True)  # tracing each model would take most of the time


def tool(*args):
    return subprocess.run([TOOL, *args], check=True, capture_output=True, text=True, timeout=60).stdout


def dense(optimizer, activation="relu", dropout=False, loss=None):
    """A Sequential model, with labels as targets."""
    middle = [layers.Dropout(0.25)] if dropout else []
    model = keras.Sequential([keras.Input((4, 3)), layers.Flatten(), layers.Dense(7, activation=activation), *middle, layers.Dense(5)])
    model.compile(optimizer=optimizer, loss=loss or losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


def chain(optimizer):
    """A Functional model, its activations in layers of their own."""
    start = keras.Input((6,))
    x = layers.Dense(7, name="first")(start)
    x = layers.ReLU()(x)
    x = layers.Dense(6, kernel_initializer="he_normal")(x)
    x = layers.Activation("gelu")(x)
    x = layers.Dropout(0)(x)
    x = layers.Dense(5, name="last")(x)
    model = keras.Model(start, layers.Softmax()(x))
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=[keras.metrics.SparseCategoricalAccuracy()])
    return model


def regression(optimizer):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(7, activation="tanh"), layers.Dense(2)])
    model.compile(optimizer=optimizer, loss="mse", metrics=["mae", "mse"])
    return model


def deep(optimizer):
    """So many layers that the groups of its file are trees of several levels."""
    model = keras.Sequential([keras.Input((6,)), *(layers.Dense(3, activation="tanh") for _ in range(90)), layers.Dense(5)])
    model.compile(optimizer=optimizer, loss=losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def wide(optimizer):
    model = keras.Sequential([keras.Input((300,)), layers.Dense(200, activation="sigmoid"), layers.Dense(5, activation="softmax")])
    model.compile(optimizer=optimizer, loss=losses.SparseCategoricalCrossentropy(), metrics=["acc"])
    return model


MODELS = {
    "sgd": lambda: dense(optimizers.SGD(0.1)),
    "momentum": lambda: dense(optimizers.SGD(0.1, momentum=0.9), "sigmoid"),
    "nesterov": lambda: chain(optimizers.SGD(0.1, momentum=0.9, nesterov=True)),
    "adam": lambda: dense("adam", "gelu"),
    "adam_dropout": lambda: dense("adam", dropout=True),
    "adam_decay": lambda: chain(optimizers.Adam(0.01, weight_decay=0.01, beta_1=0.8)),
    "adamw": lambda: dense(optimizers.AdamW(0.01, weight_decay=0.1), "softmax"),
    "rmsprop": lambda: dense(optimizers.RMSprop(), "linear"),
    "rmsprop_all": lambda: regression(optimizers.RMSprop(0.01, rho=0.8, momentum=0.5, centered=True, epsilon=1e-6)),
    "adagrad": lambda: regression(optimizers.Adagrad(0.1, initial_accumulator_value=0.5)),
    "nadam": lambda: chain(optimizers.Nadam(0.01)),
    "lion": lambda: wide(optimizers.Lion(0.001)),
    "deep": lambda: deep("adam"),
}


def batch(model):
    x = RANDOM.standard_normal((ROWS, *model.input_shape[1:])).astype("f4")
    if "mse" in str(model.loss):
        return x, RANDOM.standard_normal((ROWS, model.output_shape[-1])).astype("f4")
    return x, RANDOM.integers(0, model.output_shape[-1], ROWS)


def same_bits(a, b, what):
    a, b = np.asarray(a), np.asarray(b)
    assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes(), (what, a, b)


def check_weights(model, path):
    """The arrays that ftmpi read are those that Keras has."""
    with h5py.File(path) as file:
        dense_layers = [layer for layer in model.layers if isinstance(layer, layers.Dense)]
        for i, layer in enumerate(dense_layers):
            group = file["layers"][f"dense_{i}" if i else "dense"]["vars"]
            for k, variable in enumerate(layer.variables):
                same_bits(group[str(k)][()], variable.numpy(), (layer.name, k))
        variables = model.optimizer.variables
        assert len(file["optimizer/vars"]) == len(variables), (len(file["optimizer/vars"]), len(variables))
        for k, variable in enumerate(variables):
            same_bits(file["optimizer/vars"][str(k)][()], variable.numpy(), ("optimizer", k))


def check_predictions(model, path, x):
    x.tofile("x.f32")
    tool("predict", path, "x.f32", "y.f32")
    expected = model.predict_on_batch(x)
    found = np.fromfile("y.f32", "f4").reshape(expected.shape)
    error = np.abs(found - expected).max()
    assert error <= TOLERANCE, error


def check_same_optimizer(a, b):
    assert type(a) is type(b), (a, b)
    a, b = a.get_config(), b.get_config()
    a.pop("name"), b.pop("name")
    assert a == b, (a, b)


def check_loaded(model, loaded, x, y):
    assert loaded.compiled and loaded.optimizer.built
    check_same_optimizer(loaded.optimizer, model.optimizer)
    for mine, theirs in zip(loaded.weights, model.weights, strict=True):
        same_bits(mine.numpy(), theirs.numpy(), mine.path)
    assert int(loaded.optimizer.iterations.numpy()) == 3
    for k, (mine, theirs) in enumerate(zip(loaded.optimizer.variables, model.optimizer.variables, strict=True)):
        same_bits(mine.numpy(), theirs.numpy(), ("optimizer", k))
    assert np.abs(loaded.predict_on_batch(x) - model.predict_on_batch(x)).max() <= TOLERANCE
    a, b = (m.test_on_batch(x, y, return_dict=True) for m in (loaded, model))
    assert abs(a["loss"] - b["loss"]) <= TOLERANCE * abs(b["loss"]), (a, b)
    assert len(a) == len(b), (a, b)


def check_going_on(model, loaded, name):
    """Both go on from the same state: the loaded one's optimizer is alive."""
    for step in range(3):
        x, y = batch(model)
        a, b = (float(np.ravel(m.train_on_batch(x, y))[0]) for m in (loaded, model))
        assert "dropout" in name or abs(a - b) <= 1e-4 * abs(b), (step, a, b)


def check(name, make):
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    model = make()
    for _ in range(3):
        model.train_on_batch(*batch(model))
    saved, exported = f"{name}.keras", f"{name}_exported.keras"
    model.save(saved)
    assert tool("weights", saved, "weights.h5") == "optimizer loaded\n"
    check_weights(model, "weights.h5")
    x, y = batch(model)
    check_predictions(model, saved, x)
    tool("export", saved, exported)
    loaded = keras.saving.load_model(exported)
    check_loaded(model, loaded, x, y)
    assert tool("config", saved) == tool("config", exported)
    loaded.save(f"{name}_again.keras")
    assert tool("config", saved) == tool("config", f"{name}_again.keras")
    if name == "adam":
        with open("text.json", "w", encoding="utf-8") as text:
            text.write(model.to_json())
        assert tool("config", "text.json") == tool("config", saved)
    check_going_on(model, loaded, name)
    print(f"{name}: {len(model.optimizer.variables)} variables of the optimizer")


def check_uncompiled():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3)])
    model.save("uncompiled.keras")
    assert tool("weights", "uncompiled.keras", "weights.h5") == "optimizer not loaded\n"
    assert "compile_config" not in tool("config", "uncompiled.keras")


def refused(make, says):
    model = make()
    model.save("refused.keras")
    done = subprocess.run([TOOL, "config", "refused.keras"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 65 and says in done.stderr, (done, says)


def compiled(**options):
    def make():
        model = keras.Sequential([keras.Input((6,)), layers.Dense(3)])
        model.compile(**{"optimizer": "adam", "loss": "mse", **options})
        return model
    return make


def one_layer(layer, shape=(6,)):
    return lambda: keras.Sequential([keras.Input(shape), layer()])


def check_refusals():
    """What Keras really writes for things that are not supported is recognised."""
    refused(one_layer(lambda: layers.Dense(3, use_bias=False)), "layer 'dense")
    refused(one_layer(lambda: layers.Dense(3, kernel_regularizer="l2")), "kernel_regularizer is")
    refused(one_layer(lambda: layers.Dense(3, activity_regularizer="l1")), "activity_regularizer is")
    refused(one_layer(lambda: layers.Dense(3, dtype="mixed_float16")), "only float32 is supported")
    refused(one_layer(lambda: layers.Dense(3, activation="elu")), "unknown activation 'elu'")
    refused(one_layer(lambda: layers.Dense(3, trainable=False)), "trainable is false")
    refused(one_layer(lambda: layers.Conv2D(3, 2), (4, 4, 1)), "(Conv2D): this layer is not supported")
    refused(one_layer(layers.BatchNormalization), "(BatchNormalization): this layer is not supported")
    refused(compiled(optimizer=optimizers.Adam(clipnorm=1.0)), "optimizer Adam: clipnorm is 1.0")
    refused(compiled(optimizer=optimizers.Adam(amsgrad=True)), "optimizer Adam: amsgrad is true")
    refused(compiled(optimizer=optimizers.SGD(use_ema=True)), "optimizer SGD: use_ema is true")
    refused(compiled(optimizer=optimizers.SGD(optimizers.schedules.CosineDecay(0.1, 5))), "schedule (CosineDecay)")
    refused(compiled(optimizer=optimizers.Adadelta()), "this optimizer is not supported")
    refused(compiled(loss="mae"), "this loss is not supported")
    refused(compiled(loss=losses.MeanSquaredError(reduction="sum")), "reduction is \"sum\"")
    refused(compiled(metrics=["cosine_similarity"]), "metric 'cosine_similarity' is not supported")
    start = keras.Input((6,))
    x = layers.Dense(6)(start)
    refused(lambda: keras.Model(start, layers.Dense(3)(layers.add([x, start]))), "this layer is not supported")
    refused(lambda: keras.Model(start, layers.Dense(3)(layers.Dropout(0.5)(x, training=True))), "training is true: this key is not supported")
    refused(lambda: keras.Model(start, [x, layers.Dense(3)(x)]), "output_layers is")


for model_name, model_of in MODELS.items():
    check(model_name, model_of)
check_uncompiled()
check_refusals()
