# SPDX-License-Identifier: Apache-2.0
"""usage: check.py COMMAND…: what the benchmark rests on, without a clock: COMMAND (bench_serve under mpirun) answers each command of a driver, the
table of stored rows is the stored table, and the statistics are right on numbers made up for it."""
import io
import json
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "driver")]
import growth  # noqa: E402
import measure  # noqa: E402
import table  # noqa: E402


def check(condition, what):
    if not condition:
        sys.exit(f"FAIL: {what}")


def check_serve(command):
    worker = measure.Worker("bench_serve", [[*command, "idx"]])
    check(worker.ask("setup 3 16,8 32 2") == {"parameters": 784 * 16 + 16 + 16 * 8 + 8 + 8 * 10 + 10}, "parameters of 784-16-8-10")
    first = worker.ask("loss 3")
    step = worker.ask("step 3 3")
    check(step["seconds"] > 0 and {"data", "compute", "exchange", "optimizer"} < step.keys(), f"step: {step}")
    second = worker.ask("loss 3")
    check(second["digest"] != first["digest"], "three steps changed no parameter")
    floor = worker.ask("floor 3 2")
    check(floor["sgemm"] > 0 and abs(sum(floor[k] for k in ("sgemm", "optimizer", "exchange")) - floor["seconds"]) < 1e-7, f"floor: {floor}")
    check(worker.ask("loss 3") == second, "measuring the floor changed the trainer")
    check("OpenBLAS" in worker.ask("describe")["blas"], "the BLAS is not named")
    worker.ask("data data")
    check(Path("data").stat().st_size == 20480 * (784 + 1) * 4, "size of the data")
    worker.ask("setup 4 16,8 32 2 float32")
    float32 = worker.ask("loss 4")
    check(abs(float32["loss"] / first["loss"] - 1) < 1e-5, f"the IDX files hold other data: loss {first['loss']}, not {float32['loss']}")
    check(worker.ask("drop 3") == {}, "drop")
    try:
        worker.ask("step 3 1")
    except measure.Failed as error:
        check("nothing was set up in slot 3" in str(error), f"the reason is told: {error}")
    else:
        check(False, "a step in an empty slot")
    worker.stop()


def check_table():
    stored = (HERE / "sample.json").read_text()
    check(table.render(json.loads(stored)) == (HERE / "sample.md").read_text(), "the table of sample.json is not sample.md")
    done = subprocess.run([sys.executable, "-B", HERE / "table.py", HERE / "sample.json"], stdout=subprocess.PIPE, text=True, check=True)
    check(done.stdout == (HERE / "sample.md").read_text(), "table.py prints another table")


def check_statistics():
    check(measure.spread([4, 1, 3, 2, 5]) == {"median": 3, "q1": 2, "q3": 4, "n": 5}, "quartiles")
    check(measure.spread([7]) == {"median": 7, "q1": 7, "q3": 7, "n": 1}, "one sample")
    check([measure.met(1.25, t) for t in ("<= 1.25", ">= 1.3", "> 1.25", None)] == [True, False, False, None], "targets")
    alpha, beta = growth.fit_line([(b, 2e-5 + 3e-10 * b) for b in (1e3, 1e5, 1e7)])
    check(abs(alpha / 2e-5 - 1) < 1e-9 and abs(beta / 3e-10 - 1) < 1e-9, "alpha and beta of a straight line")
    report = measure.Report(lambda row: None)
    with redirect_stdout(io.StringIO()) as out:
        report.add("a", "b", [2, 4], "<= 2", ours=[1], note="")
        report.missing("a", "c", "why", ">= 1")
        print(table.line(report.rows[0]), table.line(report.rows[1]))
    check(report.rows[0]["met"] is False and report.rows[1]["note"] == "why" and "why" in out.getvalue(), f"rows: {report.rows}")


check_table()
check_statistics()
check_serve(sys.argv[1:])
