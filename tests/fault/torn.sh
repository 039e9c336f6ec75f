#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Files that were torn, altered, swapped or lost between two launches: the relaunch says in one line what is wrong, sets a bad file aside, goes on
# from the newest good one, and ends with the same bits. Without a good one it trains nothing.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

file=ckpt-24.weights.h5

flip_byte() { # FILE OFFSET
	local byte
	byte=$(od -An -tu1 -j "$2" -N 1 "$1")
	printf '%b' "\\x$(printf %x $((byte ^ 16)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

size_of() {
	stat -c %s "$1"
}

# Each takes the folder.
truncated() { truncate -s $(($(size_of "$1/$file") / 2)) "$1/$file"; }
shortened() { truncate -s -1 "$1/$file"; }
lengthened() { printf x >>"$1/$file"; }
emptied() { : >"$1/$file"; }
zeroed() { dd if=/dev/zero of="$1/$file" bs=4096 seek=2 count=1 conv=notrunc status=none; }
flipped_first() { flip_byte "$1/$file" 0; }
flipped_middle() { flip_byte "$1/$file" $(($(size_of "$1/$file") / 2)); }
flipped_last() { flip_byte "$1/$file" $(($(size_of "$1/$file") - 1)); }
swapped() { cp "$1/ckpt-12.weights.h5" "$1/$file"; }
text() { echo "not a checkpoint" >"$1/$file"; }

make_reference
make_interrupted base

i=0
nps=(4 3 2 1)
# The newest file is not what the state file says: aside with it. Both the digest outside and the one inside find it out.
for damage in truncated shortened lengthened emptied zeroed flipped_first flipped_middle flipped_last swapped text; do
	cp -r base "$damage"
	"$damage" "$damage"
	# An old state file, as after a crash: the digests inside the file must do. They cannot tell that the name is another's.
	case $damage in zeroed | flipped_middle | truncated) rm "$damage/checkpoint" ;; esac
	cp "$damage/$file" "$damage.h5"
	run checkpoints verify "$damage"
	expect_exit 65
	expect_stdout "BAD   $damage/$file: "
	train "${nps[i++ % 4]}" "$damage"
	expect_warning "set aside as '$file.bad': "
	expect_resumed_at "$damage" 18
	expect_same_end "$damage"
	expect_listed "$damage"
	cmp "$damage.h5" "$damage/$file.bad" || fail "what was set aside is not what was there"
done

# Two in a row, with a .bad file of an earlier time in the way.
cp -r base two
truncated two
cp "two/$file" "two/$file.bad"
flip_byte two/ckpt-18.weights.h5 9999
train 4 two
expect_stderr "ftmpi: warning: set aside as '$file.bad.2': "
expect_stderr "ftmpi: warning: set aside as 'ckpt-18.weights.h5.bad': "
expect_resumed_at two 12
expect_same_end two

# Lost: the newest file; the state file; both are not as they should be.
cp -r base lost
rm "lost/$file"
train 3 lost
expect_warning "'lost/checkpoint' lists ckpt-24, but the file is gone"
expect_resumed_at lost 18
expect_same_end lost

cp -r base stateless
rm stateless/checkpoint
expect_recovers 2 stateless 24

cp -r base garbage
echo 'model_checkpoint_path: "ckpt-99"' >garbage/checkpoint
train 4 garbage
expect_warning "the state file 'garbage/checkpoint' is damaged ("
expect_resumed_at garbage 24
expect_same_end garbage

cp -r base torn_state
truncate -s -20 torn_state/checkpoint
train 1 torn_state
expect_warning "the state file 'torn_state/checkpoint' is damaged ("
expect_resumed_at torn_state 24
expect_same_end torn_state

# Temporaries of an earlier crash go, whatever is in them; files of others stay.
cp -r base littered
cp base/ckpt-18.weights.h5 littered/ckpt-31.weights.h5.tmp
echo junk >littered/checkpoint.tmp
echo mine >littered/notes.txt
train 4 littered
expect_no_stderr "ftmpi: "
expect_resumed_at littered 24
expect_same_end littered
expect_no_leftovers littered
[ "$(cat littered/notes.txt)" = mine ] || fail "a file of someone else was touched"

# Nothing good is left.
cp -r base hopeless
for step in 6 12 18 24; do truncate -s 5000 "hopeless/ckpt-$step.weights.h5"; done
for try in 1 2; do
	train 4 hopeless
	expect_exit 65
	expect_one_error_line "no good checkpoint in 'hopeless': 4 bad (ckpt-*.weights.h5.bad*)"
	expect_no_stdout Epoch
	[ -z "$(steps_of hopeless)" ] || fail "launch $try made checkpoints $(steps_of hopeless)"
	[ "$(find hopeless -name '*.bad' | wc -l)" = 4 ] || fail "launch $try lost a bad file"
done

cp -r base vanished
rm vanished/*.h5
train 4 vanished
expect_exit 65
expect_one_error_line "no checkpoint in 'vanished', though its state file lists 4"
expect_no_stdout Epoch
[ -z "$(steps_of vanished)" ] || fail "there are checkpoints $(steps_of vanished)"
