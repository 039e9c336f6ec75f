#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: tests/bench/peers/venv.sh [FOLDER]
#
# Make a Python environment with the peers of the benchmark in FOLDER, build/venv-bench by default; nothing is done for what is there. A peer that
# cannot be installed is left out, with one line that says so. TensorFlow and Keras are about 320 MB to download. PyTorch's wheel is 540 MB and loads
# only with the CUDA libraries that it is linked to, also where no GPU is: where the system lacks them they are installed too, some 2 GB more.
# Needs Python with venv (Debian: python3-venv) and pip's access to a package index.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${1:-$here/../../../build/venv-bench}
torch=torch==2.15.0
legacy_keras=tf-keras==2.21.0 # what MultiWorkerMirroredStrategy works with

log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() { # PIP-OPTION…
	"$folder/bin/pip" install --disable-pip-version-check --only-binary :all: --retries 1 --timeout 20 "$@" >>"$log" 2>&1
}

install_tensorflow() {
	install -r "$here/requirements.txt" && install --no-deps "$legacy_keras" && # it asks for tensorflow, which tensorflow-cpu is by another name
		KERAS_BACKEND=tensorflow "$folder/bin/python" -c 'import keras, tf_keras' >>"$log" 2>&1
}

install_torch() {
	install numpy==2.4.6 filelock typing-extensions sympy networkx jinja2 fsspec && install --no-deps "$torch" || return
	"$folder/bin/python" -c 'import torch' >>"$log" 2>&1 || install "$torch" && "$folder/bin/python" -c 'import torch' >>"$log" 2>&1
}

# Each part has a file that is written when it is complete, with what was installed.
part() { # NAME WHAT
	local complete=$folder/$1.complete
	[ "$(cat "$complete" 2>/dev/null)" != "$2" ] || return 0
	: >"$log"
	if "install_$1"; then
		printf '%s\n' "$2" >"$complete"
		printf 'Installed: %s\n' "$1"
	else
		tail -n 3 "$log" >&2
		printf '%s: %s could not be installed: it is left out\n' "${0##*/}" "$1"
	fi
}

if [ ! -x "$folder/bin/pip" ]; then
	rm -rf "$folder"
	python3 -m venv "$folder" >"$log" 2>&1 || {
		tail -n 3 "$log" >&2
		printf '%s: no Python environment can be made here: no peers\n' "${0##*/}"
		exit 0
	}
fi
part tensorflow "$(cat "$here/requirements.txt") $legacy_keras"
part torch "$torch"
