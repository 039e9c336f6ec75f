#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: kill_node.sh NODE
#
# A node is lost with all that runs on it. The job is requeued, by Slurm itself if it was the one on which the script ran (node1), by the script
# if not, and goes on on the nodes that are left.
set -euo pipefail
# shellcheck disable=SC2034 # for the cluster
patience_s=15
# shellcheck source=jobs.sh
. "$(dirname "$0")/jobs.sh"

submit run
until_saved run 200
expect_log run " on node[1-4], from step 0"
let_end
lose_node "$1"
until_state "$job" COMPLETED
case $1 in
node1) expect_log run " on node[2-4], from step " ;;
node3)
	expect_log run "mpirun ended with 205"
	expect_log run "train.sbatch: requeued"
	expect_log run " on node[1-2,4], from step "
	;;
esac
expect_launches run 2
expect_restarts "$job" 1
expect_same_bits run
