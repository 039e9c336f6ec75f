#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: places.sh nodes|no_room PROGRAM…: the programs' tests pass with the ranks spread over nodes, evenly and not, so that memory is shared
# within a node and messages go between nodes; and on a node that has no memory to share.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

mpiexec=${FTMPI_MPIEXEC:?run this through ctest}

nodes() {
	while IFS='|' read -r nodes mapping; do
		# shellcheck disable=SC2086
		on_nodes $nodes
		export OMPI_MCA_rmaps_base_mapping_policy=$mapping
		np=$(tr ' ' '\n' <<<"$nodes" | awk -F: '{n += $2} END {print n}')
		for program in "$@"; do
			printf '%s on %s by %s\n' "${program##*/}" "$nodes" "$mapping"
			folder=${nodes//[: ]/-}-$mapping-${program##*/}
			mkdir "$folder"
			timeout 600 "$mpiexec" -np "$np" -wdir "$PWD/$folder" "$program" </dev/null || fail "${program##*/} on $nodes by $mapping"
		done
	done <<-END
		one:1 two:1|slot
		one:2 two:2|slot
		one:2 two:1|node
	END
}

# The ranks see a /dev/shm that is smaller than what they want to share, and say so.
no_room() {
	unshare --mount true 2>/dev/null || skip "no right to mount"
	cat >in_little_room <<-'END'
		#!/bin/sh
		exec unshare --mount sh -c 'mount -t tmpfs -o size=1m tmpfs /dev/shm && exec "$@"' sh "$@"
	END
	chmod +x in_little_room
	mkdir segments
	export OMPI_MCA_btl_vader_backing_directory=$PWD/segments
	for program in "$@"; do
		timeout 300 "$mpiexec" -np 3 ./in_little_room "$program" >log 2>&1 || fail "${program##*/} without room: $(cat log)"
		grep -q "exchange gradients by messages, which is slower: /dev/shm has" log || fail "nothing about the room: $(cat log)"
	done
}

"$@"
