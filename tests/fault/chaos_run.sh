# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Runs of ftmpi launch --chaos, and what they must come to.

# shellcheck source=../harness.sh
. "$(dirname "${BASH_SOURCE[0]}")/../harness.sh"

# A killed mpirun removes nothing; all that it leaves is here.
export TMPDIR=$scratch/tmp OMPI_MCA_btl_vader_backing_directory=$scratch/tmp
export FTMPI_RUN_LIMIT_S=${FTMPI_RUN_LIMIT_S:-600}
run_limit_s=$FTMPI_RUN_LIMIT_S

run_chaos() { # DIR SPEC STEPS [OPTION…]: SPEC without the reference, which is of so many steps
	local dir=$1 spec=$2 steps=$3
	shift 3
	rm -rf "$TMPDIR" "$dir"
	mkdir -p "$TMPDIR"
	run launch -np 4 --mpirun "$mpiexec" --backoff-secs 0.1 "$@" --chaos "$spec,reference=$scratch/reference$steps" -- \
		--data "$scratch/data" --batch-size 24 --hidden-units 256 --max-steps "$steps" --save-checkpoints-steps 200 --model-dir "$dir"
}

# A number of the last run's report: of a key, or of a kind of fault.
report_of() { # KEY
	local value
	value=$(sed -n 's/^chaos-report: .*"'"$1"'":\([^,}]*\)[,}].*/\1/p' "$last.out")
	echo "${value:-0}"
}

# The processes of this program on this test's folder, but for those that only are about to be waited for.
expect_nothing_runs() {
	local process
	for process in /proc/[0-9]*; do
		if grep -qszF -- "$scratch/data" "$process/cmdline" && grep -qsE '^State:	[^ZX]' "$process/status"; then
			fail "process ${process##*/} lives on: $(tr '\0' ' ' <"$process/cmdline")"
		fi
	done
}

# The last run came to its end by the faults of its plan alone, and to the bits of the uninterrupted run.
expect_survived() { # DIR
	expect_exit 0
	expect_stdout "chaos: the end is bit for bit that of the uninterrupted run"
	[ "$(report_of bits_equal)" = true ] || fail "the report does not say that the bits are equal"
	[ "$(report_of unexplained)" = 0 ] || fail "$(report_of unexplained) attempts ended without a fault"
	expect_no_stderr "ftmpi: error: gave up"
	[ -z "$(find "$1" -name '*.bad*' -o -name '*.suspect' -o -name '*.tmp*')" ] || fail "left behind: $(ls "$1")"
	expect_nothing_runs
}
