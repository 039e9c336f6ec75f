#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tests/run.sh [--preset NAME] [--all] [CTEST-OPTION…]
#
# Install what the tests need (Debian), build, and run the tests; ends with 0 only if all pass.
#   --preset NAME   the build to test: release (default), debug, clang or asan
#   --all           the long ones too: clang's and the sanitizers' builds in full, every test program under valgrind
# Other options go to ctest: tests/run.sh -L unit, tests/run.sh -R exchange. FTMPI_REQUIRE_ALL=ON in the environment makes a test that
# lacks something on this machine fail instead of skip. Benchmarks run only when asked for: tests/run.sh -L bench.
set -euo pipefail

# shellcheck source=../jobs/lib.sh
. "$(dirname "$0")/../jobs/lib.sh"

test_packages=(dataset-fashion-mnist libcmocka-dev hdf5-tools python3 python3-venv python3-h5py python3-numpy clang libclang-rt-14-dev
	clang-tidy clang-format valgrind shellcheck slurm-wlm munge iproute2 e2fsprogs)

preset=release
skipped='bench|thorough'
options=()
while [ $# -gt 0 ]; do
	case $1 in
	--preset) preset=${2:?--preset wants a name} && shift ;;
	--all) skipped=bench ;;
	--help) sed -n '/^# usage/,/^set/s/^# \{0,1\}//p' "$0" && exit ;;
	*) options+=("$1") ;;
	esac
	shift
done
build_dir=$top/build
[ "$preset" = release ] || build_dir=$top/build/$preset
[[ " ${options[*]} " == *\ -L* ]] || options+=(-LE "$skipped")

heading "Packages"
install_packages "${build_packages[@]}" "${test_packages[@]}"
heading "Build (preset $preset)"
build "$preset" "$build_dir" -DFTMPI_TESTS=ON -DFTMPI_REQUIRE_ALL="${FTMPI_REQUIRE_ALL:-OFF}"
if [ -z "${KERAS_VENV:-}" ] && ctest --test-dir "$build_dir" --show-only "${options[@]}" | grep ': interop_' >/dev/null; then
	heading "Keras"
	"$top/tests/interop/venv.sh" || printf 'The tests with Keras are skipped, or fail where nothing may be missing.\n'
fi
heading "Tests"
# One more than there are cores: most of the time of a launch is waiting.
exec ctest --test-dir "$build_dir" --output-on-failure --no-tests=error -j "$(($(nproc) + 1))" "${options[@]}" </dev/null
