# SPDX-License-Identifier: Apache-2.0
"""Saves and restores: ftmpi's by bench_checkpoint, which alternates with memcpy, raw writes and reads by itself, and the peers', which take turns."""
import json
import shutil
import statistics

import sections
from measure import Failed, Worker, ratios, run

PEERS = {"manager": ("tensorflow", "tf.train.CheckpointManager"), "backup": ("tensorflow", "Keras BackupAndRestore"),
         "torch_save": ("torch", "torch.save"), "torch_async": ("torch", "torch async_save")}
STATES = {"5 MB": "512", "600 MB": "4096,4096,4096,4096", "2 GB": "9216,9216,9216"}  # parameters and two slots
MEGABYTES = {"5 MB": "5", "600 MB": "600", "2 GB": "2000"}
# what bench_checkpoint measures: row, time, floor, whether the floor is above the line, target
OURS = (("stall of an asynchronous save / memcpy of the state", "stall_async", "memcpy", False, "<= 1.5"),
        ("stall of a synchronous save / memcpy of the state", "stall_sync", "memcpy", False, None),
        ("raw write + fsync / asynchronous save until durable", "durable_async", "raw_write", True, ">= 0.8"),
        ("raw write + fsync / synchronous save", "durable_sync", "raw_write", True, ">= 0.8"),
        ("raw read + broadcast / restore", "restore", "raw_read", True, ">= 0.7"))
# of the peers: what they say, what of ftmpi it is compared with
COMPARED = {"stall": "stall_async", "durable": "durable_async", "restore": "restore"}


def checkpoints(bench, report):
    bench.stop()  # what measured steps holds memory; it starts again when it is asked
    states = {"5 MB": STATES["5 MB"]} if bench.quick else {k: v for k, v in STATES.items() if k != "2 GB" or bench.large}
    found = ours(bench, report, states)
    for name in states:
        together = [[kind] for kind in PEERS] if name == "2 GB" else [list(PEERS)]  # as many as fit
        for kinds in together:
            need = 6 * len(kinds) * int(MEGABYTES[name]) << 20
            if sections.available_bytes() < need:
                report.missing("checkpoints", f"peers, state of {name}", f"left out: {need / 2**30:.1f} GiB of free memory are needed")
            else:
                peers(bench, report, name, kinds, found.get(name, {}))


def ours(bench, report, states):
    """bench_checkpoint's lines: {"bench": "checkpoint", "state_bytes", "stall_async_s": [a round's, …], …}, one a state, in order."""
    program, path = bench.programs / "bench_checkpoint", bench.scratch / "checkpoint.jsonl"
    folder = bench.scratch / "checkpoints"
    command = [*bench.mpirun(2), program, "--json", path, "--dir", folder, *(MEGABYTES[name] for name in states)]
    try:
        if not program.exists():
            raise Failed("bench_checkpoint is not built here")
        folder.mkdir()
        run(command, bench.env, 1200)
        lines = [line for line in map(json.loads, path.read_text().splitlines()) if line["bench"] == "checkpoint"]
    except (Failed, OSError, ValueError, KeyError) as error:
        for what, _, _, _, target in OURS:
            report.missing("checkpoints", what, error, target)
        return {}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    found = dict(zip(states, lines))
    for name, line in found.items():
        for what, sample, floor, floor_above, target in OURS:
            try:
                a, b = line[f"{sample}_s"], line[f"{floor}_s"]
                report.add("checkpoints", f"{what}: {name}, np 2", ratios(b, a) if floor_above else ratios(a, b), target, ours=a, theirs=b, unit="s",
                           theirs_name=floor, command=" ".join(map(str, command)))
            except KeyError as error:
                report.missing("checkpoints", f"{what}: {name}", f"bench_checkpoint does not say {error}", target)
    return found


def peers(bench, report, name, kinds, mine):
    workers, samples = {}, {}
    for kind in kinds:
        part, label = PEERS[kind]
        if not bench.has(part):
            report.missing("checkpoints", f"{label}, {name}", f"{part} is not installed")
            continue
        workers[kind] = Worker(label, [[bench.python, sections.PEERS / "checkpoint.py", kind, bench.scratch / "peers"]])
        samples[kind] = {"stall": [], "durable": [], "memcpy": [], "restore": []}
    for round_ in range(-1, 3 if bench.quick or name != "5 MB" else 7):
        for kind in list(workers):
            try:
                one_round(workers[kind], samples[kind], STATES[name], round_)
            except Failed as error:
                report.missing("checkpoints", f"{PEERS[kind][1]}, {name}", error)
                workers.pop(kind).stop()
                del samples[kind]
    for kind, found in samples.items():
        peer_rows(report, name, PEERS[kind][1], found, mine, workers[kind].command)
    for worker in workers.values():
        worker.stop()


def one_round(worker, samples, units, round_):
    """The first one warms up."""
    if round_ < 0:
        worker.ask(f"setup 0 {units}")
    save, restore = worker.ask("save 0", 300), worker.ask("restore 0", 300)
    if round_ >= 0:
        for key, value in save.items():
            samples[key].append(value)
        samples["restore"].append(restore["seconds"])


def peer_rows(report, name, label, found, mine, command):
    report.add("checkpoints", f"{label}: stall / memcpy of the state: {name}", ratios(found["stall"], found["memcpy"]), None, theirs=found["stall"], unit="s",
               command=command)
    for what, of_ours in COMPARED.items():
        ours_s = mine.get(f"{of_ours}_s")
        if ours_s:
            report.add("checkpoints", f"{label} / ftmpi, {what}: {name}", [t / statistics.median(ours_s) for t in found[what]], None, ours=ours_s, theirs=found[what],
                       unit="s", theirs_name=label, command=command)
        elif what != "stall":
            report.add("checkpoints", f"{label}: {what} / stall: {name}", ratios(found[what], found["stall"]), None, theirs=found[what], unit="s", command=command)
