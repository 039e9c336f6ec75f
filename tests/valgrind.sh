#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: mpirun -n N tests/valgrind.sh PROGRAM…: run each rank under valgrind's memcheck; exit code 99 when it found something. Also
# for -DFTMPI_TEST_WRAPPER=.
set -euo pipefail

if ! command -v valgrind >/dev/null; then
	echo "SKIP: valgrind is not installed"
	[ "${FTMPI_REQUIRE_ALL:-0}" = 1 ] || exit 77
	exit 1
fi

# valgrind (3.19) does not know AVX-512. The program's own kernels ask the processor; OpenBLAS is told.
export OPENBLAS_CORETYPE=${OPENBLAS_CORETYPE:-Haswell}
exec valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,indirect \
	--errors-for-leak-kinds=definite,indirect --num-callers=40 --keep-debuginfo=yes \
	--suppressions="$(dirname "$0")/valgrind.supp" "$@"
