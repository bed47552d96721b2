"""Processes that die with their parent, so that nothing outlives a killed build.

A build starts papermill, papermill starts a kernel, a kernel starts workers.  When one of them is gone, for
whatever reason, ``kill -9`` included, those that it started are killed too.

``python -m ferlib.lifeline -f CONNECTION_FILE`` is IPython's kernel, guarded in this way.
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


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_S)
    os.kill(os.getpid(), signal.SIGKILL)


def die_with(owner: int) -> None:
    """Have the calling process killed soon after the process ``owner`` ends, be it its parent or not.

    For the workers of a pool whose parent is a fork server: killed, the owner could not tell them.
    """
    threading.Thread(target=_watch_process, args=(owner,), daemon=True).start()


def _watch_process(owner: int) -> None:
    while True:
        try:
            os.kill(owner, 0)  # asks whether it is there, and sends nothing
        except ProcessLookupError:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(POLL_S)


def guard_group() -> None:
    """Lead a process group, and have the whole of it killed when the calling process ends.

    A small guard, forked off here, waits for the end of a pipe that this process alone holds open.  So the
    workers of any library are caught, however it starts them.
    """
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    ears, mouth = os.pipe()
    if os.fork() == 0:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.close(mouth)
        os.read(ears, 1)  # returns when nobody holds the other end
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os.close(ears)
    os.register_at_fork(after_in_child=lambda: os.close(mouth))


def main() -> None:
    """Guard this process, then serve as an IPython kernel until told to stop."""
    die_with_parent()
    guard_group()
    from ipykernel import kernelapp

    kernelapp.launch_new_instance()


if __name__ == "__main__":
    main()
