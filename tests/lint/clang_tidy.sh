#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# clang-tidy, with the checks of .clang-tidy, on every C file that the clang preset compiles.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

need clang
need_llvm clang-tidy
database=$build_dir/clang
(cd "$source_dir" && cmake --preset clang -B "$database") >configure.log 2>&1 || fail "$(cat configure.log)"
cmake --build "$database" --target src/events/event.pb-c.h >generate.log 2>&1 || fail "$(cat generate.log)"
sed -n 's/^ *"file": "\(.*\)",\{0,1\}$/\1/p' "$database/compile_commands.json" | sort -u >files
[ -s files ] || fail "no C files in $database/compile_commands.json"
# One file a run: with several, clang-analyzer-valist takes the second file's va_start for none.
xargs -P "$jobs" -n 1 "$llvm_tool" --quiet -p "$database" <files >findings 2>/dev/null || {
	cat findings
	fail "clang-tidy has findings"
}
