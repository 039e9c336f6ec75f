# SPDX-License-Identifier: Apache-2.0
"""usage: keras_fit.py DATA [RANK SIZE PORT]: Keras on TensorFlow, Model.fit.

Without RANK: Keras 3, one process with all cores, with XLA if that is faster. With it: MultiWorkerMirroredStrategy, one thread a worker, with Keras 2
(tf_keras), the Keras that the strategy works with; ports from PORT on. Batches are ready in memory, so that one is a slice; many steps an execution.
"""
import gc
import json
import os
import sys
import time

SIZE = int(sys.argv[3]) if len(sys.argv) > 2 else 1
RANK = int(sys.argv[2]) if SIZE > 1 else 0
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
if SIZE > 1:
    workers = [f"127.0.0.1:{int(sys.argv[4]) + i}" for i in range(SIZE)]
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": RANK}})
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
else:
    os.environ["KERAS_BACKEND"] = "tensorflow"

import serve  # noqa: E402
import tensorflow as tf  # noqa: E402

if SIZE > 1:
    import tf_keras as keras  # noqa: E402

    STRATEGY = tf.distribute.MultiWorkerMirroredStrategy()
else:
    import keras  # noqa: E402

    STRATEGY = tf.distribute.get_strategy()  # the default: none


class Clock(keras.callbacks.Callback):
    """Times of the ends of executions: what lies between them is training alone, without the start of a fit."""

    def __init__(self):
        super().__init__()
        self.ends = []

    def on_train_batch_end(self, batch, logs=None):
        self.ends.append(time.perf_counter())


class Peer:
    def __init__(self, data, units, batch):
        keras.utils.set_random_seed(1)
        self.x, self.y, self.batch = data[0], data[1], batch
        small = len(units) == 1 and units[0] <= 1024
        self.per_execution = max(1, min(50, 6400 // batch)) if small else 1
        self.dataset = self.make_dataset()
        if SIZE == 1:
            self.choose_jit(units)
        else:
            self.model = self.compiled(units, jit=False)

    def compiled(self, units, jit):
        with STRATEGY.scope():
            layers = [keras.layers.InputLayer(input_shape=(serve.N_INPUTS,)) if SIZE > 1 else keras.Input((serve.N_INPUTS,))]
            for n in units:
                layers += [keras.layers.Dense(n, activation="relu"), keras.layers.Dropout(0.2)]
            model = keras.Sequential([*layers, keras.layers.Dense(serve.N_CLASSES)])
            model.compile(
                keras.optimizers.Adam(0.001), keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                steps_per_execution=self.per_execution, jit_compile=jit)
        return model

    def make_dataset(self):
        rows, n_batches = self.batch // SIZE, serve.N_SAMPLES // self.batch
        x = self.x.reshape(n_batches, SIZE, rows, serve.N_INPUTS)[:, RANK]
        y = self.y.reshape(n_batches, SIZE, rows)[:, RANK]

        def batches(_=None):
            return tf.data.Dataset.from_tensor_slices((x, y)).repeat().prefetch(tf.data.AUTOTUNE)

        return STRATEGY.distribute_datasets_from_function(batches) if SIZE > 1 else batches()

    def choose_jit(self, units):
        """Keep the faster of the two."""
        seconds = []
        for jit in (False, True):
            self.model = self.compiled(units, jit)
            self.step(self.per_execution)
            seconds.append(self.step(3 * self.per_execution))
            self.model = None
            gc.collect()
        self.model = self.compiled(units, jit=seconds[1] < seconds[0])

    def step(self, steps):
        executions = -(-steps // self.per_execution) + 1  # the first one is not counted
        clock = Clock()
        self.model.fit(self.dataset, epochs=1, steps_per_epoch=executions * self.per_execution, callbacks=[clock], verbose=0)
        return (clock.ends[-1] - clock.ends[0]) / ((len(clock.ends) - 1) * self.per_execution)

    def loss(self):
        h = tf.constant(self.x)
        weights = self.model.get_weights()
        for i in range(0, len(weights), 2):
            h = tf.matmul(h, weights[i]) + weights[i + 1]
            h = tf.nn.relu(h) if i + 2 < len(weights) else h
        return float(tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(self.y, h)))


serve.serve(Peer, sys.argv[1])
