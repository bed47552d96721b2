"""What a run runs on: devices and precision through Lightning Fabric, threads, memory."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from ferlib.config import check_name

DEVICES = ("auto", "cpu", "cuda")
_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -3, -1  # of glibc's malloc.h


def fabric(device: str = "auto") -> Any:
    """A Lightning ``Fabric`` on ``device``: one device, or under ``torchrun`` all that it started.

    bf16 mixed precision on a GPU that has it, float32 otherwise: on a CPU without bf16 units it is emulated
    and 100 times slower.
    """
    check_name("device", device, DEVICES)
    from lightning.fabric import Fabric  # takes seconds to import

    on_gpu = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    torch.backends.cudnn.benchmark = on_gpu  # batches have one or two sizes: worth the search
    world, local = (int(os.environ.get(name, 1)) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    chosen = Fabric(
        accelerator="cuda" if on_gpu else "cpu",
        devices=local,
        num_nodes=max(1, world // local),
        strategy="ddp" if world > 1 else "auto",
        precision="bf16-mixed" if on_gpu and torch.cuda.is_bf16_supported() else "32-true",
    )
    chosen.launch()
    return chosen


@contextlib.contextmanager
def settled(threads: int) -> Iterator[None]:
    """Fix the number of threads and keep freed memory; give the caller's threads and random state back.

    One and two threads add in another order and give other weights; the same number gives the same.
    """
    before = torch.get_num_threads()
    keep_freed_memory()
    with torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else []):
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def keep_freed_memory() -> bool:
    """Let glibc reuse large freed blocks.  Returns whether it could.

    Activations above 32 MB are otherwise mapped and unmapped at every step, and the page faults cost an
    eighth of the paper network's time on a CPU (measured: 0.81 against 0.92 of the matrix-product rate).
    """
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30) and libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1))


def fits(images: np.ndarray, device: torch.device) -> bool:
    """Whether uint8 ``images`` may take up to half of the memory that is free on ``device``."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else _available_memory()
    return images.nbytes <= free / 2


def _available_memory() -> int:
    """Bytes that processes can still have: Linux counts its file cache in; elsewhere half of what is built in."""
    with contextlib.suppress(OSError, StopIteration), open("/proc/meminfo", encoding="utf-8") as lines:
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def described(fabric: Any) -> dict[str, Any]:
    """What ``run.json`` says of the machine: device, how many, precision, versions of what computes."""
    import lightning

    on_gpu = fabric.device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(fabric.device) if on_gpu else processor(),
        "n_devices": fabric.world_size,
        "precision": str(fabric.strategy.precision.precision),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "lightning": lightning.__version__,
            "numpy": np.__version__,
        },
    }


def processor() -> str:
    """The processor's name where Linux tells it, with its number of cores."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {os.cpu_count()} cores"
