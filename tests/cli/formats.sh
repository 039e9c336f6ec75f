#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The same numbers train to the same bits, whatever file they are in.
set -euo pipefail
# shellcheck source=cli.sh
. "$(dirname "$0")/cli.sh"

train=(--hidden-units 8 --epochs 2 --logical-workers 3)
scale=0.0039215686274509803 # 1/255

make_data idx
good --data idx --model-dir reference "${train[@]}"
digest=$(printed_digest)

# Inputs of files with floating-point numbers are already multiplied by 1/255, as ftmpi does it with 8-bit ones.
check_format() { # PATH [MKDATA-OPTION…] [-- OPTION…]
	local path=$1 options=()
	shift
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	make_data "$path" "${options[@]}"
	good --data "$path" --model-dir "run of $path" "${train[@]}" "${@:2}"
	[ "$(printed_digest)" = "$digest" ] || fail "$path has other bits"
	expect_identical reference "run of $path"
}

check_format idx_gzip --gzip
check_format idx_f32 --dtype f32
check_format idx_i16 --dtype i16 -- --input-scale $scale
check_format u8.h5
check_format u8_gzip.h5 --gzip
check_format f32.h5 --dtype f32
check_format f32_gzip.h5 --dtype f32 --gzip
check_format f64.h5 --dtype f64
check_format i32.h5 --dtype i32 -- --input-scale $scale
check_format scaled.h5 -- --input-scale $scale

# Over several ranks, each of which reads a part of an HDF5 file; and a relaunch from another format.
run_ftmpi 3 --data u8_gzip.h5 --model-dir three "${train[@]}"
expect_success
expect_identical reference three
run_ftmpi 2 --data f32_gzip.h5 --model-dir two "${train[@]}"
expect_success
expect_identical reference two
run evaluate --data idx --model-dir three
expect_success
cp "$last.out" runs/evaluated
for data in idx_gzip u8.h5 f32.h5; do
	run_ftmpi 2 evaluate --data $data --model-dir three
	expect_success
	cmp runs/evaluated "$last.out" || fail "$data is evaluated otherwise"
done

# Other numbers are noticed.
make_data other.h5 --seed 2
run --data other.h5 --model-dir reference "${train[@]}"
expect_exit 64
expect_one_error_line "--data other.h5 is not the data of this run"
