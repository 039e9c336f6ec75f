#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: kill_step.sh RANK: this rank is killed in every phase of a step and at an epoch's end, early, late and around saves; each time a
# relaunch, on more or fewer ranks, goes on from the last checkpoint and ends with the same bits.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

rank=$1
make_reference

# Failpoint, its passage, ranks of the relaunch. A passage is a step, or an epoch (of whose evaluation a rank of four makes one pass).
case $rank in
0) table="step.begin:kill 7 4
	step.loss:kill 1 3
	step.before-reduce:kill 20 1
	step.before-apply:kill 40 2
	step.end:kill 18 6
	epoch.end:kill 2 4" ;;
1) table="step.begin:kill 19 3
	step.loss:kill 25 1
	step.before-reduce:kill 6 2
	step.before-apply:kill 13 6
	step.end:kill 40 4
	epoch.end:kill 1 3
	evaluate.pass:kill 2 4" ;;
3) table="step.begin:kill 40 1
	step.loss:kill 37 2
	step.before-reduce:kill 10 6
	step.before-apply:kill 1 4
	step.end:kill 24 3
	epoch.end:kill 4 1" ;;
*) fail "no table for rank $rank" ;;
esac

while read -r fault hit np; do
	dir=${fault//[:.]/-}
	train_fault "$fault,rank=$rank,hit=$hit" 4 "$dir"
	expect_exit 137
	# What the death hit is not saved, even if it was the step that a save follows.
	done_before=$((hit - 1))
	[[ $fault != @(epoch.end|evaluate.pass):kill ]] || done_before=$((9 * hit - 1))
	newest_after_death "$dir" $((done_before / save_steps * save_steps))
	expect_recovers "$np" "$dir" "$newest"
done <<<"$table"

# The same by a plain exit, whose code is the launcher's.
train_fault "step.begin:exit=3,rank=$rank,hit=9" 4 exited
expect_exit 3
newest_after_death exited 6
expect_recovers 4 exited "$newest"
