#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One bit flips in one rank's copy of the parameters: the ranks notice, name the odd one, save nothing of it, and end with 75; a relaunch goes on from
# the checkpoint before, and ends with the same bits.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

make_reference

expect_noticed() { # DIR LAST STEP TEXT: the newest checkpoint; where it was noticed
	expect_exit 75
	expect_one_error_line "the parameters at step $3: $4"
	expect_one_error_line "; relaunch to go on from the last checkpoint"
	expect_identical "reference/ckpt-$2.weights.h5" "$1"
}

# In a step whose copies are compared: ranks, passage, ranks of the launch, steps between comparisons, ranks of the relaunch.
while read -r rank hit np every again; do
	dir=step-$rank-$hit
	train_fault "step.params:corrupt,rank=$rank,hit=$hit" "$np" "$dir" --check-replicas-steps "$every"
	text="rank $rank has other bits than the majority"
	[ "$np" != 2 ] || text="ranks 0 to 1 do not agree"
	expect_noticed "$dir" $(((hit - 1) / save_steps * save_steps)) $((hit - 1)) "$text"
	expect_recovers "$again" "$dir" $(((hit - 1) / save_steps * save_steps))
done <<-END
	2 9 4 1 3
	0 23 4 1 1
	1 32 3 1 4
	1 18 2 1 6
	3 31 4 10 2
END


# At a save, at any rank: it is not saved.
for rank in 0 2; do
	train_fault "save.params:corrupt,rank=$rank,hit=4" 4 "save-$rank" --check-replicas-steps 0
	expect_noticed "save-$rank" 18 24 "rank $rank has other bits than the majority"
	expect_recovers 3 "save-$rank" 18
done

# What the chief collected of the slots is other than what their owner has: it is not saved.
train_fault "save.slots:corrupt,rank=0,hit=4" 4 slots
expect_exit 75
expect_one_error_line ": the chief has other bits than rank 3 gave it: "
expect_recovers 2 slots 18
train_fault save.slots:kill,rank=0,hit=4 3 killed-slots
expect_exit 137
expect_recovers 4 killed-slots 18

# Where nothing compares in time it is one wrong gradient, which every rank has alike: the negative control of the comparison.
train_fault "step.params:corrupt,rank=3,hit=8" 4 unseen --check-replicas-steps 0
expect_exit 0
expect_different reference unseen layers/dense/vars/0

# Death there is like any other.
train_fault step.params:kill,rank=1,hit=15 4 killed --no-async-checkpoint
expect_exit 137
expect_recovers 2 killed 12
train_fault save.params:kill,rank=1,hit=3 4 killed-save
expect_exit 137
expect_recovers 3 killed-save 12
