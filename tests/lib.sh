# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the test scripts share; they source it. CTest gives them an empty current directory and the FTMPI_… variables
# (cmake/FtmpiTesting.cmake).
set -euo pipefail

source_dir=${FTMPI_SOURCE_DIR:?run this through ctest}
build_dir=${FTMPI_BINARY_DIR:?run this through ctest}
jobs=$(nproc)

fail() {
	printf 'FAIL: %s\n' "$*" >&2
	exit 1
}

# A component is missing: a skip, but a failure where nothing may be missing (CI).
skip() {
	printf 'SKIP: %s\n' "$*"
	[ "${FTMPI_REQUIRE_ALL:-0}" != 1 ] || fail "FTMPI_REQUIRE_ALL is set: nothing may be skipped"
	exit 77
}

need() {
	local tool
	for tool in "$@"; do
		command -v "$tool" >/dev/null || skip "$tool is not installed"
	done
}

# Other versions of LLVM's tools format and warn otherwise.
need_llvm() { # TOOL: sets llvm_tool
	local version=14 said
	llvm_tool=$(command -v "$1-$version" || command -v "$1") || skip "$1 is not installed"
	said=$("$llvm_tool" --version)
	[[ $said == *"version $version."* ]] || skip "$1 is not version $version"
}

# Real Keras, from the environment that tests/run.sh makes, or another one in KERAS_VENV: sets keras_python.
need_keras() {
	local folder=${KERAS_VENV:-$source_dir/build/venv}
	[ -n "${KERAS_VENV:-}" ] || cmp -s "$source_dir/tests/interop/requirements.txt" "$folder/complete" ||
		skip "Keras is not installed: tests/interop/venv.sh does that, where pip works"
	keras_python=$folder/bin/python
	[ -x "$keras_python" ] || fail "there is no Python in $folder"
	export KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES='' PYTHONDONTWRITEBYTECODE=1
}

# The project's files whose path from its top matches a pattern.
project_files() { # PATTERN…
	local pattern conditions=()
	for pattern in "$@"; do conditions+=(-o -path "$pattern"); done
	(cd "$source_dir" && find .ci cmake include jobs src tests -type f \( "${conditions[@]:1}" \) | sort)
}

# A build of its own beside the build under test, kept from run to run.
build_preset() { # PRESET [CMAKE-OPTION…]: sets preset_dir
	local preset=$1
	shift
	preset_dir=$build_dir/$preset
	(cd "$source_dir" && cmake --preset "$preset" -B "$preset_dir" "$@") || fail "cmake --preset $preset"
	cmake --build "$preset_dir" -j "$jobs" || fail "build of preset $preset"
}

# From here on mpirun starts its ranks on these nodes, which name spaces of host names play on this machine.
on_nodes() { # NAME:SLOTS…
	unshare --uts true 2>/dev/null || skip "no right to have a host name of one's own"
	cat >on_node <<-'END'
		#!/bin/sh
		# HOST COMMAND…, as rsh
		host=$1
		shift
		exec unshare --uts sh -c "hostname $host && $*"
	END
	chmod +x on_node
	printf '%s\n' "$@" | sed 's/:/ slots=/' >hosts
	export OMPI_MCA_orte_default_hostfile=$PWD/hosts OMPI_MCA_plm_rsh_agent=$PWD/on_node OMPI_MCA_plm_rsh_no_tree_spawn=1
	export OMPI_MCA_oob_tcp_if_include=lo OMPI_MCA_btl_tcp_if_include=lo
}

on_one_node() {
	unset "${!OMPI_MCA_orte_default@}" "${!OMPI_MCA_plm_rsh@}" OMPI_MCA_oob_tcp_if_include OMPI_MCA_btl_tcp_if_include
}
