#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The layers' arrows point down only: each file includes what its layer may include, each library's header only where that library
# belongs, and nothing below the program ends the process.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

# layer: the layers and the libraries' headers that it may include
declare -A allowed=(
	[base]="base xxhash.h Random123"
	[dist]="base dist mpi.h"
	[data]="base dist data hdf5.h zlib.h"
	[nn]="base nn cblas.h"
	[ckpt]="base dist ckpt hdf5.h"
	[events]="base events protobuf-c isa-l.h"
	[keras]="base nn ckpt keras jansson.h zip.h zlib.h"
	[train]="base dist data nn ckpt events train"
	[app]="base dist data nn ckpt events keras train app mpi.h"
)
# layer: its public headers
declare -A headers=(
	[base]="export failpoint hash keyvalue log memory rng slice status version"
	[dist]="comm exchange watchdog"
	[data]="dataset order"
	[nn]="compile loss model optimizer"
	[ckpt]="checkpoint manager reader registry store"
	[events]="events"
	[keras]="keras"
	[train]="batches callback callbacks display estimator evaluator learner preemption rollback saver trainer"
	[app]="ftmpi"
)
libraries='^((mpi|hdf5.*|H5.*|cblas.*|openblas_config|xxhash|zlib|isa-l|jansson|zip)\.h|(Random123|protobuf-c)/.*)$'
failures=0

declare -A layer_of # of a public header's name
for layer in "${!headers[@]}"; do
	for name in ${headers[$layer]}; do layer_of[$name]=$layer; done
done

complain() {
	printf '%s\n' "$*"
	failures=$((failures + 1))
}

# What must be allowed for an #include "…" or <…>: a layer, a library's header or folder, or nothing (the C library).
needed() { # INCLUDED, with its quotes: sets needs
	local name=${1:1:-1}
	needs=
	if [[ $name == ftmpi/*.h ]]; then
		name=${name#ftmpi/}
		needs=${layer_of[${name%.h}]:-unknown}
	elif [[ $1 == \"* ]]; then
		needs=${name%%/*}
	elif [[ $name =~ $libraries ]]; then
		needs=${name%%/*}
	fi
}

check_includes() { # FILE LAYER
	local included
	if [ -z "${allowed[${2:-none}]:-}" ]; then
		complain "$1: name its layer in tests/lint/layers.sh"
		return
	fi
	while read -r included; do
		needed "$included"
		[[ " ${allowed[$2]} " == *" $needs "* ]] || [ -z "$needs" ] || complain "$1: layer $2 may not include $included"
		if [[ $1 == include/* && $included != '<ftmpi/'* && -n $needs ]]; then
			complain "$1: a public header may include only <ftmpi/…> and the C library's headers, not $included"
		fi
	done < <(sed -nE 's/^[ \t]*#[ \t]*include[ \t]+([<"][^>"]+[>"]).*/\1/p' "$source_dir/$1")
	if [ "$2" = app ] && grep -Eq '#[ \t]*include[ \t]+"(base|dist|data|nn|ckpt|events|keras|train)/' "$source_dir/$1"; then
		complain "$1: the program includes the library's public headers only"
	fi
}

# Comments are stripped first. The failpoints kill their process on purpose.
check_exits() { # FILE
	local calls
	calls=$(cc -w -fpreprocessed -dD -E -P -x c "$source_dir/$1" |
		grep -E '(^|[^[:alnum:]_])(exit|abort|_exit|_Exit|quick_exit|MPI_Abort) *\(' || true)
	[ -z "$calls" ] || [ "$1" = src/base/failpoint.c ] || complain "$1: ends the process: ${calls%%$'\n'*}"
}

need cc
while read -r file; do
	name=${file##*/}
	check_includes "$file" "${layer_of[${name%.h}]:-}"
done < <(project_files 'include/*.h')
while read -r file; do
	layer=${file#src/}
	layer=${layer%%/*}
	check_includes "$file" "$layer"
	[ "$layer" = app ] || check_exits "$file"
done < <(project_files 'src/*.[ch]')
[ "$failures" -eq 0 ] || fail "$failures findings"
