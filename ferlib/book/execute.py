"""One chapter executed by papermill, in its own process: the child's side of :mod:`ferlib.book.runner`.

``python -m ferlib.book.execute TASK.json`` reads ``{notebook, output, parameters, kernel, cwd}``, and tells
its progress on standard output, one JSON object a line:

``{"event": "cell", "cell": 3, "of": 40}``      a cell is sent to the kernel
``{"event": "kernel", "state": "busy"}``        the kernel is ``busy`` with this cell, or ``idle`` again
``{"event": "complete", "cell": 3, "of": 40}``  the cell is finished
``{"event": "failed", ...}``                    a cell raised: its number, error and message
``{"event": "done"}``                           the executed notebook is written

What the cells print, and the traceback of one that raised, goes to standard error, that is, to the chapter's log.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from nbclient.exceptions import DeadKernelError
from papermill import execute_notebook
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines
from papermill.exceptions import PapermillExecutionError

from ferlib.book.render import COLOURS
from ferlib.lifeline import die_with_parent

KERNEL = "ferlib-chapter"
"""Name of the kernel specification that this module writes for itself."""


def tell(**event: Any) -> None:
    """Write one event line for the watching process."""
    print(json.dumps(event), file=sys.__stdout__, flush=True)


class Client(PapermillNotebookClient):
    """papermill's client, telling each cell and each change of the kernel's state."""

    def process_message(self, msg: dict, *rest: Any, **options: Any) -> Any:
        """Tell ``busy`` and ``idle``; everything else is papermill's."""
        if msg["msg_type"] == "status":
            tell(event="kernel", state=msg["content"]["execution_state"])
        return super().process_message(msg, *rest, **options)


class Engine(NBClientEngine):
    """papermill's engine with :class:`Client` in it."""

    cell = 0

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: NotebookExecutionManager, kernel_name: str, log_output: bool = False, **options: Any
    ) -> None:
        """Execute cell after cell.  ``options`` are papermill's; a cell may take as long as it likes."""
        cells = len(nb_man.nb.cells)
        start, complete = nb_man.cell_start, nb_man.cell_complete

        def started(cell: Any, cell_index: int, **rest: Any) -> None:
            start(cell, cell_index, **rest)
            cls.cell = cell_index + 1
            tell(event="cell", cell=cell_index + 1, of=cells)

        def completed(cell: Any, cell_index: int, **rest: Any) -> None:
            complete(cell, cell_index, **rest)
            tell(event="complete", cell=cell_index + 1, of=cells)

        nb_man.cell_start, nb_man.cell_complete = started, completed
        # All is written when the last cell has ended, and a kernel that is asked to leave takes its time.
        settings = {"timeout": None, "startup_timeout": 120, "shutdown_kernel": "immediate"}
        Client(nb_man, kernel_name=kernel_name, log_output=log_output, **settings).execute()


def write_kernel_spec(folder: Path, command: list[str]) -> None:
    """Describe the kernel ``command`` under ``folder``, and have Jupyter look there first.

    The ``python3`` of a user's own Jupyter folders may belong to another environment; this one never does.
    """
    spec = folder / "kernels" / KERNEL
    spec.mkdir(parents=True)
    argv = [*command, "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"})
    )
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [str(folder), os.environ.get("JUPYTER_PATH")]))


def execute(task: dict[str, Any]) -> int:
    """Execute ``task`` and tell how it went.  Returns the exit code: 0 done, 1 a cell failed."""
    try:
        execute_notebook(
            task["notebook"], task["output"], task["parameters"], engine_name="ferlib", kernel_name=KERNEL,
            cwd=task["cwd"], progress_bar=False, log_output=True, autosave_cell_every=0,
        )  # fmt: skip
    except PapermillExecutionError as error:
        print(COLOURS.sub("", "\n".join(error.traceback)), file=sys.stderr)
        tell(event="failed", cell=error.cell_index + 1, error=error.ename, message=error.evalue)
        return 1
    except DeadKernelError:
        tell(event="failed", cell=Engine.cell, error="DeadKernelError", message="the kernel died")
        return 1
    tell(event="done")
    return 0


def main() -> int:
    """Read the task file named on the command line and execute it."""
    die_with_parent()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    papermill_engines.register("ferlib", Engine)
    with tempfile.TemporaryDirectory(prefix="ferlib-kernel-") as folder:
        write_kernel_spec(Path(folder), task["kernel"])
        return execute(task)


if __name__ == "__main__":
    sys.exit(main())
