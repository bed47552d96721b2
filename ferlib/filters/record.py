"""Watching a network: what its filters answer, by hooks that are gone afterwards, whatever happens."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from ferlib import batches
from ferlib.config import DataError, UsageError, check_name
from ferlib.datasets import FaceSet

BATCH = 256
_BETWEEN = (nn.BatchNorm2d, nn.Dropout, nn.Dropout2d, nn.Identity)  # may stand between a conv and its ReLU
_FUNCTIONS = (F.relu, F.relu_, torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_)


def conv_layers(model: nn.Module) -> tuple[str, ...]:
    """Addresses of the convolutions in the order of their registration: ``("block1.conv", ...)``."""
    return tuple(name for name, module in model.named_modules() if isinstance(module, nn.Conv2d))


def relu_of(model: nn.Module, layer: str) -> nn.ReLU:
    """The ReLU that follows the convolution ``layer``, where its activation is read.

    Raises ``UsageError`` for an unknown layer, and where the next module but batch norm and dropout is no
    out-of-place ``nn.ReLU``: what ``F.relu`` returns cannot be watched.
    """
    check_name("convolution", layer, conv_layers(model))
    refuse_inplace(model)
    above, _, own = layer.rpartition(".")
    siblings = list(model.get_submodule(above).named_children())
    after = siblings[[name for name, _ in siblings].index(own) + 1 :]
    found = next((module for _, module in after if not isinstance(module, _BETWEEN)), None)
    if isinstance(found, nn.ReLU):
        return found
    raise UsageError(
        f"{layer} is not followed by an nn.ReLU of its own, and F.relu can neither be watched nor replaced. "
        "Give every convolution a separate nn.ReLU() module, as ferlib.models does"
    )


def n_filters_of(model: nn.Module, layer: str) -> int:
    """How many filters the convolution ``layer`` has."""
    conv = model.get_submodule(check_name("convolution", layer, conv_layers(model)))
    assert isinstance(conv, nn.Conv2d)
    return conv.out_channels


def refuse_inplace(model: nn.Module) -> None:
    """Raise ``UsageError`` if a ReLU overwrites its input: its gradient could not be replaced."""
    for name, module in model.named_modules():
        if isinstance(module, nn.ReLU) and module.inplace:
            raise UsageError(f"{name} is nn.ReLU(inplace=True), which hooks cannot watch. Use nn.ReLU()")


class _CountReLUs(TorchFunctionMode):
    """Counts the calls of relu functions, those that modules make included."""

    calls = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += func in _FUNCTIONS
        return func(*args, **(kwargs or {}))


def refuse_functional_relu(model: nn.Module, images: torch.Tensor) -> None:
    """Run ``images`` once; raise ``UsageError`` if the network calls ``F.relu`` outside of an ``nn.ReLU``.

    There, guided back-propagation would silently be the plain gradient.
    """
    refuse_inplace(model)
    ran: list[nn.Module] = []
    relus = [m for m in model.modules() if isinstance(m, nn.ReLU)]
    with contextlib.ExitStack() as hooks, torch.no_grad(), _CountReLUs() as counted:
        for relu in relus:
            hooks.enter_context(hooked(relu.register_forward_hook(lambda module, *_: ran.append(module))))
        model(images)
    if counted.calls > len(ran):
        raise UsageError(
            f"The network calls F.relu {counted.calls - len(ran)} times outside of nn.ReLU modules, where its "
            "gradient cannot be replaced. Use separate nn.ReLU() modules, as ferlib.models does"
        )


@contextlib.contextmanager
def hooked(*handles: Any) -> Iterator[None]:
    """Remove hooks at the end, whatever happens."""
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """The network without dropout, and afterwards in the modes it had before."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield model
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextlib.contextmanager
def recording(model: nn.Module, *layers: str) -> Iterator[dict[str, torch.Tensor]]:
    """Keep what ``layers`` answer: after ``model(images)``, layer -> (B, F, H, W), after its ReLU.

    Every call of ``model`` replaces what the last one left.  The hooks are removed whatever happens.
    Raises ``UsageError`` as :func:`relu_of`, and where a ReLU ran twice or never in one call.
    """
    relus = {layer: relu_of(model, layer) for layer in layers}
    kept: dict[str, torch.Tensor] = {}

    def keep(layer: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            if layer in kept:
                raise UsageError(f"The ReLU after {layer} ran twice: give each convolution a ReLU of its own")
            kept[layer] = output

        return hook

    def check(*_: Any) -> None:
        missing = [layer for layer in layers if layer not in kept]
        if missing:
            raise UsageError(f"The ReLU after {missing[0]} never ran: does the network call F.relu instead?")

    handles = [model.register_forward_pre_hook(lambda *_: kept.clear())]
    handles += [relu.register_forward_hook(keep(layer)) for layer, relu in relus.items()]
    with hooked(*handles, model.register_forward_hook(check)):
        yield kept


def pictures_of(faces: FaceSet | np.ndarray) -> np.ndarray:
    """(N, H, W) uint8.  Raises ``DataError`` for any other shape, and for no image at all."""
    images = faces.images if isinstance(faces, FaceSet) else np.asarray(faces)
    if images.ndim != 3 or len(images) == 0:
        raise DataError(f"images are {images.shape}; (N, H, W) with N > 0 was expected")
    return images


def batch_of(images: np.ndarray | torch.Tensor, model: nn.Module) -> torch.Tensor:
    """(B, H, W) or (B, 1, H, W) grey levels as (B, 1, H, W) float32 on the device of ``model``."""
    stored = images if isinstance(images, torch.Tensor) else batches.as_tensor(np.ascontiguousarray(images))
    stored = stored if stored.ndim == 4 else stored[:, None]
    return stored.to(device_of(model)).float()


def device_of(model: nn.Module) -> torch.device:
    """Where the network's weights lie."""
    return next(model.parameters()).device


@torch.inference_mode()
def activations(
    model: nn.Module, faces: FaceSet | np.ndarray, layers: tuple[str, ...], batch: int = BATCH
) -> Iterator[tuple[slice, dict[str, torch.Tensor]]]:
    """Run the network over all faces: yields their positions and layer -> acts (B, F, H, W), batch by batch."""
    images = pictures_of(faces)
    with evaluating(model), recording(model, *layers) as kept:
        for start in range(0, len(images), batch):
            rows = slice(start, min(start + batch, len(images)))
            model(batch_of(images[rows], model))
            yield rows, kept


def maps_of_face(model: nn.Module, face: np.ndarray, first: dict[str, int], k: int = 3) -> list[np.ndarray]:
    """Of each convolution, in order, the ``k`` maps (k, H, W) that vary most over one ``face`` (H, W) uint8.

    first : layer -> filter whose map is taken before them.
    """
    layers = conv_layers(model)
    _, kept = next(iter(activations(model, face[None], layers)))
    chosen = []
    for layer in layers:
        acts = np.asarray(kept[layer][0])
        order = [first[layer]] if layer in first else []
        order += [f for f in np.argsort(-acts.std(axis=(1, 2))) if f not in order]
        chosen.append(acts[order[:k]])
    return chosen
