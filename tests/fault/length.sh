#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# However a training is cut into launches, and whenever it saves, the end is that of one launch; a relaunch of what is finished touches nothing.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

make_reference
other_ways() { # NP DIR OPTION…
	local np=$1 dir=$2
	shift 2
	run_ftmpi "$np" "${problem[@]}" --model-dir "$dir" "$@"
	expect_exit 0
}

train 2 grown --max-steps 20
expect_exit 0
expect_recovers 3 grown 20

# Two epochs are 18 steps; then three, with a checkpoint at each end; then the rest.
other_ways 1 epochs --epochs 2
other_ways 4 epochs --epochs 3
expect_resumed_at epochs 18
[ "$(steps_of epochs)" = "9 18 27" ] || fail "there are checkpoints $(steps_of epochs)"
other_ways 2 epochs --max-steps 40 --save-checkpoints-epochs 2
expect_resumed_at epochs 27
expect_same_end epochs

# 5, 20 and 15 steps more.
other_ways 4 steps --steps 5
other_ways 3 steps --steps 20 --save-checkpoints-steps 8
expect_resumed_at steps 5
other_ways 1 steps --steps 15
expect_resumed_at steps 25
expect_same_end steps

# By the clock: after every step. No save is in flight at the death.
run_fault step.end:kill,rank=1,hit=20 4 "${problem[@]}" --model-dir clock --max-steps 40 --save-checkpoints-secs 1e-9 --no-async-checkpoint
expect_exit 137
expect_recovers 2 clock 19 --save-checkpoints-steps 1000

# Finished: by steps, by epochs.
touch marker
before=$(checksums reference)
train 3 reference
expect_exit 0
expect_stdout "finished already: reference/ckpt-40.weights.h5 "
[ "$(printed_digest)" = "$(digest_of reference)" ] || fail "the printed state digest is another"
other_ways 1 reference --epochs 4
expect_stdout "finished already: "
expect_no_stdout "Epoch "
[ "$(checksums reference)" = "$before" ] || fail "the folder is not what it was before"
touched=$(find reference -newer marker ! -name .ftmpi.lock -type f)
[ -z "$touched" ] || fail "touched: $touched"
