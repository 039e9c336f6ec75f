#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: estimator.sh PROGRAM NP. The guide's story of tf.estimator: interrupted in the sixth step, restored from model.ckpt-6, trained to step 10.
set -euo pipefail
# shellcheck source=../harness.sh
. "$(dirname "$0")/../harness.sh"
example=$1 np=$2

files_of() { # DIR
	find "$1" -name 'model.ckpt-*.weights.h5' | sed 's/.*model\.ckpt-//; s/\.weights\.h5$//' | sort -n | tr '\n' ' '
}

run_command "$mpiexec" -n "$np" "$example" model interrupt
[ "$exit_code" != 0 ] || fail "the interruption is not an error"
expect_one_error_line "Interruption"
for step in 0 1 2 3 4 5 6; do
	expect_stdout "Calling checkpoint listeners before saving checkpoint $step..."
	expect_stdout "Saving checkpoints for $step into model/model.ckpt."
	expect_stdout "Calling checkpoint listeners after saving checkpoint $step..."
done
expect_no_stdout "Saving checkpoints for 7 "
expect_no_stdout "Loss for final step"
[ "$(files_of model)" = "2 3 4 5 6 " ] || fail "left: $(files_of model)"
# A sum over the batch of 50: about 50 · ln 10.
grep -Eq '^loss = 1[0-9][0-9]\.[0-9]+, step = 0$' "$last.out" || fail "the first loss is not a sum over the batch"

run_command "$mpiexec" -n "$np" "$example" model
expect_exit 0
expect_stdout "Restoring parameters from model/model.ckpt-6"
expect_stdout "Saving checkpoints for 6 into model/model.ckpt."
grep -Eq '^loss = [0-9.]+, step = 6$' "$last.out" || fail "it does not go on with step 6"
grep -Eq '^Loss for final step: [0-9.]+\.$' "$last.out" || fail "no final loss"
[ "$(files_of model)" = "6 7 8 9 10 " ] || fail "left: $(files_of model)"

# Launched a third time there is nothing to do, and nothing is touched.
before=$(checksums model)
run_command "$mpiexec" -n "$np" "$example" model
expect_exit 0
expect_stdout "Skipping training since max_steps has already saved."
[ "$(checksums model)" = "$before" ] || fail "a finished model was touched"

# Without the interruption the same weights come out.
run_command "$mpiexec" -n "$np" "$example" whole
expect_exit 0
expect_identical model whole
