# SPDX-License-Identifier: Apache-2.0
"""Programs that take turns in measuring, and the statistics of what they say.

A Worker is one or more processes that read a command a line and answer with a line of JSON (bench_serve.c, peers/serve.py); while it is not its turn it
blocks, so that the others have the machine. Errors of a worker are kept: its rows say why they are missing.
"""
import json
import os
import re
import selectors
import shlex
import signal
import socket
import statistics
import subprocess
import tempfile
import time

LEAST_ROUNDS = 3


class Failed(Exception):
    """A worker or a command did not do what it was asked; the text says why."""


def free_port():
    """First of a few ports that were free a moment ago."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return min(s.getsockname()[1], 65000)


class Worker:
    def __init__(self, name, commands, env=None):
        """commands: one a process. The answers of the first one count, but none may fail."""
        self.name, self.commands, self.env = name, commands, env
        self.processes, self.error, self.log = [], None, None

    @property
    def command(self):
        """As text, for the reader who wants to run it by hand."""
        return "; ".join(shlex.join(map(str, c)) for c in self.commands)

    def start(self):
        self.log = tempfile.TemporaryFile()
        for command in self.commands:
            self.processes.append(
                subprocess.Popen(
                    [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
                    env={**os.environ, **(self.env or {})}, start_new_session=True))

    def ask(self, text, timeout=180):
        """The first process's answer. Raises Failed, at once after the first failure."""
        if self.error is None and not self.processes:
            self.start()
        if self.error is not None:
            raise Failed(self.error)
        try:
            for process in self.processes:
                process.stdin.write(text + "\n")
                process.stdin.flush()
            answers = [json.loads(self.read(process, timeout)) for process in self.processes]
        except (OSError, ValueError, Failed) as error:
            self.fail(f"{self.name}: {text.split()[0]}: {error or type(error).__name__}; {self.last_words()}")
            raise Failed(self.error) from error
        for answer in answers:
            if "error" in answer:
                raise Failed(f"{self.name}: {text.split()[0]}: {answer['error']}")
        return answers[0]

    @staticmethod
    def read(process, timeout):
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(timeout):
                raise Failed(f"no answer within {timeout} s")
        line = process.stdout.readline()
        if not line:
            raise Failed("it ended")
        return line

    def last_words(self):
        self.log.seek(0, os.SEEK_END)
        self.log.seek(max(0, self.log.tell() - 2000))
        lines = [l.strip() for l in self.log.read().decode(errors="replace").splitlines() if re.search(r"\w", l)]
        telling = [l for l in lines if re.match(r"[\w.]+: \S", l)]  # "program: why", "SomeError: why"; not mpirun's box below it
        return ([*lines[-1:], *telling] or ["it said nothing"])[-1][:200]

    def fail(self, why):
        self.error = why
        self.stop()

    def stop(self):
        """End of input first, then signals to the processes' own groups."""
        for process in self.processes:
            try:
                process.stdin.close()
            except OSError:
                pass
        for process in self.processes:
            end(process, 10)
        self.processes = []


def run(command, env=None, timeout=600):
    """Standard output of a command, of which nothing is left running. Raises Failed with its last words."""
    words = [str(word) for word in command]
    try:
        with subprocess.Popen(words, env={**os.environ, **(env or {})}, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, start_new_session=True) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            finally:
                end(process, 0)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{shlex.join(words)}: not done within {timeout} s") from error
    except OSError as error:
        raise Failed(str(error)) from error
    if process.returncode != 0:
        last = (err.strip() or out.strip() or "it said nothing").splitlines()[-1]
        raise Failed(f"{os.path.basename(words[0])} ended with {process.returncode}: {last[:300]}")
    return out


def end(process, patience_s):
    """Wait; then ask the process's own group to end; then make it."""
    for wait_s, kind in ((patience_s, signal.SIGTERM), (5, signal.SIGKILL), (None, None)):
        try:
            process.wait(wait_s)
            return
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, kind)


def seconds_of(command, env=None, timeout=600):
    begin = time.perf_counter()
    run(command, env, timeout)
    return time.perf_counter() - begin


def spread(values):
    """Median, quartiles and number of samples."""
    values = sorted(values)
    quarters = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return {"median": statistics.median(values), "q1": quarters[0], "q3": quarters[2], "n": len(values)}


def ratios(over, under):
    """Round by round, so that what disturbed a whole round cancels."""
    return [a / b for a, b in zip(over, under)]


def met(value, target):
    """Whether a ratio reaches a target such as "<= 1.25"; None without one."""
    if target is None:
        return None
    sign, limit = target.split()
    return {"<=": value <= float(limit), ">=": value >= float(limit), ">": value > float(limit)}[sign]


class Report:
    """The rows, in the order in which they came."""

    def __init__(self, on_row):
        self.rows, self.on_row = [], on_row

    def add(self, section, what, ratio, target=None, **more):
        """ratio: the samples. more: ours, theirs (samples, in `unit`), their names, command, note."""
        row = {"section": section, "what": what, "ratio": spread(ratio), "target": target}
        row["met"] = met(row["ratio"]["median"], target)
        for key, value in more.items():
            row[key] = spread(value) if key in ("ours", "theirs") else value
        self.rows.append(row)
        self.on_row(row)

    def missing(self, section, what, why, target=None):
        self.rows.append({"section": section, "what": what, "ratio": None, "target": target, "met": None, "note": str(why)})
        self.on_row(self.rows[-1])


class Turns:
    """Rounds in which each participant measures in turn: (key, worker, command, slot). Those that fail are dropped, with the reason."""

    def __init__(self, round_s, n_rounds, max_steps=20000):
        self.round_s, self.n_rounds, self.max_steps = round_s, n_rounds, max_steps
        self.participants, self.samples, self.why = [], {}, {}

    def add(self, key, worker, slot, setup=None, command="step"):
        try:
            if setup is not None:
                worker.ask(f"setup {slot} {setup}")
            once = worker.ask(f"{command} {slot} 1")["seconds"]  # first-time costs
            few = max(1, min(50, int(0.2 * self.round_s / once)))
            steps = self.round_s / max(1e-6, worker.ask(f"{command} {slot} {few}")["seconds"])
            self.participants.append((key, worker, f"{command} {slot} {max(1, min(self.max_steps, round(steps)))}"))
            self.samples[key] = []
        except Failed as error:
            self.why[key] = str(error)

    def go(self):
        """One that fails drops out. Where rounds take much longer than they should, on a machine with other work, there are fewer, three at least."""
        end_s = time.monotonic() + max(60, 2.5 * self.n_rounds * self.round_s * len(self.participants))
        for i in range(self.n_rounds):
            if i >= LEAST_ROUNDS and time.monotonic() > end_s:
                break
            for participant in list(self.participants):
                key, worker, text = participant
                try:
                    self.samples[key].append(worker.ask(text))
                except Failed as error:
                    self.why[key] = str(error)
                    self.participants.remove(participant)
                    del self.samples[key]

    def of(self, key, field="seconds"):
        if key in self.why:
            raise Failed(self.why[key])
        return [sample[field] for sample in self.samples[key]]
