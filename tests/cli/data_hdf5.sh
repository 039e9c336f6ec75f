#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Bad HDF5 data: each fault is one line that names the file, the array and what is wrong with it, and nothing is made.
set -euo pipefail
# shellcheck source=cli.sh
. "$(dirname "$0")/cli.sh"

need_python h5py numpy
mkdir files
run_python bad_hdf5.py files
head -c 3000 files/good.h5 >files/truncated.h5
head -c 4000 /dev/urandom >files/random.h5
: >files/empty.h5
{
	head -c 8 files/good.h5
	head -c 4000 /dev/zero | tr '\0' 'x'
} >files/garbage.h5
# Open MPI's MPI-IO makes and removes a file beside each one that it opens.
folder_times=false
keep_tree

bad() { # NAME TEXT [NP]
	if [ -n "${3:-}" ]; then
		refused_on "$3" 65 "files/$1.h5: $2" --data "files/$1.h5" --model-dir run "${small[@]}"
	else
		refused 65 "files/$1.h5: $2" --data "files/$1.h5" --model-dir run "${small[@]}"
	fi
}

refused 66 "nowhere.h5: No such file or directory" --data nowhere.h5 --model-dir run "${small[@]}"
bad empty "neither a folder with IDX files nor an HDF5 file"
bad random "neither a folder with IDX files nor an HDF5 file"
bad garbage ""
bad truncated ""
bad truncated "" 2

bad no_x_train "has no x_train; there must be x_train and y_train, and there may be x_test and y_test; it has: x_test, y_test, y_train"
bad no_y_train "has no y_train"
bad no_train "has no x_train"
bad no_x_test "has no x_test"
bad no_y_test "has no y_test"
bad nothing "has no x_train; there must be x_train and y_train, and there may be x_test and y_test; it has: nothing"
bad nothing "has no x_train" 2

bad scalar_x "x_train: has 0 dimensions"
bad rows_test "x_train: samples have shape 4x4, but those of files/rows_test.h5: x_test have 3x4"
bad type_test "x_train: inputs are 8-bit unsigned, but those of files/type_test.h5: x_test are not; store both alike"
bad one_hot "y_train: labels must have shape [n] or [n, 1]; this has 2 dimensions and 10 values for each sample"
bad few_labels "y_train: has 23 labels, but files/few_labels.h5: x_train has 24 samples"
bad few_labels "y_train: has 23 labels" 3
bad many_labels_test "y_test: has 10 labels, but files/many_labels_test.h5: x_test has 8 samples"
bad no_samples "x_train: holds no samples: dimension 0 is 0"
bad text_x "x_train: elements are neither integers nor floating-point numbers"
bad text_y "y_train: elements are neither integers nor floating-point numbers"
bad compound_y "y_train: elements are neither integers nor floating-point numbers"
bad complex_x "x_train: elements are neither integers nor floating-point numbers"
bad unwritten "x_train: holds no data: it was never written"
bad external "x_train: its data is in other files"
bad soft_link "x_train: is a soft or external link"
bad group "x_train: not a dataset"

bad label_10 "y_train: label 10 of sample 5 is outside 0 to 9; --classes, or the outputs of --model, set the number of classes"
bad label_10 "y_train: label 10 of sample 5 is outside 0 to 9; --classes, or the outputs of --model, set the number of classes" 3
bad label_minus_1 "y_train: label -1 of sample 5 is outside 0 to 9"
bad label_10_test "y_test: label 10 of sample 7 is outside 0 to 9"
bad label_half "y_train: label 2.5 of sample 5 is not a whole number"
bad label_nan "y_train: label nan of sample 5 is outside 0 to 9"
bad nan "x_train: input 11 of sample 17 is nan"
bad nan "x_train: input 11 of sample 17 is nan" 3
bad minus_inf "x_train: input 11 of sample 17 is -inf"
bad huge "x_train: input 0 of sample 0 is inf"

# The same file without a fault is fine, with labels up to 10 where --classes says so.
good --data files/good.h5 --model-dir run "${small[@]}"
good --data files/label_10.h5 --classes 11 --model-dir run11 "${small[@]}"
