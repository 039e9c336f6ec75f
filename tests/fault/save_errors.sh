#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: save_errors.sh EIO|ENOSPC: every call of a save fails in turn. With --on-save-error stop all ranks end with 74 and one line; older checkpoints are
# untouched, no temporary stays behind, and a relaunch ends with the same bits. By default the run warns, goes on and saves at the next time.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

declare -A texts=([EIO]="Input/output error" [ENOSPC]="No space left on device")
text=${texts[$1]}
# Failpoint and action, what its line says. "=ERRNO" is filled in.
case $1 in
EIO) table="save.begin:error=EIO|cannot begin: $text
	save.open:error=EIO|cannot create 'DIR/ckpt-30.weights.h5.tmp': $text
	save.write:error=EIO|bytes to 'DIR/ckpt-30.weights.h5.tmp': $text
	save.write:corrupt|was read back with other bytes than were written
	save.fsync:error=EIO|cannot fsync 'DIR/ckpt-30.weights.h5.tmp': $text
	save.verify:error=EIO|cannot read back 'DIR/ckpt-30.weights.h5.tmp': $text
	save.before-rename:error=EIO|cannot rename 'DIR/ckpt-30.weights.h5.tmp' to 'ckpt-30.weights.h5': $text
	save.dir-fsync:error=EIO|cannot fsync the directory 'DIR': $text
	save.state-file:error=EIO|cannot write 'DIR/checkpoint': $text" ;;
ENOSPC) table="save.begin:error=ENOSPC|cannot begin: $text
	save.open:error=ENOSPC|cannot create 'DIR/ckpt-30.weights.h5.tmp': $text
	save.write:error=ENOSPC|bytes to 'DIR/ckpt-30.weights.h5.tmp': $text
	save.write:short|bytes to 'DIR/ckpt-30.weights.h5.tmp': $text
	save.fsync:error=ENOSPC|cannot fsync 'DIR/ckpt-30.weights.h5.tmp': $text
	save.verify:error=ENOSPC|cannot read back 'DIR/ckpt-30.weights.h5.tmp': $text
	save.before-rename:error=ENOSPC|cannot rename 'DIR/ckpt-30.weights.h5.tmp' to 'ckpt-30.weights.h5': $text
	save.dir-fsync:error=ENOSPC|cannot fsync the directory 'DIR': $text
	save.state-file:error=ENOSPC|cannot write 'DIR/checkpoint': $text" ;;
*) fail "no table for $1" ;;
esac

make_reference
make_interrupted base
before=$(checksums base | grep -v events.out)

i=0
nps=(4 2 6 1)
while IFS='|' read -r fault line; do
	fault=${fault##*[[:space:]]}
	dir=${fault//[:.=]/-}
	cp -r base "$dir"
	train_fault "$fault" "${nps[i++ % 4]}" "$dir" --on-save-error stop
	expect_exit 74
	expect_one_error_line "${line//DIR/$dir}"
	expect_stderr "; older checkpoints are untouched"
	case $fault in
	save.dir-fsync:* | save.state-file:*) # the file has its name: the next launch finds it
		expect_stderr "checkpoint '$dir/ckpt-30.weights.h5' is complete, but not announced: "
		expect_identical reference/ckpt-30.weights.h5 "$dir/ckpt-30.weights.h5"
		resumed=30
		mkdir new
		mv "$dir/ckpt-30.weights.h5" new
		if [[ $fault = save.dir-fsync:* ]]; then # and a list, in the cache at least
			grep -q "^model_checkpoint_path: \"ckpt-30\"$" "$dir/checkpoint" || fail "$dir/checkpoint does not list ckpt-30"
			mv "$dir/checkpoint" new
			cp base/checkpoint "$dir"
		fi
		;;
	*)
		expect_stderr "checkpoint '$dir/ckpt-30.weights.h5' was not saved: "
		resumed=24
		;;
	esac
	[ "$(checksums "$dir" | grep -v events.out)" = "$before" ] || fail "$dir is not what it was before"
	if [ $resumed = 30 ]; then
		mv new/* "$dir"
		rmdir new
	fi
	expect_recovers "${nps[i % 4]}" "$dir" $resumed
done <<<"$table"

# The very first save.
train_fault "save.fsync:error=$1" 2 first --on-save-error stop
expect_exit 74
expect_one_error_line "checkpoint 'first/ckpt-6.weights.h5' was not saved: cannot fsync 'first/ckpt-6.weights.h5.tmp': $text"
[ -z "$(checksums first | grep -v events.out)" ] || fail "there is $(checksums first)"
expect_recovers 4 first 0

# What fails after the new checkpoint is listed is a warning: too much is kept until the next save.
cp -r base retention
train_fault "save.retention:error=$1,hit=3" 2 retention --keep-checkpoint-max 2
expect_warning "cannot delete old checkpoints in 'retention': $text"
expect_resumed_at retention 24
expect_same_end retention
[ "$(steps_of retention)" = "30 36 40" ] || fail "retention has checkpoints $(steps_of retention)"
expect_listed retention

# By default a failed save is one warning, and the run goes on to the same end; the next save is as if nothing had happened.
while IFS='|' read -r fault line; do
	fault=${fault##*[[:space:]]}
	dir=on-${fault//[:.=]/-}
	cp -r base "$dir"
	train_fault "$fault" "${nps[i++ % 4]}" "$dir"
	expect_warning "no checkpoint at step 30: checkpoint '$dir/ckpt-30.weights.h5' "
	expect_warning "${line//DIR/$dir}"
	expect_resumed_at "$dir" 24
	expect_same_end "$dir"
	expect_no_leftovers "$dir"
	expect_listed "$dir"
	case $fault in
	save.dir-fsync:* | save.state-file:*) ;;
	*) [ "$(steps_of "$dir")" = "12 18 24 36 40" ] || fail "$dir has checkpoints $(steps_of "$dir")" ;;
	esac
done <<<"$table"

# Nothing comes after the last save, so its failure is an error.
cp -r base last
train_fault "save.fsync:error=$1,hit=3" 4 last
expect_exit 74
expect_one_error_line "checkpoint 'last/ckpt-40.weights.h5' was not saved: cannot fsync"
expect_recovers 2 last 36
