#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checkpoints as other programs see them: opened by h5py and h5dump, laid out as Keras does it, with weights that mean what they should.
set -euo pipefail
# shellcheck source=cli.sh
. "$(dirname "$0")/cli.sh"

need h5dump
need_python h5py numpy
make_data data

check_layout() { # NAME SLOTS OPTION…: NAME begins with the optimizer's
	local name=$1 slots=$2
	shift 2
	good --data data --hidden-units 16,8 --epochs 1 --model-dir "$name" --optimizer "${name%%-*}" "$@"
	run_python layout.py "$name/ckpt-7.weights.h5" "$slots"
}

check_layout adam 2x
check_layout adamw 2x
check_layout sgd 0
check_layout sgd-momentum 1 --momentum 0.9
check_layout rmsprop 1
check_layout rmsprop-momentum 2 --momentum 0.9
check_layout rmsprop-centered 2 --centered
check_layout rmsprop-both 3 --centered --momentum 0.9
check_layout adagrad 1
check_layout nadam 2x1
check_layout lion 1

run_command h5dump -H adam/ckpt-7.weights.h5
expect_success
for text in 'GROUP "layers"' 'GROUP "dense_1"' 'GROUP "vars"' 'ATTRIBUTE "name"' 'DATASET "0"' 'H5T_IEEE_F32LE' 'H5T_STD_I64LE'; do
	expect_stdout "$text"
done
run_command h5dump -d /optimizer/vars/0 adam/ckpt-7.weights.h5
expect_success
expect_stdout_line '^ *\(0\): 7$'
run_command h5dump -a /layers/dense_1/vars/name adam/ckpt-7.weights.h5
expect_success
expect_stdout_line '^ *\(0\): "dense_1"$'

# Without dropout there are no layers of that name; without hidden layers the output is the first dense one.
good --data data --hidden-units none --max-steps 1 --model-dir linear
run_command h5dump -n linear/ckpt-1.weights.h5
expect_success
expect_no_stdout dropout
expect_no_stdout dense_1
expect_stdout_line ' dataset    /layers/dense/vars/1$'

# The forward pass in NumPy, with each activation.
for activation in linear relu sigmoid tanh gelu softmax; do
	good --data data --hidden-units 16,8 --activation $activation --max-steps 3 --learning-rate 0.05 --model-dir "by $activation"
	good predict --data data --model-dir "by $activation" --output $activation.h5
	run_python forward.py "by $activation/ckpt-3.weights.h5" data $activation.h5
done
good predict --data data --model-dir linear
run_python forward.py linear/ckpt-1.weights.h5 data predictions.h5
