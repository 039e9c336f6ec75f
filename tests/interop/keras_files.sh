#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: keras_files.sh KERAS_TOOL: files that Keras made are read bit for bit, and files that ftmpi made are Keras's.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

need_keras
run_keras keras_files.py "$1"
cat "$last.out"
