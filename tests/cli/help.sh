#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# --help and --version of each command: printed once, wherever it is asked for, narrow enough, and in agreement with README.md.
set -euo pipefail
# shellcheck source=cli.sh
. "$(dirname "$0")/cli.sh"

version=$(sed -n 's/.*FTMPI_VERSION "\(.*\)"/\1/p' "$FTMPI_SOURCE_DIR/include/ftmpi/version.h")
keep_tree

# The last run printed what runs/wanted holds and nothing else.
expect_wanted() {
	expect_success
	cmp runs/wanted "$last.out" || fail "other help than before"
	expect_tree_kept
}

# Help of a command, in every way to ask for it: kept in runs/NAME.help.
check_help() { # NAME USAGE COMMAND…
	local name=$1 usage=$2
	shift 2
	looks "$@" --help
	cp "$last.out" runs/wanted
	cp "$last.out" "runs/$name.help"
	expect_stdout "$usage"
	awk 'length > 120 { print; wide = 1 } END { exit wide }' "$last.out" || fail "a line is longer than 120 columns"
	! grep -n '[[:blank:]]$' "$last.out" || fail "a line ends with a blank"
	run "$@" -h
	expect_wanted
	run "$@" --data nowhere --help --bogus
	expect_wanted
	for np in 1 3; do
		run_ftmpi $np "$@" --help
		expect_wanted
	done
}

check_help overview "usage: mpirun -np N ftmpi [COMMAND] [OPTIONS]"
for command in train evaluate predict checkpoints; do
	expect_stdout_line "^  $command  "
done
expect_stdout "Exit codes: 0 done"
expect_stdout "A rank that hangs ends the job by SIGKILL"
check_help train "usage: mpirun -np N ftmpi train [OPTIONS]" train
check_help evaluate "usage: mpirun -np N ftmpi evaluate [OPTIONS]" evaluate
check_help predict "usage: mpirun -np N ftmpi predict [OPTIONS]" predict
check_help checkpoints "usage: ftmpi checkpoints COMMAND" checkpoints
for command in "list DIR" "show FILE|DIR" "verify FILE|DIR" "diff A B" "prune DIR --keep N"; do
	expect_stdout "  $command  "
done

for command in "" train evaluate predict checkpoints; do
	for option in --version -V; do
		# shellcheck disable=SC2086
		looks $command $option
		printf 'ftmpi %s\n' "$version" | cmp - "$last.out" || fail "not 'ftmpi $version'"
	done
	# shellcheck disable=SC2086
	run_ftmpi 3 $command --version
	expect_success
	printf 'ftmpi %s\n' "$version" | cmp - "$last.out" || fail "not 'ftmpi $version', once"
done
refused 64 "there is no command 'bogus'" bogus --help
refused 64 "there is no command 'help'" help

# README.md and the help name the same options.
options_in() { # FILE: names that begin a line of the help
	sed -nE 's/^  --([a-z0-9-]+)[ ,].*/\1/p' "$1"
}

readme=$FTMPI_SOURCE_DIR/README.md
table=$(sed -n '/^## Options/,/^## Checkpoints/p' "$readme" | grep '^|')
all=$(cat runs/*.help >runs/all && options_in runs/all | sort -u)
while read -r name; do
	grep -qx "$name" <<<"$all" || fail "--$name of README.md is not in the help"
done < <(grep -oE -- '--[a-z][a-z0-9-]*' <<<"$table" | sed 's/^--//; s/^no-//' | sort -u)
between=$(options_in runs/train.help | sed -n '/^beta-1$/,/^loss-reduction$/p')
quote='`'
[[ $table == *"${quote}--beta-1$quote … $quote--loss-reduction "* ]] || between=""
for name in $all; do
	case $name in
	save-checkpoints-secs) [[ $table != *"$quote-secs S$quote"* ]] || continue ;;
	save-checkpoints-epochs) [[ $table != *"$quote-epochs N$quote"* ]] || continue ;;
	esac
	grep -qx "$name" <<<"$between" || grep -qE "[ /$quote]--$name([ /$quote]|\$)" "$readme" || fail "--$name of the help is not in README.md"
done

# What the help gives as defaults is what a run without options has.
make_data data
good --data data --max-steps 1 --model-dir run
run checkpoints show run
while read -r name value; do
	[ "$value" != on ] || value=true
	case $name in
	data | epochs | model-dir) continue ;; # given, or not what counts with --max-steps
	esac
	expect_stdout_line "^  $name = ${value//[.*]/\\&}\$"
done < <(sed -nE 's/^  --([a-z0-9-]+).* \[([^] ]+)\]$/\1 \2/p' runs/train.help)
