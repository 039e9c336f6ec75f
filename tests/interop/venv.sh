#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tests/interop/venv.sh [FOLDER]
#
# Make a Python environment with real Keras (requirements.txt beside this script) in FOLDER, build/venv by default; nothing is done when it is
# there. About 320 MB are downloaded. Needs Python with venv (Debian: python3-venv) and pip's access to a package index.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=${1:-$top/build/venv}
requirements=$top/tests/interop/requirements.txt
complete=$folder/complete # a copy of the requirements, written last

if cmp -s "$requirements" "$complete"; then
	printf 'Nothing is missing.\n'
	exit
fi
rm -rf "$folder"
mkdir -p "$folder"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() { # PYTHON
	"$1" -m venv "$folder" &&
		"$folder/bin/pip" install --disable-pip-version-check --only-binary :all: --retries 1 --timeout 20 -r "$requirements" &&
		KERAS_BACKEND=tensorflow "$folder/bin/python" -c 'import keras'
}
if ! install python3 >"$log" 2>&1; then
	rm -rf "$folder"
	tail -n 5 "$log" >&2
	printf '%s: Keras could not be installed\n' "${0##*/}" >&2
	exit 1
fi
cp "$requirements" "$complete"
printf 'Installed: %s\n' "$folder"
