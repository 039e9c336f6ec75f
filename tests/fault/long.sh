# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# For tests that kill from outside. What is to be killed trains without end, so it cannot be missed, however slow or fast the machine; the last
# launch of each folder ends at some multiple of 100, and one uninterrupted run through all of these ends is the oracle afterwards.

# shellcheck source=../fault/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

long=(--save-checkpoints-steps 100 --keep-checkpoint-max 0 --hidden-units 256 --progress log --log-step-count-steps 1000)
ends=() # "DIR STEP"
last_end=0

endless=(--max-steps 100000000)

start() { # NP DIR [OPTION…]
	local np=$1 dir=$2
	shift 2
	start_ftmpi "$np" "${problem[@]}" "${endless[@]}" "${long[@]}" --model-dir "$dir" "$@"
}

# As many steps more, from wherever the launch finds the training: a chief that is slow to die may go on saving until then.
train_more() { # NP DIR STEPS [OPTION…]
	local np=$1 dir=$2 steps=$3
	shift 3
	run_ftmpi "$np" "${problem[@]}" "${long[@]}" --steps "$steps" --model-dir "$dir" "$@"
}

until_saved() { # DIR STEP
	until_true test -e "$1/ckpt-$2.weights.h5"
}

newest_step() { # DIR
	local steps
	steps=$(steps_of "$1")
	steps=${steps##* }
	echo "${steps:-0}"
}

# What is there is good; the relaunch will go on from the newest.
check_folder() { # DIR: sets step
	run checkpoints verify "$1"
	expect_exit 0
	step=$(newest_step "$1")
}

# Here the folder's last launch ended.
note_end() { # DIR
	local end
	end=$(newest_step "$1")
	[ $((end % 100)) = 0 ] || fail "$1 ended at step $end, which is no multiple of 100"
	ends+=("$1 $end")
	[ "$end" -le "$last_end" ] || last_end=$end
}

finish() { # NP DIR
	local end
	check_folder "$2"
	end=$((step / 100 * 100 + 300)) # who is told to end before it is dead saves first, wherever it is
	train_more "$1" "$2" $((end - step))
	expect_exit 0
	note_end "$2"
	[ "$(newest_step "$2")" = "$end" ] || fail "$2 ended at step $(newest_step "$2"), not $end"
	expect_no_stderr "ftmpi: "
	expect_resumed_at "$2" "$step"
	expect_no_leftovers "$2"
}

compare_ends() {
	local dir end
	train 1 reference "${long[@]}" --max-steps "$last_end"
	expect_exit 0
	while read -r dir end; do
		expect_identical "reference/ckpt-$end.weights.h5" "$dir"
	done < <(printf '%s\n' "${ends[@]}")
}

is_gone() { # PID: or dead, and only not yet waited for
	! grep -qsE '^State:	[^ZX]' "/proc/$1/status"
}
