#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: jobs/quickstart.sh
#
# From a fresh Debian to a trained model: install what is missing, build, train on Fashion-MNIST with 4 ranks; then train once more,
# kill a rank, relaunch with another number of ranks, and compare the two runs bit by bit. Ends with 0 only if they are the same.
# Needs root or sudo only when a package is missing. Writes build/ and a temporary folder, which it removes.
set -euo pipefail

# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

if [ $# -gt 0 ]; then
	sed -n '/^# usage/,/^set/s/^# \{0,1\}//p' "$0"
	[ "$1" = --help ] || die "it takes no arguments, but was given: $*"
	exit
fi

ranks=4
ranks_after=2
options=(--epochs 2 --save-checkpoints-steps 500)
ftmpi=$top/build/bin/ftmpi
work=$(mktemp -d)
job=

clean_up() {
	if [ -n "$job" ]; then
		rank_pids | xargs -r kill -TERM 2>/dev/null || true
		wait "$job" || true
	fi
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

train() { # RANKS FOLDER
	mpirun -np "$1" "$ftmpi" train "${options[@]}" --model-dir "$work/$2" --progress "$progress" </dev/null
}

# The processes that run the program on our temporary folder: mpirun's ranks.
rank_pids() {
	local process
	for process in /proc/[0-9]*; do
		if [ "$(readlink "$process/exe")" = "$ftmpi" ] && grep -qaF "$work" "$process/cmdline"; then
			printf '%s\n' "${process##*/}"
		fi
	done 2>/dev/null
}

# Train in the background, and kill one rank once there is a checkpoint.
train_and_kill() { # RANKS FOLDER
	local victim code=0
	train "$1" "$2" >"$work/killed.log" 2>&1 &
	job=$!
	until compgen -G "$work/$2/*.weights.h5" >/dev/null; do
		kill -0 "$job" 2>/dev/null || die "the run ended before its first checkpoint: $(cat "$work/killed.log")"
		sleep 0.05
	done
	victim=$(rank_pids | shuf -n 1)
	[ -n "$victim" ] || die "the run ended before a rank could be killed"
	printf 'kill -9 %s (one of the %s ranks, chosen at random)\n' "$victim" "$1"
	kill -KILL "$victim"
	wait "$job" || code=$?
	job=
	[ "$code" -ne 0 ] || die "the run went on although a rank was killed"
	printf 'mpirun ended with exit code %s. In the folder now:\n' "$code"
	"$ftmpi" checkpoints list "$work/$2"
}

print_next_commands() {
	local mpirun=mpirun
	printf '\nIn %s, what to try next:\n' "$top"
	[ "$(id -u)" -ne 0 ] || printf '  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1   # you are root\n'
	[ "$ranks" -le "$(count_cores)" ] || mpirun='mpirun --oversubscribe'
	cat <<-TEXT
		  $mpirun -np $ranks build/bin/ftmpi --model-dir my-run   # 10 epochs; stop it with Ctrl-C, and give the same command again
		  build/bin/ftmpi evaluate --model-dir my-run
		  build/bin/ftmpi checkpoints list my-run
		  build/bin/ftmpi --help
		  bash tests/run.sh
	TEXT
}

progress=lines
[ ! -t 1 ] || progress=bar

heading "Packages"
install_packages "${build_packages[@]}" dataset-fashion-mnist

heading "Build, into build/"
build release "$top/build" -DFTMPI_TESTS=OFF

mpi_environment "$ranks"
heading "Train: mpirun -np $ranks ftmpi train ${options[*]}"
train "$ranks" whole

heading "Train once more, and kill a rank after the first checkpoint"
train_and_kill "$ranks" killed

heading "Relaunch with the same command, on $ranks_after ranks: mpirun -np $ranks_after ftmpi train ${options[*]}"
train "$ranks_after" killed

heading "Compare: ftmpi checkpoints diff"
"$ftmpi" checkpoints diff "$work/whole" "$work/killed" || die "the two runs differ"
printf 'The killed and relaunched run is bit-identical to the one that nothing happened to.\n'
print_next_commands
