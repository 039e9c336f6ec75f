#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A relaunch with other options: what would change the result is refused by name and nothing is touched; what would not is taken.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

make_reference
make_interrupted base
before=$(checksums base)

# NP, options, what the line says.
while IFS='|' read -r np options line; do
	read -ra words <<<"$options"
	train "${np##*[[:space:]]}" base "${words[@]}"
	expect_exit 64
	expect_one_error_line "$line now, which would change the result"
	expect_no_stdout "resuming from"
	[ "$(checksums base)" = "$before" ] || fail "the folder is not what it was before"
done <<<"4|--batch-size 25|--batch-size was 24 when this run began and is 25
	1|--no-shuffle|--shuffle was true when this run began and is false
	1|--seed 2|--seed was 1 when this run began and is 2
	1|--classes 11|--classes was 10 when this run began and is 11
	1|--input-scale 0.5|--input-scale was 0 when this run began and is 0.5
	1|--hidden-units 16,16|--hidden-units was 16 when this run began and is 16,16
	1|--activation tanh|--activation was relu when this run began and is tanh
	1|--dropout 0.25|--dropout was 0.2 when this run began and is 0.25
	1|--optimizer adamw|--optimizer was adam when this run began and is adamw
	1|--learning-rate 0.002|--learning-rate was 0.001 when this run began and is 0.002
	1|--beta-1 0.8|--beta-1 was 0.9 when this run began and is 0.8
	1|--epsilon 1e-8|--epsilon was 1e-07 when this run began and is 1e-08
	1|--weight-decay 0.1|--weight-decay was 0 when this run began and is 0.1
	1|--loss-reduction sum|--loss-reduction was mean when this run began and is sum
	6|--logical-workers 5|--logical-workers was 4 when this run began and is 5"

make_data other --seed 2
train 2 base --data other
expect_exit 64
expect_one_error_line "--data other is not the data of this run"
[ "$(checksums base)" = "$before" ] || fail "the folder is not what it was before"

# Elsewhere, under another name, the same data; other checkpoints.
mkdir moved
mv data base moved
train 3 moved/base --data moved/data --save-checkpoints-steps 7 --keep-checkpoint-max 1 --progress log
expect_no_stderr "ftmpi: "
expect_resumed_at moved/base 24
expect_same_end moved/base
[ "$(steps_of moved/base)" = 40 ] || fail "there are checkpoints $(steps_of moved/base)"
