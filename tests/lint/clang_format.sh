#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The C sources are formatted as .clang-format says.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

need_llvm clang-format
project_files '*.c' '*.h' >files
[ -s files ] || fail "no C files found"
wrong=$(cd "$source_dir" && while read -r file; do
	"$llvm_tool" --dry-run -Werror "$file" >/dev/null 2>&1 || printf '%s ' "$file"
done <"$OLDPWD/files")
[ -z "$wrong" ] || fail "run: clang-format -i $wrong"
