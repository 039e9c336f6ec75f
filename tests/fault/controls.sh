#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Negative controls: a relaunch that leaves out one part of the restore ends with other bits, in the variables that hang on that part. Were it not
# so, the other tests would prove nothing about that part.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

make_reference
make_interrupted base

control() { # FAULT VARIABLE…
	local dir=${1//[:.]/-}
	cp -r base "$dir"
	train_fault "$1" 4 "$dir"
	expect_exit 0
	expect_resumed_at "$dir" 24
	[ "$(printed_digest)" != "$(digest_of reference)" ] || fail "the printed state digest is the reference's"
	shift
	expect_different reference "$dir" "$@"
}

control restore.position:skip layers/dense/vars/0 ftmpi/position
control restore.slot:skip layers/dense/vars/0 optimizer/vars/2
control restore.rng:skip layers/dense/vars/0 ftmpi/seed
# 24 is in the middle of the third epoch: its mean loses what came before. Nothing else hangs on it.
control restore.metrics:skip ftmpi/history/loss ftmpi/history/accuracy
expect_no_stdout layers/
expect_no_stdout optimizer/

# On one rank alone: the others' parts are right, the whole is not.
cp -r base one
train_fault restore.slot:skip,rank=2 4 one
expect_exit 0
expect_different reference one layers/dense/vars/0

cp -r base none
expect_recovers 4 none 24
