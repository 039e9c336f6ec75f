#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: kill_save.sh first|later|last: the chief is killed in every phase of a save. Until the rename the folder holds what it held before, from
# then on the new checkpoint beside it; all of it verifies, and a relaunch ends with the same bits and cleans up.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

keep=(--keep-checkpoint-max 2)
case $1 in # number of the save, its step, the checkpoints before
first) save=1 step=6 before="" ;;
later) save=4 step=24 before="12 18" ;;
last) save=7 step=40 before="30 36" ;;
*) fail "no save '$1'" ;;
esac

# Steps of the checkpoint files after the death at a failpoint, and its temporary: none, half, whole.
left_by() { # POINT: sets left, temporary
	left=$before
	temporary=none
	case $1 in
	save.begin | save.open) ;;
	save.write) temporary=half ;;
	save.fsync | save.verify | save.before-rename) temporary=whole ;;
	save.after-rename | save.dir-fsync | save.state-file | save.retention) left="$before $step" ;;
	save.end) left="${before#* } $step" ;;
	*) fail "no failpoint '$1'" ;;
	esac
	left=${left# }
}

check_temporary() { # DIR
	local file=$1/ckpt-$step.weights.h5.tmp n_bytes=0 whole
	whole=$(stat -c %s "reference/ckpt-40.weights.h5")
	[ ! -e "$file" ] || n_bytes=$(stat -c %s "$file")
	case $temporary in
	none) [ ! -e "$file" ] || fail "there is $file" ;;
	half) ((n_bytes > 0 && n_bytes < whole * 3 / 4)) || fail "$file is not torn: $n_bytes bytes" ;;
	whole) ((n_bytes >= whole * 3 / 4)) || fail "$file is not complete: $n_bytes bytes" ;;
	esac
}

# What is there verifies, and the list ends with it.
check_folder() { # DIR
	[ "$(steps_of "$1")" = "$left" ] || fail "$1 has checkpoints $(steps_of "$1"), not $left"
	run checkpoints verify "$1"
	if [ -z "$left" ]; then
		expect_exit 66
	else
		expect_exit 0
		expect_no_stdout BAD
		run checkpoints list "$1"
		expect_exit 0
		[ "$(tail -n +2 "$last.out" | awk '{ print $1 }' | tr '\n' ' ')" = "$left " ] || fail "the list is not $left"
	fi
}

# The newest checkpoint is the reference's of that step.
check_newest() { # DIR
	local newest=${left##* }
	[ -z "$newest" ] || expect_identical "reference/ckpt-$newest.weights.h5" "$1"
}

make_reference

i=0
nps=(4 3 1 2)
for fault in save.begin:kill save.open:kill save.write:kill save.fsync:kill save.verify:kill save.before-rename:kill \
	save.after-rename:kill save.dir-fsync:kill save.state-file:kill save.retention:kill save.end:kill; do
	dir=${fault//[:.]/-}
	np=${nps[i++ % 4]}
	train_fault "$fault,hit=$save" "$np" "$dir" "${keep[@]}"
	expect_exit 137
	left_by "${fault%:kill}"
	check_temporary "$dir"
	check_folder "$dir"
	check_newest "$dir"
	train "${nps[i % 4]}" "$dir" "${keep[@]}"
	if [ "${left##* }" = "$max_steps" ]; then
		expect_stdout "finished already: $dir/ckpt-40.weights.h5"
	else
		newest=${left##* }
		expect_resumed_at "$dir" "${newest:-0}"
		expect_listed "$dir"
	fi
	expect_same_end "$dir"
	expect_no_leftovers "$dir"
done
