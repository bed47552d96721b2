"""Chapters executed in processes of their own, watched, and tried again when a kernel never answers.

A Jupyter client and its kernel sometimes lose their first message when the machine is busy: the kernel
idles, the client waits, for ever.  The watchdog knows this state: a cell was sent, and the kernel did not
become busy with it, or is idle again without the cell being finished.  After ``patience_s`` it kills the
process and its kernel and starts fresh ones.  A busy kernel is never disturbed, except by the chapter's own
time limit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TextIO

from ferlib.config import DataError
from ferlib.lifeline import die_with_parent

POLL_S = 0.1
UNCUT = "--IPKernelApp.exec_lines=__import__('pandas').set_option('display.max_colwidth', None)"
"""Has a kernel show what a table holds whole; pandas cuts long texts, and nothing on a page brings them back."""


@dataclass(frozen=True)
class Limits:
    """How long to wait for a chapter, and how often to try it."""

    chapter_s: float = 1800.0  # time limit of one chapter
    patience_s: float = 30.0  # silence of a kernel before it counts as hanging
    attempts: int = 5  # fresh kernels before giving up
    kernel: tuple[str, ...] = (sys.executable, "-m", "ferlib.lifeline", UNCUT)  # command that starts a kernel


@dataclass(frozen=True)
class Task:
    """One chapter to execute: where it is read, where it is written, with what."""

    name: str
    notebook: Path
    output: Path
    log: Path
    parameters: dict[str, Any] = field(default_factory=dict)
    cwd: Path = field(default_factory=Path.cwd)
    env: dict[str, str] = field(default_factory=dict)


class ChapterError(DataError):
    """A chapter failed, took too long, or was never answered; the message names the cell and the log."""


@dataclass
class State:
    """What is known of a running chapter."""

    cell: int = 0
    of: int = 0
    waiting: bool = True  # for the kernel, or for the first sign of life
    since: float = field(default_factory=time.monotonic)  # start of that waiting
    failure: dict[str, Any] | None = None
    done: bool = False

    def take(self, event: dict[str, Any]) -> None:
        """Take in one event of :mod:`ferlib.book.execute`."""
        kind = event["event"]
        if kind in ("cell", "complete"):
            self.cell, self.of = event["cell"], event["of"]
        if kind == "failed":
            self.failure = event
        self.done = self.done or kind == "done"
        self.waiting = not (kind == "kernel" and event["state"] == "busy")
        self.since = time.monotonic()


class Execution:
    """A running chapter: :meth:`poll` until it returns True; :meth:`kill` ends it at any moment."""

    def __init__(self, task: Task, limits: Limits, say: Callable[[str], None]) -> None:
        self.task, self.limits, self.say = task, limits, say
        self.began = time.monotonic()
        self.attempt = 0
        self._start()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the chapter was first started, earlier attempts included."""
        return time.monotonic() - self.began

    def _start(self) -> None:
        self.attempt += 1
        self.state, self._rest = State(), b""
        work = self.task.output.parent
        work.mkdir(parents=True, exist_ok=True)
        self.task.log.parent.mkdir(parents=True, exist_ok=True)
        order = work / f"{self.task.name}.task.json"
        order.write_text(json.dumps(self._order()), encoding="utf-8")
        with self.task.log.open("ab" if self.attempt > 1 else "wb") as log:
            log.write(f"== {self.task.name}, attempt {self.attempt} ==\n".encode())
            log.flush()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ferlib.book.execute", str(order)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, cwd=self.task.cwd,
                env={**os.environ, **self.task.env}, start_new_session=True, preexec_fn=die_with_parent,
            )  # fmt: skip
        os.set_blocking(self._pipe().fileno(), False)

    def _order(self) -> dict[str, Any]:
        task = self.task
        paths = {"notebook": str(task.notebook), "output": str(task.output), "cwd": str(task.cwd)}
        return {**paths, "parameters": task.parameters, "kernel": list(self.limits.kernel)}

    def _pipe(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def poll(self) -> bool:
        """True when the chapter is executed, False while it runs.  Raises :class:`ChapterError`."""
        ended = self.process.poll() is not None  # asked before reading, so that no last event is missed
        self._read()
        state = self.state
        where = f"at cell {state.cell}/{state.of}"
        silent_s = time.monotonic() - state.since if state.waiting else 0.0
        if state.failure:
            self._give_up(f"failed {self._failure(state.failure)}")
        elif ended and not state.done:
            self._again(f"its process ended with code {self.process.returncode} {where}")
        elif self.elapsed_s > self.limits.chapter_s:
            self._give_up(f"took more than {self.limits.chapter_s:.0f} s and was stopped {where}.")
        elif silent_s > self._patience_s():
            self._again(f"the kernel did not answer for {silent_s:.0f} s {where}")
        return ended and state.done

    def _patience_s(self) -> float:
        starting = 4 if self.state.of == 0 else 1  # papermill and the kernel are still being loaded
        return self.limits.patience_s * self.attempt * starting

    def _read(self) -> None:
        chunk = self._pipe().read() or b""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"{"):
                self.state.take(json.loads(line))

    def _again(self, reason: str) -> None:
        self.kill()
        if self.attempt >= self.limits.attempts:
            self._give_up(f"was tried {self.attempt} times; the last time {reason}.")
        self.say(f"{self.task.name}: {reason}; trying again ({self.attempt + 1}/{self.limits.attempts})")
        self._start()

    def _give_up(self, reason: str) -> None:
        self.kill()
        raise ChapterError(f"Chapter {self.task.name} {reason} Log: {self.task.log}")

    def _failure(self, event: dict[str, Any]) -> str:
        where = f"at cell {event['cell']}/{self.state.of}"
        return f"{where}: {event['error']}: {event['message']}\n"

    def kill(self) -> None:
        """Kill the process of this chapter; its kernel and the kernel's workers die with it."""
        self.process.kill()
        self.process.wait()
        self._pipe().close()


class Terminal:
    """Progress for people: one line that is written over on a terminal, a line now and then in a file."""

    def __init__(self, stream: TextIO | None = None, every_s: float = 5.0) -> None:
        self.stream, self.every_s = stream or sys.stdout, every_s
        self.live = self.stream.isatty()
        self._shown, self._at, self._width = "", 0.0, 0

    def say(self, text: str) -> None:
        """A line that stays."""
        print(f"\r{text:<{self._width}}" if self._width else text, file=self.stream, flush=True)
        self._width = 0

    def progress(self, text: str) -> None:
        """A line that the next one replaces; in a file, at most one every ``every_s`` seconds."""
        now = time.monotonic()
        if text == self._shown or now - self._at < (0.2 if self.live else self.every_s):
            return
        self._shown, self._at = text, now
        if self.live:
            print(f"\r{text:<{self._width}}", end="", file=self.stream, flush=True)
            self._width = len(text)
        else:
            print(text, file=self.stream, flush=True)


def run(
    tasks: Iterable[Task], limits: Limits, terminal: Terminal, jobs: int = 1
) -> Iterator[tuple[Task, float]]:
    """Execute ``tasks``, at most ``jobs`` at a time; yields each with its seconds as it ends.

    Whatever ends the loop - an error, Ctrl-C - ends every chapter still running, and their kernels.
    """
    waiting, running = list(tasks), list[Execution]()
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(Execution(waiting.pop(0), limits, terminal.say))
            for execution in [e for e in running if e.poll()]:
                running.remove(execution)
                execution.kill()
                yield execution.task, execution.elapsed_s
            terminal.progress("  ".join(progress(e) for e in running))
            time.sleep(POLL_S)
    finally:
        for execution in running:
            execution.kill()


def progress(execution: Execution) -> str:
    """``"training: cell 7/40, 12 s"``."""
    state = execution.state
    where = f"cell {state.cell}/{state.of}" if state.of else "starting"
    return f"{execution.task.name}: {where}, {execution.elapsed_s:.0f} s"
