# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the fault tests share: one small training, its uninterrupted run as the oracle, and what must hold after a fault.
#
# 203 samples in batches of 24 are 9 steps an epoch with a short last one; 40 steps end in the middle of the fifth epoch. Checkpoints come
# at 6, 12, … 36, of which 18 and 36 are ends of epochs, and at the end. Their number is their step.

# shellcheck source=../harness.sh
. "$(dirname "${BASH_SOURCE[0]}")/../harness.sh"

max_steps=40
save_steps=6
problem=(--data "$scratch/data" --batch-size 24 --logical-workers 4 --hidden-units 16 --dropout 0.2)
training=("${problem[@]}" --max-steps "$max_steps" --save-checkpoints-steps "$save_steps")

# Whether the runs save asynchronously, as is the default.
async=${FTMPI_ASYNC_CHECKPOINT:-true}

train() { # NP DIR [OPTION…]
	local np=$1 dir=$2
	shift 2
	run_ftmpi "$np" "${training[@]}" --model-dir "$dir" "$@"
}

train_fault() { # SPEC NP DIR [OPTION…]
	local spec=$1 np=$2 dir=$3
	shift 3
	run_fault "$spec" "$np" "${training[@]}" --model-dir "$dir" "$@"
}

# The data, and the run that nothing happens to; it keeps all of its checkpoints.
make_reference() {
	make_data data
	train 4 reference --keep-checkpoint-max 0
	expect_exit 0
	[ "$(steps_of reference)" = "6 12 18 24 30 36 40" ] || fail "the reference has checkpoints $(steps_of reference)"
	expect_listed reference
}

# A folder with checkpoints at 6, 12, 18, 24, left by a chief that was killed in step 26: the last of them is in the middle of an epoch. None of them was in
# flight at the death.
make_interrupted() { # DIR
	train_fault step.begin:kill,rank=0,hit=26 4 "$1" --no-async-checkpoint
	expect_exit 137
	[ "$(steps_of "$1")" = "6 12 18 24" ] || fail "$1 has checkpoints $(steps_of "$1")"
}

# The steps of the checkpoint files in a folder.
steps_of() { # DIR
	local steps
	steps=$(find "$1" -name 'ckpt-*.weights.h5' 2>/dev/null | sed 's/.*ckpt-//; s/\.weights\.h5$//' | sort -n | tr '\n' ' ')
	echo "${steps% }"
}

expect_no_leftovers() { # DIR
	local left
	left=$(find "$1" -name '*.tmp*' -o -name '*.bad*')
	[ -z "$left" ] || fail "left behind: $left"
}

# What a death left: STEP is the newest checkpoint, or the one before it is, where the save at STEP may have been in flight.
newest_after_death() { # DIR STEP: sets newest
	newest=$(steps_of "$1")
	newest=${newest##* }
	newest=${newest:-0}
	[ "$newest" = "$2" ] || { [ "$async" = true ] && [ "$newest" = $(($2 - save_steps)) ]; } || fail "$1 has checkpoints up to $newest, not $2"
}

# Failpoints of saves that each take so many seconds: the first six of them, at one point of its writing each.
slow_saves() { # SECONDS
	local point hit=0 slow=""
	for point in begin open write fsync verify before-rename; do
		hit=$((hit + 1))
		slow+=";save.$point:stall=$1,rank=0,hit=$hit"
	done
	echo "${slow#;}"
}

# The state file lists the files that are there, oldest first, and nothing else.
expect_listed() { # DIR
	local listed
	listed=$(sed -n 's/^all_model_checkpoint_paths: "ckpt-\([0-9]*\)"$/\1/p' "$1/checkpoint" | tr '\n' ' ')
	[ "${listed% }" = "$(steps_of "$1")" ] || fail "$1 has checkpoints $(steps_of "$1"), its state file lists $listed"
}

# The last run began at a checkpoint; 0: at the beginning.
expect_resumed_at() { # DIR STEP
	if [ "$2" = 0 ]; then
		expect_no_stdout "resuming from"
	else
		expect_stdout "resuming from $1/ckpt-$2.weights.h5: step $2, "
	fi
}

# The last run went through to the end, and the end is that of the reference.
expect_same_end() { # DIR [REFERENCE]
	expect_exit 0
	expect_no_stderr "ftmpi: error"
	[ "$(printed_digest)" = "$(digest_of "${2:-reference}")" ] || fail "the printed state digest is another"
	expect_identical "${2:-reference}" "$1"
}

# Relaunch, which goes on from a step and ends as the reference did, without a word about anything amiss.
expect_recovers() { # NP DIR STEP [OPTION…]
	local np=$1 dir=$2 step=$3
	shift 3
	train "$np" "$dir" "$@"
	expect_no_stderr "ftmpi: "
	expect_resumed_at "$dir" "$step"
	[ "$np" -le 4 ] || expect_stdout "$np ranks for 4 logical workers: ranks 4 to $((np - 1)) stay idle"
	expect_same_end "$dir"
	expect_no_leftovers "$dir"
	expect_listed "$dir"
}
