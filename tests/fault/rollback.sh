#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: rollback.sh PART: a training that diverges goes back, passes over the batches that led there, and goes on: on any number of ranks, and killed
# wherever it may be, to the same bits.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

# Numbers of a list in a checkpoint, in one line.
numbers_of() { # FOLDER VARIABLE
	"${FTMPI_H5DUMP:-h5dump}" -d "$2" "$1" | sed -n 's/^ *([0-9]*): //p' | tr -d ',\n'
}

expect_skipped() { # FILE NUMBERS
	[ "$(numbers_of "$1" /ftmpi/history/skipped)" = "$2" ] || fail "$1 passes over $(numbers_of "$1" /ftmpi/history/skipped), not $2"
}

training+=(--on-divergence rollback)

# A loss that is NaN once: on every number of ranks the same end, which is recorded, and is another one than without.
once() {
	make_data data
	train 4 without
	expect_exit 0
	for np in 1 2 3 4 6; do
		train_fault "step.loss:nan,rank=0,hit=23" "$np" "run$np"
		expect_exit 0
		expect_warning "model diverged with loss = NaN at step 22: going back to run$np/ckpt-18.weights.h5, and from there on without 1 batch, the last one of them at sample 96 of epoch 3 (rollback 1 of at most 3 in a row)"
		expect_identical run1 "run$np"
		expect_listed "run$np"
		expect_skipped "run$np/ckpt-40.weights.h5" "2 96 22"
	done
	expect_different without run1 layers/dense/vars/0 ftmpi/history/skipped

	# Killed later: the relaunch knows what is passed over, from the checkpoint that was gone back to or a later one, without meeting it again.
	while read -r fault resumed np; do
		dir=${fault//[:,=.]/-}
		mode=--async-checkpoint
		[[ $fault != epoch.end* ]] || mode=--no-async-checkpoint # or the save at 24 may be in flight
		train_fault "step.loss:nan,rank=0,hit=23;$fault" 4 "$dir" "$mode"
		expect_exit 137
		train "$np" "$dir"
		expect_no_stderr "ftmpi: "
		expect_resumed_at "$dir" "$resumed"
		expect_same_end "$dir" run1
		expect_no_leftovers "$dir"
	done <<-END
		step.begin:kill,rank=1,hit=24 18 3
		save.stage:kill,rank=0,hit=7 24 1
		save.end:kill,rank=0,hit=5 18 2
		save.after-rename:kill,rank=0,hit=5 18 4
		epoch.end:kill,rank=3,hit=3 24 4
	END

	# The checkpoint stands before the last batch of an epoch, and that one is passed over: the epoch ends there.
	for np in 1 4; do
		train_fault "step.loss:nan,rank=0,hit=27" "$np" "last$np" --save-checkpoints-steps 13
		expect_exit 0
		expect_warning "going back to last$np/ckpt-26.weights.h5"
		expect_identical last1 "last$np"
		expect_skipped "last$np/ckpt-26.weights.h5" "2 192 26"
		[ "$(numbers_of "last$np/ckpt-26.weights.h5" /ftmpi/history/loss | wc -w)" = 3 ] || fail "the third epoch did not end"
	done
	train_fault "step.loss:nan,rank=0,hit=27;step.begin:kill,rank=1,hit=28" 4 last --save-checkpoints-steps 13
	expect_exit 137
	train 3 last --save-checkpoints-steps 13
	expect_resumed_at last 26
	expect_same_end last last1
}

# A sample whose loss really overflows, in every epoch: killed at every place around it, the relaunch meets it again, and decides the same.
always() {
	make_data data.h5 --dtype f32 --outlier 77=3e38
	problem[1]=$scratch/data.h5
	training[1]=$scratch/data.h5
	training+=(--hidden-units none --dropout 0)
	train 4 whole
	expect_exit 0
	expect_stderr "model diverged with loss = NaN at step 8: going back to whole/ckpt-6.weights.h5"
	[ "$(numbers_of whole/ckpt-40.weights.h5 /ftmpi/history/skipped | wc -w)" -ge 12 ] || fail "too little is passed over in four epochs"
	for np in 1 2 3; do
		train "$np" "whole$np"
		expect_exit 0
		expect_identical whole "whole$np"
	done
	nps=(4 3 1 2)
	i=0
	for fault in rollback.begin:kill,rank=0 rollback.begin:kill,rank=2,hit=2 rollback.end:kill,rank=0,hit=1 rollback.end:kill,rank=1,hit=2 \
		restore.before-broadcast:kill,rank=0 restore.end:kill,rank=3,hit=2 save.begin:kill,rank=0,hit=3 save.write:kill,rank=0,hit=3 \
		save.before-rename:kill,rank=0,hit=3 save.state-file:kill,rank=0,hit=3 save.retention:kill,rank=0,hit=3 \
		step.begin:kill,rank=1,hit=8 step.begin:kill,rank=1,hit=20; do
		dir=${fault//[:,=.]/-}
		train_fault "$fault" 4 "$dir"
		expect_exit 137
		train "${nps[i++ % 4]}" "$dir"
		expect_same_end "$dir" whole
		expect_no_leftovers "$dir"
		expect_listed "$dir"
	done

	# A save that fails after going back is not gone on without.
	train_fault save.fsync:error=ENOSPC,rank=0,hit=3 4 full
	expect_exit 74
	train 2 full
	expect_same_end full whole

	# Asked to stop first, and to go back only in the relaunch.
	train 4 later --on-divergence stop
	expect_exit 76
	expect_one_error_line "model diverged with loss = "
	train 3 later
	expect_same_end later whole
}

# A finite loss, but far above the others.
spike() {
	make_data data.h5 --dtype f32 --outlier 77=300
	problem[1]=$scratch/data.h5
	training[1]=$scratch/data.h5
	train 4 unseen
	expect_exit 0
	expect_no_stderr "diverged"
	train 4 stopped --spike-factor 5 --on-divergence stop
	expect_exit 76
	expect_one_error_line "model diverged with loss = "
	expect_one_error_line ", above "
	for np in 1 4; do
		train "$np" "back$np" --spike-factor 5
		expect_exit 0
		expect_stderr "above"
		expect_identical back1 "back$np"
	done
	expect_different unseen back1 layers/dense/vars/0
	train_fault rollback.end:kill,rank=1 3 killed --spike-factor 5
	expect_exit 137
	train 2 killed --spike-factor 5
	expect_same_end killed back1
}

# Where going back does not help, it ends, with the checkpoint that it went back to and the numbers of what was tried.
in_vain() {
	make_data data
	train 4 run --hidden-units 64,64 --activation linear --dropout 0 --optimizer sgd --learning-rate 1e6
	expect_exit 76
	expect_one_error_line "gone back 3 times in a row already, in vain: try a smaller learning rate"
	[ "$(steps_of run)" = 0 ] || fail "there are checkpoints $(steps_of run)"
	run checkpoints verify run
	expect_exit 0
	before=$(checksums run | grep -v events.out)
	train 2 run --hidden-units 64,64 --activation linear --dropout 0 --optimizer sgd --learning-rate 1e6
	expect_exit 76
	[ "$(checksums run | grep -v events.out)" = "$before" ] || fail "the relaunch changed the folder"
	train_fault "step.loss:nan,hit=2" 2 one --batch-size 203
	expect_exit 76
	expect_one_error_line "epoch 1 would have no batch left"
}

"$@"
