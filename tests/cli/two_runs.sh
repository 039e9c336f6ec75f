#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Two runs and one folder: the second is refused, or waits, and never harms the first.
set -euo pipefail
# shellcheck source=cli.sh
. "$(dirname "$0")/cli.sh"

make_data data
# Checkpoints far apart: while both runs are alive nothing but the first one's own saves changes.
train=(--data data --model-dir run --hidden-units 8)
start_ftmpi 2 "${train[@]}" --max-steps 1000000000 --save-checkpoints-steps 5000 --keep-checkpoint-max 3
first=$last
first_mpirun_pid=$mpirun_pid
first_timeout_pid=$timeout_pid
until_true test -s run/checkpoint
holder="'run' is in use by process $(rank_pid 0) on host $(hostname)"

run "${train[@]}" --max-steps 10 --lock-wait-secs 0
expect_exit 74
expect_one_error_line "$holder"
expect_silent
run_ftmpi 2 "${train[@]}" --max-steps 10 --lock-wait-secs 5
expect_exit 74
expect_one_error_line "$holder (its lock did not come free within 5 s)"
expect_warning "waiting up to 5 s for the lock of 'run'"
run checkpoints prune run --keep 1
expect_exit 74
expect_one_error_line "$holder"
# Commands that only look need no lock; what they find may go on while they look, so only the listing is certain.
run checkpoints list run
expect_exit 0
expect_stdout_line "run/ckpt-[0-9]+000\\.weights\\.h5$"

# One that may wait gets the folder when the first run is gone, and goes on where that one was.
start_ftmpi 1 "${train[@]}" --steps 10 --lock-wait-secs 60
until_true grep -q "waiting up to 60 s for the lock of 'run', held by process" "$last.err"
kill -KILL "$first_mpirun_pid"
wait_ftmpi
expect_exit 0
expect_warning "waiting up to 60 s for the lock of 'run', held by process"
expect_stdout_line '^resuming from run/ckpt-[0-9]+000\.weights\.h5: step [0-9]+000, .* \(np 1, 2 logical workers\)$'
wait "$first_timeout_pid" || true
! grep -q "^ftmpi: " "$first.err" || fail "the first run was disturbed: $(cat "$first.err")"
good checkpoints verify run
