#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: in_scratch.sh DIR COMMAND…: run a command in an empty directory; kept for a look when the command fails.
scratch=$1
shift
rm -rf "$scratch" && mkdir -p "$scratch" && cd "$scratch" || exit 1
"$@" </dev/null
code=$?
[ $code -eq 0 ] && cd / && rm -rf "$scratch"
exit $code
