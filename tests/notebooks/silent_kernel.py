"""A kernel that never answers its first cell, the first ``$SILENT_STARTS`` times that it is started.

It starts, shakes hands, and then loses every request to execute: what a busy machine does to a kernel now and
then.  ``$SILENT_COUNT`` names the file that counts the starts.
"""

import os
from pathlib import Path

from ferlib.lifeline import guard_group

guard_group()

from ipykernel.ipkernel import IPythonKernel  # noqa: E402
from ipykernel.kernelapp import IPKernelApp  # noqa: E402

answering = IPythonKernel.dispatch_shell


async def deaf_to_cells(self, msg, /, *rest, **options):
    """Lose requests to execute, answer everything else."""
    if not any(b'"execute_request"' in bytes(frame.buffer) for frame in msg):
        await answering(self, msg, *rest, **options)


count = Path(os.environ["SILENT_COUNT"])
starts = int(count.read_text()) + 1 if count.exists() else 1
count.write_text(str(starts))
if starts <= int(os.environ["SILENT_STARTS"]):
    IPythonKernel.dispatch_shell = deaf_to_cells
IPKernelApp.launch_instance()
