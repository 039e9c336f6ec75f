#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: versions.sh VERSION PROGRAM: what names a version names the project's, and each source file its licence.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

version=$1
cd "$source_dir"

said=$(sed -nE 's/^## \[?([0-9]+\.[0-9]+\.[0-9]+).*/\1/p' CHANGELOG.md | head -n 1)
[ "$said" = "$version" ] || fail "CHANGELOG.md's newest version is '$said', version.h's $version"
said=$("$2" --version | head -n 1)
[[ " $said " == *" $version "* ]] || fail "ftmpi --version says '$said', version.h $version"

minimum=$(sed -nE 's/^cmake_minimum_required\(VERSION ([0-9.]+)\)/\1/p' CMakeLists.txt)
grep -q "\"major\": ${minimum%.*}, \"minor\": ${minimum#*.}," CMakePresets.json || fail "CMakePresets.json wants another CMake than $minimum"
grep -q "^cmake_minimum=$minimum$" jobs/lib.sh || fail "jobs/lib.sh wants another CMake than $minimum"

missing=$(project_files '*.c' '*.h' '*.sh' '*.py' '*.proto' '*CMakeLists.txt' '*.cmake' '.ci/run' |
	xargs grep -L 'SPDX-License-Identifier: Apache-2.0' || true)
[ -z "$missing" ] || fail "no licence line in: ${missing//$'\n'/ }"
grep -q 'Apache License' LICENSE || fail "LICENSE is not the Apache License"
