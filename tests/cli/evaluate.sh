#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# evaluate and predict: the same on any number of ranks, in agreement with each other and with Python, and their refusals.
set -euo pipefail
# shellcheck source=cli.sh
. "$(dirname "$0")/cli.sh"

make_data data --test 611 # more than one pass of 256 rows for each logical worker
make_data train_only --test 0
good --data data --model-dir run --logical-workers 3 --hidden-units 16,8 --max-steps 40 --save-checkpoints-steps 20 --learning-rate 1e-2
mkdir empty

# Same output on one and on three ranks; a fourth has nothing to do, and only that line is more.
keep_tree
looks evaluate --data data --model-dir run
expect_stdout_line '^accuracy: [01]\.[0-9]{4} - loss: [0-9]+\.[0-9]{4} \(611 samples, run/ckpt-40\.weights\.h5, step 40\)$'
[ "$(wc -l <"$last.out")" = 1 ] || fail "more than one line"
cp "$last.out" runs/evaluated
for np in 1 3; do
	run_ftmpi $np evaluate --data data --model-dir run
	expect_success
	cmp runs/evaluated "$last.out" || fail "other output on $np ranks"
done
run_ftmpi 4 evaluate --data data --model-dir run
expect_success
grep -v "stay idle" "$last.out" | cmp runs/evaluated - || fail "other output on 4 ranks"
expect_tree_kept

good predict --data data --model-dir run
expect_stdout_line '^wrote predictions\.h5: predictions \[611, 10\] \(logits\), classes \[611\], from run/ckpt-40\.weights\.h5$'
for np in 1 3 4; do
	run_ftmpi $np predict --data data --model-dir run --output "on $np.h5"
	expect_success
	cmp predictions.h5 "on $np.h5" || fail "other predictions on $np ranks"
done
good predict --data data --model-dir run --output predictions.h5
cmp predictions.h5 "on 1.h5" || fail "an older file was not replaced"
keep_tree

expect_loss_noticed evaluate --data data --model-dir run

# A given file, and an older one; --model-dir does not matter then.
looks evaluate --data data --checkpoint run/ckpt-40.weights.h5 --model-dir missing
cmp runs/evaluated "$last.out" || fail "other output for --checkpoint"
good predict --data data --checkpoint run/ckpt-20.weights.h5 --output older.h5
run predict --data data --model-dir run --output run/ckpt-20.weights.h5
expect_exit 64
expect_one_error_line "--output run/ckpt-20.weights.h5: that is a checkpoint's name"
cp run/ckpt-20.weights.h5 "a copy"
keep_tree
looks evaluate --data data --checkpoint "a copy"
expect_stdout "(611 samples, a copy, step 20)"
if cmp -s predictions.h5 older.h5; then fail "step 20 predicts as step 40 does"; fi

# A checkpoint that is bad is passed over with a warning, and not renamed.
cp -r run altered
patch_bytes altered/ckpt-40.weights.h5 3000 ff 00 ff 00
keep_tree
run evaluate --data data --model-dir altered
expect_exit 0
expect_warning "passing over a bad checkpoint: checkpoint 'altered/ckpt-40.weights.h5' was altered"
expect_stdout "altered/ckpt-20.weights.h5, step 20"
expect_tree_kept
refused 65 "altered/ckpt-40.weights.h5" evaluate --data data --checkpoint altered/ckpt-40.weights.h5

# Refusals.
refused 66 "--model-dir empty has no checkpoint" evaluate --data data --model-dir empty
refused_on 3 66 "--model-dir empty has no checkpoint" predict --data data --model-dir empty
refused 66 "--model-dir: there is no directory 'missing'" evaluate --data data --model-dir missing
refused 66 "'missing': No such file or directory" predict --data data --checkpoint missing
refused 65 "'run' is not a regular file" evaluate --data data --checkpoint run
refused 65 "'data/t10k-labels-idx1-ubyte' is not an HDF5 file" evaluate --data data --checkpoint data/t10k-labels-idx1-ubyte
refused 65 "predictions.h5" evaluate --data data --checkpoint predictions.h5
refused 66 "--data train_only has no test data" evaluate --data train_only --model-dir run
refused_on 2 66 "--data train_only has no test data" predict --data train_only --model-dir run
refused 66 "missing: No such file or directory" evaluate --data missing --model-dir run
refused 66 "there is no directory 'missing'" predict --data data --model-dir run --output missing/predictions.h5
refused 64 "--epochs is not an option of this command" evaluate --data data --model-dir run --epochs 3

# What is no earlier predictions is never replaced: a folder, a folder's state file and lock, data, text, a pipe, a link.
mkfifo pipe
ln -s predictions.h5 link.h5
echo "notes" >notes.txt
cp run/ckpt-20.weights.h5 x.weights.h5.weights.h5
keep_tree
for target in empty run/checkpoint run/.ftmpi.lock data/t10k-images-idx3-ubyte notes.txt pipe link.h5 "a copy"; do
	refused_on 2 64 "--output $target: there is something else than earlier predictions" predict --data data --model-dir run --output "$target"
done
refused 64 "that is a checkpoint's name" predict --data data --model-dir run --output x.weights.h5.weights.h5

# What is in the file, by Python: shapes, types, classes = argmax, and the accuracy and loss that evaluate printed.
need_python h5py numpy
# shellcheck disable=SC2046
run_python predictions.py predictions.h5 data $(sed -E 's/^accuracy: ([0-9.]+) - loss: ([0-9.]+) .*/\1 \2/' runs/evaluated)
