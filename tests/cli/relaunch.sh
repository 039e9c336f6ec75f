#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a relaunch compares beside its options: the test data, the numeric environment of every rank.
set -euo pipefail
# shellcheck source=cli.sh
. "$(dirname "$0")/cli.sh"

make_data data
make_data other --seed 99
train=(--data data --model-dir run "${small[@]}")
run_ftmpi 2 "${train[@]}"
expect_exit 0

# Other test data would mix two kinds of validation results in one history.
cp other/t10k-* data/
keep_tree
run_ftmpi 2 "${train[@]}" --epochs 3
expect_refusal 64 "--data data is not the data of this run: the digest of its test data was"
make_data again
cp again/t10k-* data/

# Ranks on unlike machines: the second one takes other BLAS kernels. --strict ends all ranks, not only the one that knows.
unlike() {
	run_command "$mpiexec" -n 1 "$program" "$@" : -n 1 -x OPENBLAS_CORETYPE=Nehalem "$program" "$@"
}
# Whether this machine's BLAS has such other kernels is seen from runs of their own, not from what is tested here.
blas_of() { # FOLDER
	"$program" checkpoints show "$1" | sed -n 's/^  blas = //p'
}
run_command env OPENBLAS_CORETYPE=Nehalem "$program" --data data --model-dir other_kernels "${small[@]}"
expect_exit 0
[ "$(blas_of run)" != "$(blas_of other_kernels)" ] || skip "this machine's BLAS has one kind of kernels"
keep_tree
unlike "${train[@]}" --epochs 3 --strict
expect_refusal 64 "--strict: not bit-exact because blas on the chief is"
unlike "${train[@]}" --epochs 3
expect_exit 0
expect_warning "rank 1: not bit-exact because blas on the chief is"

# That it was so once is not forgotten: what later checkpoints hold is not what one machine would have given.
run_command env OPENBLAS_CORETYPE=Nehalem "$program" "${train[@]}" --epochs 4
expect_exit 0
expect_warning "not bit-exact because blas was"
run_ftmpi 2 "${train[@]}" --epochs 5
expect_exit 0
run_ftmpi 2 "${train[@]}" --epochs 6 --strict
expect_exit 64
expect_one_error_line "--strict: not bit-exact because blas was"
