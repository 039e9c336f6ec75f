#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tests/bench/run.sh [--quick] [--large] [--only SECTION…] [--blas-core NAME] [--out FILE.json]
#
# The benchmark: sets the machine up, measures ftmpi, its floor and its peers alternately, prints one table with ratios first, and writes all rows as
# JSON (build/bench.json by default; tests/bench/table.py makes the table of it again). `--help` lists the sections. About 20 minutes, with --quick 4;
# the first time some more for the peers (PyTorch, TensorFlow, Keras), which are installed in build/venv-bench where pip works and left out elsewhere.
# Leave the machine alone meanwhile: rounds alternate, so a disturbance hits all alike, but it makes the spread wide.
set -euo pipefail

# shellcheck source=../../jobs/lib.sh
. "$(dirname "$0")/../../jobs/lib.sh"

bench_packages=(dataset-fashion-mnist libcmocka-dev python3 python3-venv iproute2)
venv=$top/build/venv-bench

driver=(python3 -B "$top/tests/bench/driver/bench.py" --build "$top/build" --venv "$venv")
if [[ " $* " != *" --help "* && " $* " != *" -h "* ]]; then
	if command -v python3 >/dev/null; then # a wrong option is told before anything is installed
		"${driver[@]}" "$@" --parse-only
	fi
	heading "Packages"
	install_packages "${build_packages[@]}" "${bench_packages[@]}"
	heading "Build (preset release)"
	build release "$top/build" -DFTMPI_TESTS=ON
	heading "Peers"
	"$top/tests/bench/peers/venv.sh" "$venv"
	heading "Benchmark"
fi
exec "${driver[@]}" "$@"
