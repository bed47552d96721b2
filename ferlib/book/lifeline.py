"""A process that dies with its parent, so that no kernel outlives a killed build.

A build starts papermill, papermill starts a kernel, a kernel may start workers.  Each of them holds on to
its parent: when the parent is gone, for whatever reason, ``kill -9`` included, the child is killed too.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

PR_SET_PDEATHSIG = 1
"""Option of Linux's ``prctl(2)``: the signal that a process receives when its parent ends."""

POLL_S = 1.0
"""Where the system offers no such signal, how often a process looks for its parent, in seconds."""


def die_with_parent() -> None:
    """Have the calling process killed as soon as the process that started it ends."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # the parent ended between the two calls
            os.kill(os.getpid(), signal.SIGKILL)
        return
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def bind_family() -> None:
    """:func:`die_with_parent` for this process and for every process that it forks from now on."""
    die_with_parent()
    os.register_at_fork(after_in_child=die_with_parent)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_S)
    os.kill(os.getpid(), signal.SIGKILL)
