#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Folders for checkpoints: those that cannot be used, odd names, and two runs that want the same one.
set -euo pipefail
# shellcheck source=cli.sh
. "$(dirname "$0")/cli.sh"

make_data data
: >file
train=(--data data "${small[@]}")

# What cannot be a folder to write to.
keep_tree
refused 74 "cannot open the directory 'file': Not a directory" "${train[@]}" --model-dir file
refused 74 "cannot make the directory 'file/run': Not a directory" "${train[@]}" --model-dir file/run
refused_on 3 74 "cannot make the directory 'file/run': Not a directory" "${train[@]}" --model-dir file/run
refused 74 "cannot make the directory '/proc/ftmpi'" "${train[@]}" --model-dir /proc/ftmpi/run
long=$(printf 'x%.0s' {1..300})
refused 74 "cannot make the directory '$long': File name too long" "${train[@]}" --model-dir "$long"
ln -s nowhere/run dangling
mkdir -p locked_out/.ftmpi.lock
keep_tree
refused 66 "there is no directory 'dangling'" "${train[@]}" --model-dir dangling
refused 74 "cannot open the lock file 'locked_out/.ftmpi.lock': Is a directory" "${train[@]}" --model-dir locked_out

# A folder that may not be written to: for root, one on a file system that is mounted read-only.
good "${train[@]}" --model-dir read_only
if [ "$(id -u)" != 0 ]; then
	chmod a-w read_only
	reason="Permission denied"
	in_read_only() { run_command "$program" "$@"; }
else
	reason="Read-only file system"
	# shellcheck disable=SC2016
	in_read_only() {
		run_command unshare --mount sh -c 'mount --bind read_only read_only && mount -o remount,ro,bind read_only && exec "$@"' sh "$program" "$@"
	}
fi
keep_tree
if [ "$(id -u)" != 0 ] || unshare --mount mount --bind read_only read_only 2>/dev/null; then
	in_read_only "${train[@]}" --model-dir read_only # finished: nothing to write
	expect_success
	expect_stdout "finished already: read_only/"
	in_read_only "${train[@]}" --epochs 3 --model-dir read_only
	expect_refusal 74 "cannot write to the directory 'read_only': $reason"
	in_read_only "${train[@]}" --model-dir read_only/run
	expect_refusal 74 "cannot make the directory 'read_only/run': $reason"
	in_read_only checkpoints prune read_only --keep 1
	expect_refusal 74 "cannot write to the directory 'read_only': $reason"
	# What only looks does not mind.
	for command in "list read_only" "show read_only" "verify read_only" "diff read_only read_only"; do
		# shellcheck disable=SC2086
		in_read_only checkpoints $command
		expect_success
	done
	in_read_only evaluate --data data --model-dir read_only
	expect_success
	in_read_only predict --data data --model-dir read_only --output read_only/predictions.h5
	expect_refusal 74 "predictions.h5.tmp': $reason"
else
	echo "left out: no right to mount a file system"
fi
[ "$(id -u)" = 0 ] || chmod u+w read_only

# Another user's folder.
other_user=(setpriv --reuid 65534 --regid 65534 --clear-groups)
if [ "$(id -u)" = 0 ] && "${other_user[@]}" test -x "$program" -a -r data 2>/dev/null; then
	keep_tree
	run_command "${other_user[@]}" "$program" "${train[@]}" --model-dir read_only
	expect_success
	run_command "${other_user[@]}" "$program" "${train[@]}" --epochs 3 --model-dir read_only
	expect_refusal 74 "cannot write to the directory 'read_only': Permission denied"
	# Not even where the lock file is that user's own.
	cp -r read_only theirs
	chown -R 65534 theirs
	chmod a-w theirs
	keep_tree
	run_command "${other_user[@]}" "$program" "${train[@]}" --epochs 3 --model-dir theirs
	expect_refusal 74 "cannot write to the directory 'theirs': Permission denied"
	run_command "${other_user[@]}" "$program" "${train[@]}" --model-dir run
	expect_refusal 74 "cannot make the directory 'run': Permission denied"
	run_command "${other_user[@]}" "$program" checkpoints verify read_only
	expect_success
	chmod 600 read_only/ckpt-*7.weights.h5
	run_command "${other_user[@]}" "$program" checkpoints verify read_only # unread is not bad
	expect_exit 74
	expect_one_error_line "read_only: 1 of 2 checkpoints could not be read"
	expect_stdout "???   read_only/ckpt-7.weights.h5: cannot open 'read_only/ckpt-7.weights.h5': Permission denied"
	expect_stdout "good  read_only/ckpt-14.weights.h5"
	chmod 700 read_only
	keep_tree
	run_command "${other_user[@]}" "$program" checkpoints list read_only
	expect_refusal 74 "cannot open the directory 'read_only': Permission denied"
	run_command "${other_user[@]}" "$program" evaluate --data data --model-dir read_only
	expect_refusal 74 "cannot open the directory 'read_only': Permission denied"
	chmod 600 data/train-labels-idx1-ubyte
	keep_tree
	run_command "${other_user[@]}" "$program" "${train[@]}" --model-dir /proc/ftmpi
	expect_refusal 74 "data/train-labels-idx1-ubyte: cannot open: Permission denied"
	chmod 644 data/train-labels-idx1-ubyte
else
	echo "left out: no other user to be, or the build is out of its reach"
fi

# Names that are fine, each the same folder for every command.
for name in run ./rel/a/b/ "two words/and  more" "ünïcode-€" "-dash" "a=b" "$scratch/absolute"; do
	good "${train[@]}" "--model-dir=$name"
	digest=$(printed_digest)
	good checkpoints verify "./${name#"$scratch/"}"
	run evaluate --data data "--model-dir=$name"
	expect_success
	run_ftmpi 2 "${train[@]}" --model-dir "$name"
	expect_exit 0
	expect_stdout "finished already: "
	[ "$(printed_digest)" = "$digest" ] || fail "'$name' has another digest when it is looked at again"
done
expect_identical run "two words/and  more"
expect_identical run rel/a/b

# Where it is called from does not matter, only what the path means there.
mkdir elsewhere
cd elsewhere
good --data ../data "${small[@]}" --epochs 3 --model-dir ../run
expect_stdout "resuming from ../run/ckpt-14.weights.h5: step 14, epoch 3"
cd ..
[ -z "$(ls -A elsewhere)" ] || fail "files were made in the current directory"
