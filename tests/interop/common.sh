# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the tests with real Keras share beside the harness.

# shellcheck source=../harness.sh
. "$(dirname "${BASH_SOURCE[0]}")/../harness.sh"

interop_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# A Python script of this folder, which must end well.
run_keras() { # SCRIPT ARG…
	local script=$interop_dir/$1
	shift
	run_command "$keras_python" "$script" "$@"
	expect_exit 0
}
