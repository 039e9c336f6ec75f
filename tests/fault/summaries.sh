#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# TensorBoard's log in the model folder: it costs no bit; launches that were killed and others leave one log, in which each point is there once and is that
# of the uninterrupted run; and what cannot be written ends no training.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

training+=(--save-summary-steps 5)

steps_with() { # TAG FILE
	sed -n "s/^$1	\([0-9]*\)	.*/\1/p" "$2" | sort -n | tr '\n' ' '
}

make_reference
scalars reference >expected
[ "$(steps_with batch_loss expected)" = "5 10 15 20 25 30 35 40 " ] || fail "batch_loss at $(steps_with batch_loss expected)"
[ "$(steps_with epoch_val_accuracy expected)" = "9 18 27 36 " ] || fail "epochs end at $(steps_with epoch_val_accuracy expected)"
[ "$(steps_with checkpoint_sec reference.all)" = "6 12 18 24 30 36 40 " ] || fail "saves at $(steps_with checkpoint_sec reference.all)"

# Without the log: no file of it, and the same bits.
train 3 without --save-summary-steps 0
expect_same_end without
[ -z "$(find without -name 'events.out.*')" ] || fail "there is a log"

# Killed between a point and the checkpoint before it, twice in the same steps, in a save, at an epoch's end.
while read -r first np second again end; do
	dir=${first//[:.=,]/-}
	train_fault "$first" "$np" "$dir"
	expect_exit 137
	train_fault "$second" "$again" "$dir"
	expect_exit 137
	train "$end" "$dir"
	expect_same_end "$dir"
	scalars "$dir" | cmp - expected || fail "the log of $dir is not that of the reference"
done <<-END
	step.end:kill,rank=1,hit=17 4 step.end:kill,rank=0,hit=5 3 2
	save.after-rename:kill,hit=3 2 epoch.end:kill,rank=1,hit=2 4 1
	epoch.end:kill,rank=0,hit=2 1 save.write:kill,hit=4 3 4
END

# Off for one launch in between: what only that one trained is not in the log, and all else is.
train_fault step.begin:kill,rank=0,hit=17 4 gap --no-async-checkpoint
train_fault step.begin:kill,rank=1,hit=17 2 gap --no-async-checkpoint --save-summary-steps 0
expect_resumed_at gap 12
train 3 gap
expect_same_end gap
scalars gap >gap.scalars
[ "$(steps_with batch_loss gap.scalars)" = "5 10 15 25 30 35 40 " ] || fail "batch_loss at $(steps_with batch_loss gap.scalars)"

# The log cannot be opened, since what takes the killed launch's points back cannot be written: one warning, and the training goes on without it.
make_interrupted blocked
mkdir blocked/ftmpi-events.tmp
train 2 blocked
expect_warning "TensorBoard's log: cannot "
expect_warning "; the training goes on without it"
expect_resumed_at blocked 24
expect_same_end blocked
rmdir blocked/ftmpi-events.tmp
train 2 blocked --max-steps 45
expect_exit 0
expect_no_stderr "ftmpi: "
