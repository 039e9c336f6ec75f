#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: fashion_mnist.sh EPOCHS ACCURACY: the default configuration learns Fashion-MNIST: so accurate after so many epochs.
set -euo pipefail
# shellcheck source=cli.sh
. "$(dirname "$0")/cli.sh"

[ -d /usr/share/datasets/fashion-mnist ] || skip "the package dataset-fashion-mnist is not installed"
run_limit_s=1000
run_ftmpi 2 --epochs "$1"
expect_success
expect_stdout_line "^1875/1875 - .* - val_accuracy: "
[ "$(grep -c '^1875/1875 ' "$last.out")" = "$1" ] || fail "not $1 epochs"
accuracy=$(sed -nE 's/^1875.* val_accuracy: ([0-9.]+) .*/\1/p' "$last.out" | tail -n 1)
echo "val_accuracy: $accuracy"
awk -v got="$accuracy" -v least="$2" 'BEGIN { exit !(got >= least) }' || fail "val_accuracy $accuracy is below $2"
run_ftmpi 2 evaluate
expect_success
expect_stdout "accuracy: $accuracy - loss: "
expect_stdout "(10000 samples, ftmpi-run/ckpt-$((1875 * $1)).weights.h5, step $((1875 * $1)))"
