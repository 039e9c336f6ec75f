#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Being stopped from outside: a signal on any rank, or the end of the given time, ends all ranks after a save with 75, and a relaunch on another number of
# ranks goes on from there to the same bits. A second signal ends at once. A run that is told to ignore a signal dies of it as any program.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

make_data data
forever=("${problem[@]}" --max-steps 1000000000 --save-checkpoints-steps 1000 --keep-checkpoint-max 2 --progress lines)

has_checkpoint() { [ -e "$1/checkpoint" ]; }

# Every rank catches signals: it says so in /proc.
catches() { # PID
	local mask
	mask=$(sed -n 's/^SigCgt:\t//p' "/proc/$1/status")
	((0x$mask >> 14 & 1))
}

begin() { # NP DIR [OPTION…]
	local np=$1 dir=$2 rank
	shift 2
	start_ftmpi "$np" "${forever[@]}" --model-dir "$dir" "$@"
	until_true has_checkpoint "$dir"
	for ((rank = 0; rank < np; rank++)); do
		[ $# -gt 0 ] || until_true catches "$(rank_pid "$rank")"
	done
}

# It said where it stopped; the checkpoint is there, and a relaunch ends as an uninterrupted run does.
expect_stopped() { # DIR REASON NP
	local dir=$1 step
	expect_exit 75
	expect_warning "stopped by $2"
	expect_stderr " after saving at step "
	step=$(sed -n 's/.* after saving at step \([0-9]*\): relaunch to go on$/\1/p' "$last.err")
	[ -e "$dir/ckpt-$step.weights.h5" ] || fail "$dir has no checkpoint of step $step"
	run_ftmpi "$3" "${problem[@]}" --max-steps $((step + 20)) --model-dir "$dir"
	expect_exit 0
	expect_resumed_at "$dir" "$step"
	run_ftmpi 2 "${problem[@]}" --max-steps $((step + 20)) --model-dir "$dir-whole" --save-checkpoints-steps 1000000
	expect_exit 0
	expect_identical "$dir" "$dir-whole"
}

# mpirun hands SIGUSR1 on to every rank.
begin 4 usr1
kill -USR1 "$mpirun_pid"
wait_ftmpi
expect_stopped usr1 "signal SIGUSR1" 3

# One rank alone, not the chief, gets the signal.
begin 3 term
kill -TERM "$(rank_pid 2)"
wait_ftmpi
expect_stopped term "signal SIGTERM" 4

begin 2 int
kill -INT "$(rank_pid 0)"
wait_ftmpi
expect_stopped int "signal SIGINT" 1

# The end of the given time.
run_ftmpi 2 "${forever[@]}" --model-dir time --max-wall-time 0:00:03
expect_stdout "time ends in 3 s: saving and stopping before"
expect_stopped time "the deadline in " 4

# SIGTERM to mpirun itself: it passes it on, waits, and kills; the ranks have saved by then, whatever mpirun ends with.
export OMPI_MCA_odls_base_sigkill_timeout=15
begin 2 mpirun
kill -TERM "$mpirun_pid"
wait_ftmpi
export OMPI_MCA_odls_base_sigkill_timeout=0
[ "$exit_code" != 0 ] || fail "mpirun ended with 0"
newest=$(steps_of mpirun)
[ $((${newest##* } % 1000)) != 0 ] || fail "nothing was saved at the signal: $newest"

# Signals that are not caught end the program as any other.
begin 2 none --signals none
kill -TERM "$(rank_pid 1)"
wait_ftmpi
expect_exit 143

# Bad options touch nothing.
run --data data --model-dir bad --signals TERM,KILL
expect_exit 64
expect_one_error_line "--signals: 'TERM,KILL' is not a list"
run --data data --model-dir bad --max-wall-time 10m
expect_exit 64
expect_one_error_line "--max-wall-time: '10m' is neither seconds nor"
[ ! -e bad ] || fail "a refusal made a folder"
