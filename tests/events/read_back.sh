#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: read_back.sh MKEVENTS tfrecords|tensorboard: the log of several launches as another reader sees it.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

python=python3
if [ "$2" = tensorboard ]; then
	need_keras # its environment has TensorBoard too
	python=$keras_python
fi
need "$python"
"$python" -B "$source_dir/tests/events/read_back.py" "$1" "$2"
