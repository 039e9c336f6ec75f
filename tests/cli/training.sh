#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What is trained is what the formulas say: each optimizer against an implementation in NumPy, from the same first weights.
set -euo pipefail
# shellcheck source=cli.sh
. "$(dirname "$0")/cli.sh"

need_python h5py numpy
make_data data # 203 samples: the last batch of an epoch has 11, with --batch-size 29 none is short
train=(--data data --hidden-units "16,8" --no-shuffle --dropout 0 --seed 5)

# The first weights, for they are not saved: one step that moves nothing.
good "${train[@]}" --optimizer sgd --learning-rate 1e-30 --max-steps 1 --model-dir start

check_training() { # NP NAME OPTION…
	local np=$1 name=$2
	shift 2
	run_ftmpi "$np" "${train[@]}" --epochs 2 --model-dir "$name" "$@"
	expect_success
	run_python training.py start/ckpt-1.weights.h5 "$name/ckpt-14.weights.h5" data
	echo "$name: $(cat "$last.out")"
}

check_training 1 adam --learning-rate 0.01
check_training 3 adam3 --learning-rate 0.01 --activation tanh
check_training 1 adam_betas --learning-rate 0.01 --beta-1 0.8 --beta-2 0.95 --epsilon 1e-3 --weight-decay 0.1
check_training 1 adamw --optimizer adamw --learning-rate 0.01 --weight-decay 0.2
check_training 1 sgd --optimizer sgd --learning-rate 0.1
check_training 3 sgd3 --optimizer sgd --learning-rate 0.1 --batch-size 29
check_training 2 sgd_sum --optimizer sgd --learning-rate 0.003 --loss-reduction sum
check_training 1 momentum --optimizer sgd --learning-rate 0.05 --momentum 0.9
check_training 1 nesterov --optimizer sgd --learning-rate 0.05 --momentum 0.9 --nesterov
check_training 1 rmsprop --optimizer rmsprop --rho 0.8
check_training 1 rmsprop_both --optimizer rmsprop --momentum 0.9 --centered
check_training 1 adagrad --optimizer adagrad --learning-rate 0.05 --initial-accumulator 0.2
check_training 1 nadam --optimizer nadam --learning-rate 0.01
check_training 3 nadam_betas --optimizer nadam --learning-rate 0.01 --beta-1 0.7 --beta-2 0.9 --epsilon 1e-3 --weight-decay 0.1
check_training 1 lion --optimizer lion --weight-decay 0.1 --activation tanh
