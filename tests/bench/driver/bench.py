# SPDX-License-Identifier: Apache-2.0
"""usage: bench.py --build FOLDER [--venv FOLDER] [--quick] [--large] [--only SECTION…] [--out FILE.json]: what run.sh runs, after it has set the machine up.

Measures section after section, prints a line as each row comes, and at the end the table; writes all rows and what the machine is to FILE.json.
"""
import argparse
import datetime
import json
import os
import platform
import re
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]
import checkpoints  # noqa: E402
import growth  # noqa: E402
import sections  # noqa: E402
import table  # noqa: E402
from measure import Failed, Report, Worker, free_port, run  # noqa: E402

SECTIONS = {
    **{name: lambda bench, report, name=name: sections.steps(bench, report, name) for name in sections.WORKLOADS},
    "bits": sections.bits,
    "elasticity": sections.elasticity,
    "exchange": sections.exchange,
    "saving": sections.saving,
    "memory": sections.memory,
    "checkpoints": checkpoints.checkpoints,
    "size": growth.model_size,
    "hosts": growth.over_links,
}
NOT_QUICK = ("MLP",)


class Bench:
    """What the sections share: programs, processes, and how long to measure."""

    def __init__(self, options, scratch):
        self.quick, self.large, self.scratch = options.quick, options.large, scratch
        self.round_s, self.n_rounds = (0.2, 5) if options.quick else (0.5, 9)
        self.build, self.programs = options.build, options.build / "tests" / "bench"
        self.program = options.build / "bin" / "ftmpi"
        self.python = options.venv / "bin" / "python" if options.venv else None
        self.env = {"OMPI_MCA_rmaps_base_oversubscribe": "1"}
        if os.geteuid() == 0:
            self.env.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        self.serves, self.peers, self.facts = {}, {}, {}
        self.data, self.idx = scratch / "data", scratch / "idx"

    def mpirun(self, np):
        """No binding: where rounds alternate, mpirun's choice of cores would be the same for every job."""
        return ["mpirun", "--bind-to", "none", "-np", str(np)]

    def serve(self, np):
        if np not in self.serves:
            self.serves[np] = Worker(f"ftmpi np {np}", [[*self.mpirun(np), self.programs / "bench_serve", self.idx]], self.env)
        return self.serves[np]

    def has(self, part):
        return self.python is not None and (self.python.parents[1] / f"{part}.complete").exists()

    def add_peer(self, key, part, script, size):
        if not self.has(part):
            self.peers[key] = f"{part} is not installed"
            return
        port = free_port()
        commands = [[self.python, sections.PEERS / script, self.data, *([rank, size, port] if size > 1 or part == "torch" else [])] for rank in range(size)]
        self.peers[key] = Worker(f"{key[0]} np {size}", commands)

    def add_peers(self):
        self.serve(1).ask(f"data {self.data}")
        self.add_peer(("torch", 1), "torch", "torch_ddp.py", 1)
        self.add_peer(("torch", 2), "torch", "torch_ddp.py", 2)
        self.add_peer(("keras", 1), "tensorflow", "keras_fit.py", 1)
        self.add_peer(("mirrored", 2), "tensorflow", "keras_fit.py", 2)

    def stop(self):
        for worker in [*self.serves.values(), *self.peers.values()]:
            if isinstance(worker, Worker):
                worker.stop()


def first_line(*command):
    try:
        return run(command).splitlines()[0]
    except (Failed, IndexError):
        return None


def machine(bench):
    """What the figures depend on."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = int(re.search(r"MemTotal: +(\d+)", file.read()).group(1)) << 10
    packages = "import importlib.metadata as m\nfor p in ('torch','tensorflow-cpu','keras','tf-keras','numpy'):\n  try: print(p, m.version(p))\n  except m.PackageNotFoundError: pass"
    return {
        "cpu": model.group(1) if model else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": memory,
        "kernel": platform.release(),
        "load_at_start": os.getloadavg()[0],
        "gcc": first_line("gcc", "--version"),
        "mpi": first_line("mpirun", "--version"),
        "ftmpi": first_line(bench.program, "--version"),
        "blas": bench.serve(1).ask("describe")["blas"],
        "peers": run([bench.python, "-c", packages]).splitlines() if bench.python else [],
        "environment": {k: v for k, v in os.environ.items() if k.startswith(("OPENBLAS_", "OMP_", "MKL_"))},
    }


def parse():
    parser = argparse.ArgumentParser(prog="run.sh", description="The benchmark: ftmpi, its floor and its peers, alternately.")
    parser.add_argument("--build", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--venv", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, without the MLP and large states: less than 4 minutes")
    parser.add_argument("--large", action="store_true", help="checkpoints of 2 GB too: about 12 GB of memory and of disk")
    parser.add_argument("--blas-core", metavar="NAME", help="kernels for ftmpi's BLAS (OPENBLAS_CORETYPE), whatever the environment says; default: the BLAS chooses, as "
                        "the peers' do")
    parser.add_argument("--only", nargs="+", choices=[*SECTIONS], metavar="SECTION", help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--out", type=Path, help="where the JSON goes; default: BUILD/bench.json")
    parser.add_argument("--parse-only", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.out and (options.out.is_dir() or not options.out.absolute().parent.is_dir()):
        parser.error(f"argument --out: '{options.out}' is not a file in a folder that is there")
    options.command = " ".join(["tests/bench/run.sh", *sys.argv[5 if "--venv" in sys.argv else 3 :]])
    options.out = options.out or options.build / "bench.json"
    if options.venv and not (options.venv / "bin" / "python").exists():
        options.venv = None
    return options


def measure(bench, report, options, result):
    for name, section in SECTIONS.items():
        if name not in options.only if options.only else options.quick and name in NOT_QUICK:
            continue
        begin = time.monotonic()
        try:
            section(bench, report)
        except Failed as error:
            report.missing(name, name, error)
        result["seconds"][name] = round(time.monotonic() - begin, 1)
        write(options.out, result)
        print(f"    {name}: {result['seconds'][name]:.0f} s", flush=True)


def write(path, result):
    """After each section, so that a run that is interrupted leaves what it has; without this machine's paths."""
    top = Path(__file__).resolve().parents[3]
    path.write_text(json.dumps(result, indent=1).replace(f"{top}/", "") + "\n")


def main():
    options = parse()
    if options.parse_only:
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through every `finally`
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(name, None)
    if options.blas_core:
        os.environ["OPENBLAS_CORETYPE"] = options.blas_core
    options.build.mkdir(exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="bench.", dir=options.build))
    bench = Bench(options, scratch)
    report = Report(lambda row: print(table.line(row), flush=True))
    result = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "command": options.command, "seconds": {},
              "rows": report.rows}
    try:
        result["machine"] = machine(bench)
        bench.add_peers()
        measure(bench, report, options, result)
    finally:
        bench.stop()
        shutil.rmtree(scratch, ignore_errors=True)
    print("\n" + table.render(result))
    print(f"Written: {options.out}")


main()
