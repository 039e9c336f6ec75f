#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: same_bits.sh CASE: one configuration has the same bits on every number of ranks, and after a death and a relaunch on another number.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

nps=(1 2 3 4)
data_path=data
case $1 in
sgd) options=(--optimizer sgd --momentum 0.9 --nesterov --weight-decay 0.01) ;;
adam) options=(--optimizer adam --beta-1 0.8) ;;
adamw) options=(--optimizer adamw) ;;
rmsprop) options=(--optimizer rmsprop --momentum 0.5 --centered) ;;
adagrad) options=(--optimizer adagrad --learning-rate 0.05) ;;
nadam) options=(--optimizer nadam --beta-1 0.8) ;;
lion) options=(--optimizer lion --weight-decay 0.01) ;;
sum) options=(--loss-reduction sum --no-shuffle --learning-rate 0.0001) ;;
workers3) options=(--logical-workers 3) nps=(1 2 3) ;;
workers5) options=(--logical-workers 5) nps=(1 2 3 5) ;;
batch1) options=(--batch-size 1 --max-steps 215 --save-checkpoints-steps 10) ;;      # three of the workers have nothing to do
batch_all) options=(--batch-size 300) ;;                                            # one step an epoch
deep) options=(--hidden-units "24,17,9" --activation gelu --seed 18446744073709551615) data_path=data.h5 ;;
*) fail "no case '$1'" ;;
esac

make_data "$data_path"
options+=(--data "$data_path")
for np in "${nps[@]}"; do
	train "$np" "run$np" "${options[@]}"
	expect_same_end "run$np" run1
done

most=${nps[-1]}
train_fault "step.before-apply:kill,rank=$((most - 1)),hit=26" "$most" killed "${options[@]}"
expect_exit 137
train 2 killed "${options[@]}"
expect_stdout "resuming from killed/"
expect_same_end killed run1
