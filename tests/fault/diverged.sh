#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A loss that is not finite ends the run with 76 on any number of ranks. Nothing of that step or after it is saved, and a relaunch goes on from
# the checkpoint before it.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

make_reference

for np in 1 2 3 4; do
	dir=nan$np
	train_fault step.loss:nan,hit=25 "$np" "$dir"
	expect_exit 76
	expect_one_error_line "model diverged with loss = NaN at step 24; checkpoints before it are good"
	[ "$(steps_of "$dir")" = "6 12 18 24" ] || fail "$dir has checkpoints $(steps_of "$dir")"
	expect_identical reference/ckpt-24.weights.h5 "$dir"
	expect_recovers $((5 - np)) "$dir" 24
done

# One rank's NaN is everyone's; in the first step there is nothing to go on from.
train_fault step.loss:nan,rank=2 6 first
expect_exit 76
expect_one_error_line "at step 0;"
[ -z "$(steps_of first)" ] || fail "there are checkpoints $(steps_of first)"
expect_recovers 2 first 0

# A real one: a step that is far too large. There is a checkpoint after every step before it, with finite numbers; a relaunch meets it again.
diverge() { # NP DIR
	run_ftmpi "$1" --data data --batch-size 24 --logical-workers 4 --hidden-units 64,64 --activation linear --dropout 0 \
		--optimizer sgd --learning-rate 1e6 --max-steps 40 --save-checkpoints-steps 1 --model-dir "$2"
	expect_exit 76
	expect_one_error_line "model diverged with loss = "
	step=$(sed -n 's/^ftmpi: error: .* at step \([0-9]*\);.*/\1/p' "$last.err")
	[ "$(steps_of "$2")" = "$(seq -s ' ' "$step")" ] || fail "checkpoints $(steps_of "$2") before step $step"
	run checkpoints verify "$2"
	expect_exit 0
}

diverge 1 real
diverged_at=$step
before=$(checksums real | grep -v events.out)
for np in 4 2; do
	diverge "$np" real
	[ "$step" = "$diverged_at" ] || fail "it diverges at step $step, and at $diverged_at before"
	[ "$(checksums real | grep -v events.out)" = "$before" ] || fail "the relaunch changed the folder"
done
diverge 3 real3
expect_identical real real3
