#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# mpirun itself is killed, or told to end, while it trains: no rank lives on, and a relaunch at once ends with the same bits. It waits for the lock of
# a chief that is slow to die, but not for ever.
set -euo pipefail
# shellcheck source=long.sh
. "$(dirname "$0")/long.sh"

# A killed mpirun removes nothing; all that it leaves is here.
mkdir tmp
export TMPDIR=$scratch/tmp OMPI_MCA_btl_vader_backing_directory=$scratch/tmp

# A launch of 4 that has saved: sets ranks, its processes.
start_and_save() { # DIR [OPTION…]
	start 4 "$@"
	until_saved "$1" 100
	ranks=$(children_of "$mpirun_pid")
	[ "$(wc -w <<<"$ranks")" = 4 ] || fail "mpirun has other children than 4 ranks: $ranks"
}

expect_all_gone() {
	local pid
	for pid in $ranks; do until_true is_gone "$pid"; done
}

make_data data

# Killed: its ranks may still be training, and saving, when the relaunch begins.
start_and_save killed
kill -KILL "$mpirun_pid"
wait_ftmpi
expect_exit 137
train_more 3 killed 300 --lock-wait-secs 300
expect_exit 0
note_end killed
expect_stdout "resuming from killed/"
expect_no_stderr "ftmpi: error"
expect_all_gone

# Told to end: it tells its ranks, waits for them, and ends with a code of its own.
start_and_save told
kill -TERM "$mpirun_pid"
wait_ftmpi
expect_exit 1
expect_all_gone
finish 2 told

# A chief that hangs holds its lock, and a relaunch says so, waits, and goes on as soon as it is dead.
start_and_save slow --hang-timeout 0
chief=$(rank_pid 0)
slow_mpirun=$mpirun_pid
kill -STOP "$chief"
train 2 slow "${long[@]}" --max-steps 100 --lock-wait-secs 0
expect_exit 74
expect_one_error_line "'slow' is in use by process $chief on host $(uname -n) (its lock did not come free within 0 s)"
endless=()
start 3 slow --lock-wait-secs 60 --steps 300
until_true grep -q "^ftmpi: warning: waiting up to 60 s for the lock of 'slow', held by process $chief on host" "$last.err"
kill -KILL "$slow_mpirun"
wait_ftmpi
expect_exit 0
note_end slow
expect_stdout "resuming from slow/"
expect_no_stderr "ftmpi: error"
expect_all_gone

compare_ends
