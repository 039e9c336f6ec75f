#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# --model and export with files that real Keras made: starting, killed and going on, what is refused, regression.
set -euo pipefail
# shellcheck source=cli.sh
. "$(dirname "$0")/cli.sh"

fixtures=$FTMPI_SOURCE_DIR/tests/keras
make_data data --shape 3x2 --classes 3
cp "$fixtures"/{adam,sgd,functional,regression,bad_missing}.keras "$fixtures/sequential.json" .
cp sequential.json unsupported.json
sed -i 's/"class_name": *"Dropout"/"class_name": "GaussianNoise"/' unsupported.json
keep_tree

# What is wrong with the file or the options is found before anything is made.
refused 66 "nowhere.keras" --data data --model nowhere.keras
refused 65 "GaussianNoise" --data data --model unsupported.json
refused 65 "bad_missing.keras" --data data --model bad_missing.keras
refused 65 "train-images-idx3-ubyte" --data data --model data/train-images-idx3-ubyte
for option in "--hidden-units 5" "--activation tanh" "--dropout 0.1" "--classes 3"; do
	# shellcheck disable=SC2086
	refused 64 "${option%% *} cannot be given with --model" --data data --model adam.keras $option
done
make_data wide --classes 3
keep_tree
refused_on 2 65 "a sample of the data has 64 numbers, the model takes 6" --data wide --model adam.keras

# Killed, with no save in flight, and launched again on another number of ranks, to the same bits; the model is in the checkpoint.
train=(--data data --model sgd.keras --batch-size 24 --logical-workers 4 --max-steps 40 --save-checkpoints-steps 6)
run_fault step.end:kill,rank=1,hit=20 3 "${train[@]}" --no-async-checkpoint --model-dir run
expect_exit 137
expect_stdout "starting from sgd.keras: its weights and optimizer state"
run_ftmpi 2 "${train[@]}" --model-dir run
expect_success
expect_stdout "resuming from run/ckpt-24.weights.h5: step 24," # 7 were made by Keras
run_ftmpi 4 "${train[@]}" --model-dir whole
expect_success
expect_identical run whole
good evaluate --data data --model-dir run
good predict --data data --model-dir run
rm sgd.keras
good evaluate --data data --model-dir run
cp "$fixtures/sgd.keras" .

# Another model, or none, is not the model of the run.
keep_tree
refused 64 "--model was sgd.keras when this run began and is functional.keras now" --data data --model functional.keras \
	--learning-rate 0.5 --momentum 0 --no-nesterov --batch-size 24 --max-steps 41 --model-dir run
refused 64 "--model was sgd.keras when this run began and is not given now" --data data --batch-size 24 --max-steps 41 \
	--optimizer sgd --learning-rate 0.5 \
	--model-dir run

# Options override the file's optimizer; a .json has no weights; a functional chain.
good --data data --model sgd.keras --learning-rate 0.01 --max-steps 9 --model-dir faster
run checkpoints show faster
expect_stdout "learning-rate = 0.01"
good --data data --model sequential.json --max-steps 3 --model-dir fresh
expect_stdout "starting from sequential.json: fresh weights"
good --data data --model functional.keras --max-steps 9 --model-dir functional
expect_stdout "starting from functional.keras: its weights"

# Exported, it is a model to start from again, with the same weights.
keep_tree
refused 64 "ends in .keras" export run back.h5
refused 66 "nowhere" export nowhere back.keras
refused 64 "export takes" export run
good export run back.keras
expect_stdout "wrote back.keras from run/ckpt-40.weights.h5"
good --data data --model back.keras --batch-size 24 --logical-workers 4 --max-steps 41 --model-dir back
expect_stdout "starting from back.keras: its weights and optimizer state"
good export whole/ckpt-40.weights.h5 whole.keras
cmp back.keras whole.keras || fail "the same state gives another file"

# Without a model file too, every checkpoint can be exported.
good --data wide --classes 3 --hidden-units 8 --max-steps 5 --model-dir plain
good export plain plain.keras
good --data wide --model plain.keras --max-steps 6 --model-dir again
