#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `ftmpi checkpoints …`, without a launcher: what it prints, its exit codes, and that what only looks changes nothing.
set -euo pipefail
# shellcheck source=cli.sh
. "$(dirname "$0")/cli.sh"

make_data data
train=(--data data --hidden-units 8 --logical-workers 2)
good "${train[@]}" --model-dir run --max-steps 10 --save-checkpoints-steps 2 --keep-checkpoint-max 0
digest=$(printed_digest)
good "${train[@]}" --model-dir other --max-steps 10 --seed 2
good "${train[@]}" --model-dir again --max-steps 10
mkdir empty
cp run/ckpt-10.weights.h5 lone.weights.h5
cp -r run altered
patch_bytes altered/ckpt-10.weights.h5 $(($(stat -c %s run/ckpt-10.weights.h5) - 9)) ff
cp -r run truncated
truncate -s 3000 truncated/ckpt-8.weights.h5
cp -r run ruined
for file in ruined/*.h5; do truncate -s 0 "$file"; done
cp -r run unlisted
rm unlisted/checkpoint
cp -r run damaged_list
printf 'nonsense\n' >damaged_list/checkpoint
cp data/train-labels-idx1-ubyte not_hdf5
keep_tree

# list
looks checkpoints list run
[ "$(wc -l <"$last.out")" = 6 ] || fail "not a heading and five lines"
expect_stdout_line '^ +number  saved +xxh3-128 +file$'
for step in 2 4 6 8 10; do
	expect_stdout_line "^ +$step  [0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}  [0-9a-f]{32}  run/ckpt-$step\\.weights\\.h5\$"
done
awk 'NR > 1 { print $1 }' "$last.out" | sort -nc || fail "not oldest first"
looks checkpoints list run/
expect_stdout " run/ckpt-10.weights.h5"
looks checkpoints list empty
[ "$(wc -l <"$last.out")" = 1 ] || fail "an empty folder has checkpoints"
looks checkpoints list unlisted
expect_stdout_line "^ +10  .*  not listed +unlisted/ckpt-10\\.weights\\.h5\$"
run checkpoints list damaged_list
expect_exit 0
expect_warning "damaged_list"
expect_stdout "damaged_list/ckpt-10.weights.h5"
expect_tree_kept
refused 66 "there is no directory 'missing'" checkpoints list missing
refused 74 "cannot open the directory 'lone.weights.h5': Not a directory" checkpoints list lone.weights.h5

# show
looks checkpoints show run
expect_stdout_line "^file: run/ckpt-10\\.weights\\.h5\$"
expect_stdout_line "^step: 10\$"
expect_stdout_line "^epochs done: 1\$"
expect_stdout_line "^samples of the epoch done: 96\$" # 7 batches of 203 samples, then 3 of 32
expect_stdout_line "^logical workers: 2\$"
expect_stdout_line "^relaunches: 0\$"
expect_stdout_line "^failures: 0\$"
expect_stdout_line "^  hidden-units = 8\$"
expect_stdout_line "^  blas = OpenBLAS "
expect_stdout_line '^  layers/dense/vars/0 +float32 +\(64, 8\) +[0-9a-f]{32}$'
expect_stdout_line '^  optimizer/vars/0 +int64 +\(\) +[0-9a-f]{32}$'
expect_stdout_line '^  ftmpi/run/wall_time_s +float64 +\(\) +[0-9a-f]{32}  \(not part of the state\)$'
expect_stdout_line "^state digest: $digest\$"
looks checkpoints show lone.weights.h5
expect_stdout_line "^file: lone\\.weights\\.h5\$"
expect_stdout_line "^state digest: $digest\$"
looks checkpoints show run/ckpt-4.weights.h5
expect_stdout_line "^step: 4\$"
run checkpoints show altered
expect_exit 0
expect_warning "passing over a bad checkpoint: checkpoint 'altered/ckpt-10.weights.h5' was altered"
expect_stdout_line "^file: altered/ckpt-8\\.weights\\.h5\$"
expect_tree_kept
run checkpoints show ruined
expect_exit 65
expect_one_error_line "ruined"
expect_silent
expect_tree_kept
refused 66 "empty has no checkpoint" checkpoints show empty
refused 66 "'missing': No such file or directory" checkpoints show missing
refused 65 "'not_hdf5' is not an HDF5 file" checkpoints show not_hdf5
refused 65 "truncated/ckpt-8.weights.h5" checkpoints show truncated/ckpt-8.weights.h5

# verify
looks checkpoints verify run
printf 'good  run/ckpt-%d.weights.h5\n' 2 4 6 8 10 | cmp - "$last.out" || fail "not every checkpoint is good"
looks checkpoints verify lone.weights.h5
printf 'good  lone.weights.h5\n' | cmp - "$last.out" || fail "not good"
looks checkpoints verify unlisted
run checkpoints verify altered
expect_exit 65
expect_one_error_line "altered: 1 of 5 checkpoints are bad"
expect_stdout_line "^BAD   altered/ckpt-10\\.weights\\.h5: .* was altered: its digest is [0-9a-f]{32} where the state file says [0-9a-f]{32}\$"
expect_stdout_line "^good  altered/ckpt-8\\.weights\\.h5\$"
expect_tree_kept
run checkpoints verify truncated
expect_exit 65
expect_one_error_line "truncated: 1 of 5 checkpoints are bad"
expect_stdout_line "^BAD   truncated/ckpt-8\\.weights\\.h5: "
expect_stdout_line "^good  truncated/ckpt-10\\.weights\\.h5\$"
run checkpoints verify ruined
expect_exit 65
expect_one_error_line "ruined: 5 of 5 checkpoints are bad"
refused 65 "altered/ckpt-10.weights.h5" checkpoints verify altered/ckpt-10.weights.h5
refused 65 "'not_hdf5' is not an HDF5 file" checkpoints verify not_hdf5
refused 65 "'/dev/null' is not a regular file" checkpoints verify /dev/null
refused 66 "empty has no checkpoint" checkpoints verify empty
refused 66 "'missing': No such file or directory" checkpoints verify missing
expect_tree_kept

# diff
expect_identical run run
expect_identical run lone.weights.h5
expect_identical run again
expect_tree_kept
expect_different run other layers/dense/vars/0 layers/dense_1/vars/1 optimizer/vars/2 ftmpi/seed
expect_stdout_line "^layers/dense/vars/0: 512 of 512 elements differ, largest absolute difference [0-9.e-]+\$"
expect_no_stdout "optimizer/vars/0:"
expect_different run/ckpt-4.weights.h5 run/ckpt-6.weights.h5 optimizer/vars/0 ftmpi/position
expect_one_error_line "run/ckpt-4.weights.h5 and run/ckpt-6.weights.h5 differ in"
expect_no_stdout "ftmpi/seed:"
expect_tree_kept
refused 66 "'missing': No such file or directory" checkpoints diff run missing
refused 66 "empty has no checkpoint" checkpoints diff empty run
refused 65 "'not_hdf5' is not an HDF5 file" checkpoints diff run not_hdf5

# Nobody could read the answer.
for command in "list run" "show run" "verify run" "diff run again" --help; do
	# shellcheck disable=SC2086
	expect_loss_noticed checkpoints $command
done
expect_tree_kept

# Under a launcher by mistake: one rank does it.
run_ftmpi 2 checkpoints list run
expect_success
[ "$(wc -l <"$last.out")" = 6 ] || fail "not a heading and five lines"
refused_on 2 66 "there is no directory 'missing'" checkpoints list missing

# Usage.
refused 64 "is not list, show, verify, diff or prune" checkpoints
refused 64 "bogus is not list, show, verify, diff or prune" checkpoints bogus
refused 64 "usage: ftmpi checkpoints list DIR" checkpoints list
refused 64 "usage: ftmpi checkpoints list DIR" checkpoints list run other
refused 64 "usage: ftmpi checkpoints show FILE|DIR" checkpoints show
refused 64 "usage: ftmpi checkpoints verify FILE|DIR" checkpoints verify run --bogus
refused 64 "usage: ftmpi checkpoints diff A B" checkpoints diff run
refused 64 "usage: ftmpi checkpoints prune DIR --keep N" checkpoints prune run
for value in 0 -1 x 1x 0x1 1.5 "" 99999999999999999999; do
	refused 64 "checkpoints prune: --keep $value: it must be a whole number, at least 1" checkpoints prune run --keep "$value"
done
refused 64 "checkpoints prune: '--bogus' is not expected; usage: prune DIR --keep N" checkpoints prune run --bogus 3
refused 66 "missing" checkpoints prune missing --keep 1
refused 74 "lone.weights.h5" checkpoints prune lone.weights.h5 --keep 1
refused 66 "empty has no checkpoint" checkpoints prune empty --keep 1

# prune: the newest stay as they were, the list says so, and the run goes on.
before=$(sha256sum run/ckpt-8.weights.h5 run/ckpt-10.weights.h5)
good checkpoints prune run --keep 7
printf 'deleted 0, 5 left\n' | cmp - "$last.out" || fail "something was deleted"
expect_tree_kept
good checkpoints prune --keep=2 run
printf 'deleted 3, 2 left\n' | cmp - "$last.out" || fail "not three deleted"
[ "$(cd run && echo c*)" = "checkpoint ckpt-10.weights.h5 ckpt-8.weights.h5" ] || fail "left are: $(ls run)"
[ "$(sha256sum run/ckpt-8.weights.h5 run/ckpt-10.weights.h5)" = "$before" ] || fail "what is left was altered"
grep -qx 'model_checkpoint_path: "ckpt-10"' run/checkpoint || fail "the state file does not end with ckpt-10: $(cat run/checkpoint)"
[ "$(grep -c '^all_model_checkpoint_paths: ' run/checkpoint)" = 2 ] || fail "the state file lists what is gone: $(cat run/checkpoint)"
good checkpoints verify run
good checkpoints prune run --keep 1
[ "$(cd run && echo c*)" = "checkpoint ckpt-10.weights.h5" ] || fail "left are: $(ls run)"
good "${train[@]}" --model-dir run --max-steps 20
expect_stdout_line "^resuming from run/ckpt-10\\.weights\\.h5: step 10, epoch 2, batch 3 of 7"
good "${train[@]}" --model-dir again --max-steps 20
expect_identical run again
