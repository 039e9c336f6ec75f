# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the tests of the command line share beside the harness: refusals that touch nothing, commands that only look, Python.

# shellcheck source=../harness.sh
. "$(dirname "${BASH_SOURCE[0]}")/../harness.sh"

export PYTHONDONTWRITEBYTECODE=1 # the source tree stays as it is
cli_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# The program's own variables must not come from the caller's environment.
for name in "${!FTMPI_@}"; do
	case $name in
	FTMPI_SOURCE_DIR | FTMPI_BINARY_DIR | FTMPI_MPIEXEC | FTMPI_PROGRAM | FTMPI_MKDATA | FTMPI_REQUIRE_ALL | FTMPI_RUN_LIMIT_S) ;;
	*) unset "$name" ;;
	esac
done

# A model that trains in no time.
# shellcheck disable=SC2034 # for the tests
small=(--hidden-units 8 --epochs 2)

# Everything in the scratch directory but the records of the runs: kind, mode, owner, size, time of change, content. The lock file is
# written to by whoever takes the lock, so its time does not count.
folder_times=true # a file that came and went changes its folder's time
tree() {
	local times=%T@
	"$folder_times" || times=-
	find . -path ./runs -prune -o \( -type d -printf "%P %y %m %U $times\n" -o \
		-name .ftmpi.lock -printf '%P %y %m %U %s\n' -o -printf '%P %y %m %U %s %T@ %l\n' \) | sort
	find . -path ./runs -prune -o -type f -print0 | sort -z | xargs -0r sha256sum
}

# From now on nothing may change …
keep_tree() {
	tree >runs/tree
}

# … and nothing has.
expect_tree_kept() {
	tree | diff runs/tree - >runs/tree.diff || fail "files were changed or made: $(cat runs/tree.diff)"
}

expect_silent() {
	[ ! -s "$last.out" ] || fail "there is something on standard output"
}

# The last run ended with CODE and one line that has TEXT in it, said nothing else and left everything as it was.
expect_refusal() { # CODE TEXT
	expect_exit "$1"
	expect_one_error_line "$2"
	expect_silent
	expect_tree_kept
}

refused() { # CODE TEXT ARG…
	local code=$1 text=$2
	shift 2
	run "$@"
	expect_refusal "$code" "$text"
}

refused_on() { # NP CODE TEXT ARG…
	local np=$1 code=$2 text=$3
	shift 3
	run_ftmpi "$np" "$@"
	expect_refusal "$code" "$text"
}

# The last run ended well and without a word on standard error.
expect_success() {
	expect_exit 0
	[ ! -s "$last.err" ] || fail "there is something on standard error"
}

# A run that must succeed.
good() { # ARG…
	run "$@"
	expect_success
}

# A command whose output cannot be written says so, and does not end with 0.
expect_loss_noticed() { # ARG…
	# shellcheck disable=SC2016
	run_command sh -c '"$@" >/dev/full' sh "$program" "$@"
	expect_exit 74
	expect_one_error_line "cannot write to standard output"
}

# A command that only looks: it succeeds and changes nothing.
looks() { # ARG…
	good "$@"
	expect_tree_kept
}

expect_stdout_line() { # REGULAR-EXPRESSION
	grep -qE -- "$1" "$last.out" || fail "no line on standard output matches: $1"
}

# Bytes of a file, over what is there.
patch_bytes() { # FILE OFFSET HEX…
	local file=$1 offset=$2
	shift 2
	# shellcheck disable=SC2059
	printf "$(printf '\\x%s' "$@")" | dd of="$file" bs=1 seek="$offset" conv=notrunc status=none
}

# Python with what the scripts here import: sets python.
need_python() { # MODULE…
	local module modules=("$@")
	for python in /usr/bin/python3 python3; do
		command -v "$python" >/dev/null && "$python" -c "$(printf 'import %s\n' "${modules[@]}")" 2>/dev/null && return
	done
	for module in "$@"; do
		python3 -c "import $module" 2>/dev/null || skip "Python's $module is not installed"
	done
	skip "no Python has all of: $*"
}

run_python() { # SCRIPT ARG…
	local script=$cli_dir/$1
	shift
	run_command "$python" "$script" "$@"
	expect_exit 0
}
