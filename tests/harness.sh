# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Running the program in tests, and saying what must come out. A test script sources this file; CTest gives it an empty current directory
# and, beside what lib.sh wants, FTMPI_PROGRAM and FTMPI_MKDATA.
#
# Every run is kept under runs/: NNN.command, NNN.out, NNN.err. Expectations are about the last run; the first one that does not hold ends
# the test with what ran, what came out, and where it is kept.
#
#     make_data [PATH [OPTION…]]         a small data set: a folder, or an HDF5 file if PATH ends in .h5
#     run ARG…                           ftmpi ARG… without a launcher
#     run_ftmpi NP ARG…                  ftmpi ARG… under mpirun; FTMPI_FAULT=… and the like go before it
#     run_fault SPEC NP ARG…             … with these failpoints, each of which must fire
#     with_fault SPEC COMMAND…           any of these with failpoints, and with those in `armed` ("…;") that need not fire
#     with_armed SPEC COMMAND…           … with failpoints that need not fire, or not yet
#     start_ftmpi NP ARG…, wait_ftmpi    … in the background: sets mpirun_pid; rank_pid R prints the process of a rank
#     start_launch ARG…, wait_launch     ftmpi launch ARG… in the background: sets launch_pid; until_launched sets mpirun_pid
#     expect_exit CODE                   exact exit code of the last run
#     expect_stdout TEXT, expect_stderr TEXT, expect_no_stdout TEXT, expect_no_stderr TEXT
#     expect_one_error_line [TEXT]       one line 'ftmpi: error: …' on standard error, with TEXT in it
#     expect_warning TEXT                one line 'ftmpi: warning: …' with TEXT in it
#     expect_fired POINT ACTION [RANK]
#     expect_identical A B               two checkpoint files or folders have the same state
#     expect_different A B [VARIABLE…]   they have not, and these variables are among those that differ
#     digest_of PATH, printed_digest     state digest of a checkpoint; of the end of the last run
#     checksums DIR                      names and contents of a folder but for the lock file, to compare before and after
#     scalars DIR [FOLDER]               what a run's TensorBoard log in DIR/FOLDER says
#     until_true COMMAND…                wait for an event; fails after a while

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

program=${FTMPI_PROGRAM:?run this through ctest}
mkdata=${FTMPI_MKDATA:?run this through ctest}
mpiexec=${FTMPI_MPIEXEC:?run this through ctest}
run_limit_s=${FTMPI_RUN_LIMIT_S:-300} # a run that takes longer hangs
scratch=$PWD

n_runs=0
last=""          # runs/NNN of the last run
exit_code=""     # … and its exit code
reported=false
armed=""
mkdir -p runs

# When one rank is killed mpirun lets the others go on for this long before it kills them too. What survives has nothing left to do, so
# tests need not wait. Waiting ranks share the cores.
export OMPI_MCA_odls_base_sigkill_timeout=${OMPI_MCA_odls_base_sigkill_timeout-0}
export OMPI_MCA_mpi_yield_when_idle=1

report() {
	local line frame=1
	reported=true
	printf 'called from:' >&2
	while read -r -a line < <(caller "$frame"); do
		printf ' %s:%s' "${line[2]##*/}" "${line[0]}" >&2
		frame=$((frame + 1))
	done
	printf '\nlast run:    %s\nexit code:   %s\n' "$(cat "$last.command" 2>/dev/null)" "$exit_code" >&2
	[ -z "$last" ] || tail -n 60 "$last.out" "$last.err" >&2
	printf 'kept in:     %s (every run in runs/)\n' "$scratch" >&2
}

fail() {
	printf 'FAIL: %s\n' "$*" >&2
	report
	exit 1
}

on_exit() {
	local code=$?
	trap - EXIT
	jobs -pr | xargs -r kill
	if [ "$code" != 0 ] && [ "$code" != 77 ] && ! "$reported"; then
		printf 'FAIL: a command of the test ended with %d\n' "$code" >&2
		report
	fi
	exit "$code"
}
trap on_exit EXIT

make_data() {
	local path=${1:-data}
	[ $# -eq 0 ] || shift
	case $path in
	*.h5) set -- hdf5 "$path" "$@" ;;
	*) set -- idx "$path" "$@" ;;
	esac
	"$mkdata" --train 203 --test 61 --shape 8x8 "$@" || fail "mkdata $*"
}

# Name the next run.
begin_run() { # WORD…
	n_runs=$((n_runs + 1))
	last=$(printf '%s/runs/%03d' "$scratch" "$n_runs")
	exit_code=""
	printf '%s%s\n' "${FTMPI_FAULT:+FTMPI_FAULT=\"$FTMPI_FAULT\" }" "$*" >"$last.command"
	started_s=$SECONDS
}

# timeout's exit code is not enough: a run that it has to kill ends with 137, like one that a test kills.
check_time() {
	[ $((SECONDS - started_s)) -lt "$run_limit_s" ] || fail "the run did not end within $run_limit_s s"
}

run_command() { # WORD…
	begin_run "$@"
	exit_code=0
	timeout -k 10 "$run_limit_s" "$@" </dev/null >"$last.out" 2>"$last.err" || exit_code=$?
	check_time
}

run() {
	run_command "$program" "$@"
}

run_ftmpi() {
	local np=$1
	shift
	run_command "$mpiexec" -n "$np" "$program" "$@"
}

run_fault() {
	local spec=$1
	shift
	with_fault "$spec" run_ftmpi "$@"
}

with_fault() { # SPEC COMMAND…
	local spec=$1 fault point action
	shift
	FTMPI_FAULT=$armed$spec "$@"
	while IFS= read -r -d ';' fault; do
		point=${fault%%:*}
		action=${fault#*:}
		action=${action%%[,=]*}
		[[ $fault =~ ,rank=([0-9]+) ]] && expect_fired "$point" "$action" "${BASH_REMATCH[1]}" && continue
		expect_fired "$point" "$action"
	done <<<"$spec;"
}

with_armed() { # SPEC COMMAND…
	FTMPI_FAULT=$1 "${@:2}"
}

start_ftmpi() {
	local np=$1
	shift
	begin_run "$mpiexec" -n "$np" "$program" "$@"
	timeout --foreground -k 10 "$run_limit_s" "$mpiexec" -n "$np" "$program" "$@" </dev/null >"$last.out" 2>"$last.err" &
	timeout_pid=$!
	until_true find_mpirun
}

# timeout's only child, once it runs mpirun.
find_mpirun() {
	mpirun_pid=$(children_of "$timeout_pid") && [ -n "$mpirun_pid" ] && grep -qszFx -- "$program" "/proc/$mpirun_pid/cmdline"
}

# Processes may go while one looks at them, which grep calls an error.
children_of() { # PID
	local file files
	files=$(grep -lsx "PPid:	$1" /proc/[0-9]*/status) || true
	for file in $files; do
		file=${file#/proc/}
		echo "${file%/status}"
	done
}

find_rank() { # RANK: prints its process
	local pid
	for pid in $(children_of "$mpirun_pid"); do
		grep -qsz "^OMPI_COMM_WORLD_RANK=$1$" "/proc/$pid/environ" && echo "$pid" && return
	done
	return 1
}

rank_pid() { # RANK
	until_true find_rank "$1"
}

wait_ftmpi() {
	exit_code=0
	wait "$timeout_pid" || exit_code=$?
	check_time
}

start_launch() {
	begin_run "$program" launch "$@"
	timeout --foreground -k 10 "$run_limit_s" "$program" launch "$@" </dev/null >"$last.out" 2>"$last.err" &
	timeout_pid=$!
	until_true find_launch
}

# timeout's only child, once it runs the program.
find_launch() {
	launch_pid=$(children_of "$timeout_pid") && [ -n "$launch_pid" ] && grep -qszFx -- launch "/proc/$launch_pid/cmdline"
}

# Its child, once it is another than PID, that of an attempt before.
until_launched() { # [PID]
	until_true find_launched "${1:-}"
}

find_launched() {
	mpirun_pid=$(children_of "$launch_pid") && [[ $mpirun_pid =~ ^[0-9]+$ ]] && [ "$mpirun_pid" != "$1" ] &&
		grep -qszFx -- train "/proc/$mpirun_pid/cmdline"
}

wait_launch() {
	wait_ftmpi
}

until_true() {
	local deadline=$((SECONDS + 300)) # a machine may be slow
	until "$@"; do
		[ "$SECONDS" -lt "$deadline" ] || fail "waited in vain for: $*"
		sleep 0.01
	done
}

expect_exit() {
	[ "$exit_code" = "$1" ] || fail "exit code $exit_code where $1 was expected"
}

expect_stdout() {
	grep -qF -- "$1" "$last.out" || fail "not on standard output: $1"
}

expect_stderr() {
	grep -qF -- "$1" "$last.err" || fail "not on standard error: $1"
}

expect_no_stdout() {
	! grep -qF -- "$1" "$last.out" || fail "on standard output: $1"
}

expect_no_stderr() {
	! grep -qF -- "$1" "$last.err" || fail "on standard error: $1"
}

# Exactly one line begins so, and has the text in it.
expect_one_line() { # BEGIN TEXT
	[ "$(grep -c "^$1" "$last.err")" = 1 ] || fail "there is not exactly one line '$1…' on standard error"
	grep -qF -- "$2" <<<"$(grep "^$1" "$last.err")" || fail "the line '$1…' does not say: $2"
}

expect_one_error_line() {
	expect_one_line "ftmpi: error: " "${1:-}"
}

expect_warning() {
	expect_one_line "ftmpi: warning: " "$1"
}

expect_fired() {
	expect_stderr "ftmpi: failpoint $1 fired: $2 (rank ${3:-}"
}

expect_identical() {
	run checkpoints diff "$1" "$2"
	expect_exit 0
	expect_stdout "bit-identical"
}

expect_different() {
	local a=$1 b=$2 variable
	shift 2
	run checkpoints diff "$a" "$b"
	expect_exit 65
	expect_one_error_line "differ in"
	for variable in "$@"; do expect_stdout "$variable"; done
}

digest_of() {
	local text
	text=$("$program" checkpoints show "$1") || fail "checkpoints show $1"
	sed -n 's/^state digest: //p' <<<"$text"
}

printed_digest() {
	sed -n 's/^state digest: //p' "$last.out"
}

checksums() {
	(cd "$1" && find . -type f ! -name .ftmpi.lock -print0 | sort -z | xargs -0r sha256sum)
}

# Tag, step and value of what does not depend on the clock in TensorBoard's log of a run; DIR.all has everything. No tag has a step twice.
scalars() { # DIR [FOLDER in it]
	local twice
	python3 -B "$source_dir/tests/events/tfrecords.py" "$1${2:+/$2}" | sort >"$1.all" || fail "the events of $1 are not readable"
	twice=$(cut -f 1,2 "$1.all" | uniq -d)
	[ -z "$twice" ] || fail "doubled in the log of $1: $twice"
	grep -vE '^(global_step/sec|checkpoint_sec|restarts)	' "$1.all"
}
