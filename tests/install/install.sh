#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: install.sh COMPILER LIBDIR PROGRAM: install the shared build and a static one, move each elsewhere, and build and run a
# consumer on it through find_package and through pkg-config. LIBDIR and PROGRAM are relative to the prefix.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

export CC=$1
libdir=$2
program=$3
consumer=$source_dir/tests/install/consumer

install_to() { # BUILD-FOLDER PREFIX: through another prefix, since an installed tree may be moved
	cmake --install "$1" --prefix "$PWD/before" >install.log || fail "cmake --install: $(cat install.log)"
	mv before "$2"
}

run_consumer() { # PROGRAM
	local said
	said=$("$FTMPI_MPIEXEC" -n 2 "$1") || fail "$1 failed"
	[ "$said" = "consumer: 2 ranks" ] || fail "$1 printed: $said"
}

with_cmake() { # PREFIX [CMAKE-OPTION…]
	local prefix=$1
	shift
	cmake -S "$consumer" -B "with_cmake_$prefix" -DCMAKE_PREFIX_PATH="$PWD/$prefix" "$@" || fail "find_package with $prefix"
	cmake --build "with_cmake_$prefix" || fail "the consumer does not link with $prefix through find_package"
	run_consumer "with_cmake_$prefix/consumer"
}

with_pkg_config() { # PREFIX FLAGS-OF-PKG-CONFIG [LINKER-FLAG…]
	local prefix=$1 flags=$2 words
	shift 2
	words=$(PKG_CONFIG_PATH=$PWD/$prefix/$libdir/pkgconfig pkg-config --cflags --libs "$flags" ftmpi) || fail "pkg-config with $prefix"
	# shellcheck disable=SC2086 # words of a command line
	"$CC" -std=c11 -o "with_pkg_config_$prefix" "$consumer/consumer.c" "$@" $words ||
		fail "the consumer does not link with $prefix through pkg-config"
	run_consumer "./with_pkg_config_$prefix"
}

need "$CC" pkg-config
install_to "$build_dir" shared
with_cmake shared
with_pkg_config shared --print-errors "-Wl,-rpath,$PWD/shared/$libdir"
"shared/$program" --version || fail "the installed program does not run"

(cd "$source_dir" && cmake --preset release -B "$build_dir/static" -DBUILD_SHARED_LIBS=OFF -DFTMPI_TESTS=OFF) || fail "static: cmake"
cmake --build "$build_dir/static" -j "$jobs" || fail "static: build"
install_to "$build_dir/static" static
with_cmake static -DWHOLE=ON
with_pkg_config static --static
"static/$program" --version || fail "the installed static program does not run"
