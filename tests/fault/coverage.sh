#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every failpoint of the header, with each of its actions, is in a fault test: as point:action, which run_fault makes fire, so that nothing but
# run_fault and the tables that it gets may name them.
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

header=$FTMPI_SOURCE_DIR/include/ftmpi/failpoint.h
tests=$FTMPI_SOURCE_DIR/tests/fault

# "point action…" of each row of the list, which may go over two lines.
rows=$(sed -n '/define FTMPI_FAILPOINT_LIST/,/^$/p' "$header" | tr -d '\n\\\t' | sed 's/X(/\n/g' | sed -n 's/^[A-Z_]*, "\([a-z.-]*\)", \([^,]*\),.*/\1 \2/p')
[ "$(wc -l <<<"$rows")" = "$(grep -oE 'X\([A-Z_]+, "' "$header" | wc -l)" ] || fail "the list in $header was not understood"
[ "$(wc -l <<<"$rows")" -ge 26 ] || fail "only $(wc -l <<<"$rows") failpoints in $header"

used=$(sed 's/[[:space:]]*#.*//' "$tests"/*.sh | grep -oE '[a-z]+\.[a-z-]+:[a-z]+' | sort -u)
missing=""
while read -r point flags; do
	for action in kill $(grep -oE 'FTMPI_FAULT_[A-Z]+' <<<"$flags" | sed 's/FTMPI_FAULT_//' | tr '[:upper:]' '[:lower:]'); do
		grep -qxF "$point:$action" <<<"$used" || missing+=" $point:$action"
	done
done <<<"$rows"
[ -z "$missing" ] || fail "no fault test uses$missing"
if grep -n 'FTMPI_FAULT''=' "$tests"/*.sh; then
	fail "a test sets FTMPI_FAULT by itself: use run_fault, which checks that it fires"
fi
