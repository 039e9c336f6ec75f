#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every checkpoint of the program passes Keras's load_weights, with the optimizer's state, and predicts as `ftmpi predict` does.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

need_keras
make_data data

train() { # NAME OPTION…: NAME begins with the optimizer's
	local name=$1
	shift
	run --data data --model-dir "$name" --optimizer "${name%%-*}" --hidden-units 16,8 --max-steps 9 --save-checkpoints-steps 3 "$@"
	expect_exit 0
}

train adam
train adamw --weight-decay 0.1
train sgd
train sgd-momentum --momentum 0.9 --nesterov
train rmsprop
train rmsprop-both --centered --momentum 0.5
train adagrad --learning-rate 0.1
train nadam
train lion
train adam-gelu --activation gelu --dropout 0
runs=(adam adamw sgd sgd-momentum rmsprop rmsprop-both adagrad nadam lion adam-gelu)
for name in "${runs[@]}"; do
	for step in 3 6 9; do
		run predict --data data --checkpoint "$name/ckpt-$step.weights.h5" --output "$name/$step.predictions.h5"
		expect_exit 0
	done
done
run_keras checkpoints.py data "${runs[@]}"
cat "$last.out"
expect_stdout "${#runs[@]} runs, $((3 * ${#runs[@]})) checkpoints"
