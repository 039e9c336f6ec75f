#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: custom_loop.sh PROGRAM NP. The guide's story of Checkpoint and CheckpointManager: ckpt-1 … ckpt-25, of which the last two remain.
set -euo pipefail
# shellcheck source=../harness.sh
. "$(dirname "$0")/../harness.sh"
example=$1 np=$2

files_of() { # DIR
	find "$1" -name '*.weights.h5' -printf '%f ' | tr ' ' '\n' | sort -V | tr '\n' ' '
}

make_data data --train 300 --test 10 --shape 28x28
run_command "$mpiexec" -n "$np" "$example" data ckpts interrupt
[ "$exit_code" != 0 ] || fail "the interruption is not an error"
expect_stdout "Initializing from scratch."
expect_stdout "Checkpoint saved to ckpts/ckpt-15.weights.h5: epoch 2, step 4,"
expect_no_stdout "ckpt-16"
[ "$(files_of ckpts)" = "ckpt-14.weights.h5 ckpt-15.weights.h5 " ] || fail "left: $(files_of ckpts)"

run_command "$mpiexec" -n "$np" "$example" data ckpts
expect_exit 0
expect_stdout "Restored from ckpts/ckpt-15.weights.h5"
expect_no_stdout "Checkpoint saved to ckpts/ckpt-15."
expect_stdout "Checkpoint saved to ckpts/ckpt-16.weights.h5: epoch 3, step 0,"
expect_stdout "Checkpoint saved to ckpts/ckpt-25.weights.h5: epoch 4, step 4,"
[ "$(files_of ckpts)" = "ckpt-24.weights.h5 ckpt-25.weights.h5 " ] || fail "left: $(files_of ckpts)"
[ "$(sed -n 's/^model_checkpoint_path: //p' ckpts/checkpoint)" = '"ckpt-25"' ] || fail "the state file's latest is another"

run_command "$mpiexec" -n "$np" "$example" data whole
expect_exit 0
expect_identical ckpts whole
