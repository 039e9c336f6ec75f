# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# A Slurm cluster on one machine, without systemd, out of everything else's way: munged, slurmctld, and a slurmd for each node. Tests source it.
#
# The whole test runs in name spaces of its own (enter_namespaces): a network that has only a loopback device, so ports and addresses are those
# of this cluster alone; a /run of its own, for sockets, whose paths must be short, and Slurm's state; and process numbers of its own, so that
# nothing is left when the test ends, however it ends: the kernel kills what is in there with the first process of it.
# Each node is once more in name spaces of its own: host name, processes, /dev/shm and the folder for temporary files. mpirun sees different
# hosts, which share no memory, and a node is lost in one blow with the first process of it.
#
#     need_cluster           skips where there cannot be one
#     enter_namespaces       runs the calling script again inside, from its beginning; there it does nothing
#     start_cluster          node1 … node4, all idle
#     start_node NODE        … after a loss
#     lose_node NODE         every process of it is gone at once
#     stop_cluster           stops the daemons and waits until nothing runs any more
#     cluster_log            the end of the daemons' logs
#
# patience_s, set before, is how long the daemons wait for one another: only a test that loses a node gives less than Slurm does by itself,
# since a loaded machine is slow to answer.
#
# Two partitions: main, in which jobs are requeued to make room for those in the partition high. A node offers four processors, whatever the machine has.

nodes=(node1 node2 node3 node4)
cluster=$PWD/cluster # the daemons' logs
slurm=/run/slurm

# What the clients, the jobs and Open MPI in them need, and nothing of a job in which the tests run. Open MPI would leave out a loopback device by itself.
unset "${!SLURM_@}" "${!SBATCH_@}"
export SLURM_CONF=$slurm/slurm.conf TMPDIR=/run/node
export OMPI_MCA_oob_tcp_if_include=lo OMPI_MCA_btl_tcp_if_include=lo

need_cluster() {
	need unshare ip munged slurmctld slurmd sbatch
	[ "$(id -u)" -eq 0 ] || skip "a cluster of one's own wants root"
	unshare --net --pid --fork --uts --ipc --mount --mount-proc true 2>/dev/null || skip "unshare may not make name spaces here"
}

enter_namespaces() {
	[ "${FTMPI_IN_CLUSTER:-}" != 1 ] || return 0
	FTMPI_IN_CLUSTER=1 exec unshare --net --pid --fork --kill-child --uts --mount --mount-proc "$0" "$@"
}

# 10.0.0.1 is the controller, 10.0.0.2 node1 and so on.
make_network() {
	local i
	hostname control
	ip link set lo up
	{
		echo "127.0.0.1 localhost"
		echo "10.0.0.1 control"
		for i in "${!nodes[@]}"; do echo "10.0.0.$((i + 2)) ${nodes[i]}"; done
	} >/run/hosts
	while read -r address _; do
		[ "$address" = 127.0.0.1 ] || ip address add "$address/32" dev lo
	done </run/hosts
	mount --bind /run/hosts /etc/hosts
}

# A requeued job waits until its credential has expired, 2 minutes by default. Each daemon takes connections on all addresses, therefore the ports.
write_configuration() {
	local n=${#nodes[@]}
	cat >"$SLURM_CONF" <<-CONF
		ClusterName=test
		SlurmctldHost=control(10.0.0.1)
		SlurmUser=root
		SlurmdUser=root
		AuthType=auth/munge
		CredType=cred/munge
		AuthInfo=cred_expire=5
		MpiDefault=pmix
		ProctrackType=proctrack/linuxproc
		TaskPlugin=task/none
		JobAcctGatherType=jobacct_gather/none
		MailProg=/bin/true

		StateSaveLocation=$slurm/control
		SlurmctldPidFile=$slurm/slurmctld.pid
		SlurmctldLogFile=$cluster/slurmctld.log
		SlurmctldDebug=verbose
		SlurmdSpoolDir=$slurm/%n
		SlurmdPidFile=$slurm/%n/slurmd.pid
		SlurmdLogFile=$cluster/%n.log
		SlurmdDebug=verbose
		TmpFS=$TMPDIR
		PlugStackConfig=$slurm/plugstack.conf

		SelectType=select/cons_tres
		SelectTypeParameters=CR_CPU
		SchedulerType=sched/backfill
		SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
		PreemptType=preempt/partition_prio
		PreemptMode=REQUEUE
		SlurmctldParameters=preempt_send_user_signal
		SlurmdParameters=config_overrides

		SlurmdTimeout=${patience_s:-300}
		MessageTimeout=${patience_s:-60}
		ReturnToService=2
		MinJobAge=3600

		NodeName=node[1-$n] NodeAddr=10.0.0.[2-$((n + 1))] Port=[7001-$((7000 + n))] CPUs=4 RealMemory=1000
		PartitionName=main Nodes=ALL Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=120
		PartitionName=high Nodes=ALL PriorityTier=2 PreemptMode=OFF
	CONF
}

start_cluster() {
	local node
	mount -t tmpfs tmpfs /run
	mkdir -p "$cluster" /run/munge "$slurm/control" "$TMPDIR"
	chmod 755 /run/munge
	: >"$slurm/plugstack.conf"
	make_network
	write_configuration
	(umask 077 && head -c 1024 /dev/urandom >/run/munge.key)
	munged --force --num-threads=2 --key-file=/run/munge.key --seed-file=/run/munge.seed --pid-file=/run/munge/munged.pid \
		--log-file="$cluster/munged.log"
	slurmctld
	for node in "${nodes[@]}"; do start_node "$node"; done
	until_true all_idle
}

all_idle() {
	[ "$(sinfo --noheader --partition=main --states=idle --format=%D)" = "${#nodes[@]}" ]
}

start_node() { # NODE
	mkdir -p "$slurm/$1"
	rm -f "$slurm/$1/init"
	# shellcheck disable=SC2016 # for the inner shell
	unshare --uts --ipc --pid --mount --fork --mount-proc bash -c '
		hostname "$1" && mount -t tmpfs tmpfs /dev/shm && mount -t tmpfs tmpfs "$TMPDIR" && slurmd -N "$1" || exit
		# The first process of the node: what is left without a parent becomes its child.
		while :; do sleep 1000; done' "$1" "$1" </dev/null >>"$cluster/$1.console" 2>&1 &
	until_true find_init "$1" "$!"
}

# The node's first process, by its number out here.
find_init() { # NODE UNSHARE
	local pid
	pid=$(children_of "$2") && [ -n "$pid" ] && echo "$pid" >"$slurm/$1/init"
}

lose_node() { # NODE
	kill -KILL "$(cat "$slurm/$1/init")"
	rm "$slurm/$1/init"
}

stop_cluster() {
	local file pid
	for file in "$slurm"/*/init "$slurm/slurmctld.pid" /run/munge/munged.pid; do
		[ -s "$file" ] || continue
		read -r pid <"$file"
		case $file in
		*/init) kill -KILL "$pid" || true ;;
		*) kill "$pid" || true ;;
		esac
		until_true is_gone "$pid"
	done
}

cluster_log() {
	squeue --states=all || true
	sinfo || true
	tail -n 40 "$cluster"/*
}
