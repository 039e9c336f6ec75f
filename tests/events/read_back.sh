#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: read_back.sh MKEVENTS tfrecords|tensorboard: the log of several launches as another reader sees it. FTMPI_INTEROP_PYTHON: the
# Python that has TensorBoard, where python3 has it not.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

python=python3
if [ "$2" = tensorboard ]; then
	python=${FTMPI_INTEROP_PYTHON:-python3}
	"$python" -c 'import tensorboard' 2>/dev/null || skip "$python has no tensorboard (pip install tensorboard)"
fi
need "$python"
"$python" -B "$source_dir/tests/events/read_back.py" "$1" "$2"
