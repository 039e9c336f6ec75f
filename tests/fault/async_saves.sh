#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Saves in flight: deaths before the copy and while the training waits for the writer, a writer that is slower than the training, errors that are told at the
# end of the step in which they are known, and what waits for a save in flight: the next one, the end, a deadline.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

training+=(--async-checkpoint)
make_reference

# Killed before the arrays are copied for the save at 12.
train_fault save.stage:kill,rank=0,hit=2 4 stage
expect_exit 137
newest_after_death stage 6
expect_recovers 3 stage "$newest"

# The writer stands still with its temporary whole, and the training comes as far as the next save; the chief is killed there.
with_armed "save.verify:stall,rank=0;save.wait:stall,rank=0" start_ftmpi 4 "${training[@]}" --model-dir wait
until_true grep -q "failpoint save.verify fired" "$last.err"
until_true grep -q "failpoint save.wait fired" "$last.err"
kill -KILL "$(rank_pid 0)"
wait_ftmpi
expect_exit 137
[ -z "$(steps_of wait)" ] || fail "there are checkpoints $(steps_of wait)"
[ -e wait/ckpt-6.weights.h5.tmp ] || fail "there is no temporary of the save in flight"
expect_stdout "Epoch 2"
expect_recovers 2 wait 0

# A writer that is slower than the training: the next save, and the end of the training, wait for it. Nothing is passed over.
train_fault "save.fsync:stall=2,rank=0,hit=2;save.write:stall=2,rank=0,hit=6" 4 slow --keep-checkpoint-max 0
expect_no_stderr "ftmpi: warning"
expect_same_end slow
[ "$(steps_of slow)" = "$(steps_of reference)" ] || fail "there are checkpoints $(steps_of slow)"
expect_listed slow

# An error of the copy, told at once; one of the writer, told before the next save begins.
train_fault save.stage:error=EIO,rank=0,hit=3 3 copy --keep-checkpoint-max 0
expect_warning "no checkpoint at step 18: checkpoint 'copy/ckpt-18.weights.h5' was not saved: cannot copy the arrays: Input/output error"
expect_same_end copy
[ "$(steps_of copy)" = "6 12 24 30 36 40" ] || fail "there are checkpoints $(steps_of copy)"
train_fault save.fsync:error=EIO,rank=0,hit=4 4 told --on-save-error stop
expect_exit 74
expect_one_error_line "checkpoint 'told/ckpt-24.weights.h5' was not saved: cannot fsync 'told/ckpt-24.weights.h5.tmp': Input/output error"
[ "$(steps_of told)" = "6 12 18" ] || fail "there are checkpoints $(steps_of told)"
expect_no_leftovers told
expect_recovers 1 told 18

# A training that diverges with a save in flight: the save is completed, and the line is that of the divergence. With a save that fails both are told.
train_fault "save.verify:stall=1,rank=0,hit=4;step.loss:nan,hit=26" 4 diverged
expect_exit 76
expect_one_error_line "model diverged with loss = NaN at step 25"
[ "$(steps_of diverged)" = "6 12 18 24" ] || fail "there are checkpoints $(steps_of diverged)"
expect_no_leftovers diverged

# Time ends with a save in flight: it is waited for, and the step that was reached is saved too.
train_fault save.verify:stall=4,rank=0,hit=1 2 time --max-steps 1000000000 --save-checkpoints-steps 100 --keep-checkpoint-max 2 --max-wall-time 3
expect_exit 75
expect_warning "stopped by the deadline in "
step=$(sed -n 's/.* after saving at step \([0-9]*\): relaunch to go on$/\1/p' "$last.err")
[ -e "time/ckpt-$step.weights.h5" ] || fail "there is no checkpoint of step $step"
expect_listed time
run checkpoints verify time
expect_exit 0

# Every save takes longer than the steps up to the next one, which waits for it: there is time for those two, and for the last one. A try in which the
# machine itself stood still for seconds says nothing, so there are some; one that reckons with less time is late in each.
for try in 1 2 3 4 5; do
	with_armed "$(slow_saves 4)" train 2 "late$try" --max-steps 1000000000 --save-checkpoints-steps 1 --max-wall-time 19
	expect_exit 75
	expect_warning "stopped by the deadline in "
	grep -q "stopped by the deadline in -" "$last.err" || break
done
expect_no_stderr "stopped by the deadline in -"
