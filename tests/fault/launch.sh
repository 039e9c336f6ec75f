#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ftmpi launch with mpirun: ranks and mpirun are killed, the launcher is told to end or killed. Training goes on by itself to the same bits, and nothing is
# left running.
set -euo pipefail
# shellcheck source=long.sh
. "$(dirname "$0")/long.sh"

# A killed mpirun removes nothing; all that it leaves is here.
mkdir tmp
export TMPDIR=$scratch/tmp OMPI_MCA_btl_vader_backing_directory=$scratch/tmp

# Without end, as in long.sh.
start_long() { # NP DIR
	start_launch -np "$1" --mpirun "$mpiexec" --backoff-secs 0.05 -- "${problem[@]}" "${endless[@]}" "${long[@]}" --model-dir "$2"
	until_launched
}

expect_all_gone() { # PID…
	local pid
	for pid in "$@"; do until_true is_gone "$pid"; done
}

make_data data

# A rank, then mpirun, then a rank and mpirun together: three attempts end, the fourth is done.
start_long 4 killed
until_saved killed 100
kill -KILL "$(rank_pid 2)"
first=$mpirun_pid
until_launched "$first"
second=$mpirun_pid
ranks=$(rank_pid 0)
until_saved killed $(($(newest_step killed) + 100))
kill -KILL "$second"
until_launched "$second"
third=$mpirun_pid
expect_all_gone "$ranks"
chief=$(rank_pid 0)
until_saved killed $(($(newest_step killed) + 100))
# A rank that is stopped would live on without mpirun.
kill -STOP "$chief"
kill -KILL "$third"
until_launched "$third"
expect_all_gone "$chief"
chief=$(rank_pid 0)
until_saved killed $(($(newest_step killed) + 100))
kill -TERM "$launch_pid"
wait_launch
expect_exit 143
expect_all_gone "$chief" "$mpirun_pid"
expect_stdout "4 attempts; restarts: 3 after a new checkpoint, 0 without"
[[ $(grep -c "resuming from killed/" "$last.out") = 3 ]] || fail "not every attempt went on from a checkpoint"
finish 2 killed

# USR1 is passed on; the training saves and stops, and that is not gone on from.
start_long 2 told
until_saved told 100
kill -USR1 "$launch_pid"
wait_launch
expect_exit 75
expect_no_stderr "starting again"

# The launcher itself is killed: nothing lives on, and the same command goes on.
start_long 3 orphans
until_saved orphans 100
ranks="$(rank_pid 0) $(rank_pid 1) $(rank_pid 2)"
kill -STOP "$(rank_pid 1)"
kill -KILL "$launch_pid"
wait_launch
expect_exit 137
# shellcheck disable=SC2086
expect_all_gone "$mpirun_pid" $ranks
finish 3 orphans
compare_ends
