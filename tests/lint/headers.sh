#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: headers.sh LIBRARY: each public header compiles alone, as C11 and as C++17; each function it declares is in the shared library,
# and the library exports nothing that no public header names.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

library=$1
need gcc g++ clang clang++ nm

compile_alone() { # HEADER
	local command
	for command in "gcc -std=c11 -x c" "clang -std=c11 -x c" "g++ -std=c++17 -x c++" "clang++ -std=c++17 -x c++"; do
		# shellcheck disable=SC2086 # several words
		$command -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I"$source_dir/include" - <<<"#include <ftmpi/$1>
			extern int not_empty;" ||
			fail "<ftmpi/$1> does not compile alone with: $command"
	done
}

# Names of the functions that are declared with FTMPI_API, from the text between it and the next semicolon.
declared_functions() {
	cat "$source_dir"/include/ftmpi/*.h | grep -v '^#' | tr '\n\t' '  ' | sed 's/FTMPI_API/\n&/g' |
		sed -nE 's/^FTMPI_API [^;(]*[ *](ftmpi_[a-z0-9_]+)\(.*/\1/p' | sort -u
}

for header in "$source_dir"/include/ftmpi/*.h; do
	compile_alone "$(basename "$header")"
done
declared_functions >declared
[ -s declared ] || fail "no declarations found in the public headers"
nm --dynamic --defined-only "$library" | awk '{ print $NF }' | sort -u >exported
missing=$(comm -23 declared exported | tr '\n' ' ')
surplus=$(comm -13 declared exported | while read -r name; do
	grep -qw "$name" "$source_dir"/include/ftmpi/*.h || printf '%s ' "$name"
done)
[ -z "$missing" ] || fail "declared in a public header, but not in the library: $missing"
[ -z "$surplus" ] || fail "exported by the library, but in no public header: $surplus"
