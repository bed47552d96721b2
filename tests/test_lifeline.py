"""Processes that follow another one to its end."""

import signal
import subprocess
import sys

FOLLOWER = (
    "import sys, time; from ferlib.lifeline import die_with; die_with(int(sys.argv[1])); time.sleep(120)"
)


def test_a_worker_ends_with_the_process_it_works_for_though_that_is_not_its_parent():
    owner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    worker = subprocess.Popen([sys.executable, "-c", FOLLOWER, str(owner.pid)])
    try:
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        assert worker.wait(timeout=30) == -signal.SIGKILL
    finally:
        worker.kill()
