"""The networks.  Every ReLU is a module of its own, out of place, so that it can be watched and replaced.

A network takes grey levels as they are stored, (B, C, H, W) in 0 to 255, of any number type; it normalises
them itself with the mean and deviation in its buffers, so that its weights travel without a recipe.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from ferlib.config import UsageError, check_name

MAPS = (64, 128, 256)
"""Feature maps of the three blocks of :class:`EmotionCNN` at width 1 (Breuer & Kimmel 2017, sec. 3.1)."""
DENSE = 512


class GreyLevels(nn.Module):
    """Grey levels -> zero mean and unit deviation, with the ``mean`` and ``std`` of the training faces."""

    def __init__(self, mean: float = 127.5, std: float = 63.75) -> None:
        super().__init__()
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.register_buffer("mean", torch.tensor(float(mean)))
        self.register_buffer("std", torch.tensor(float(std)))

    def forward(self, faces: torch.Tensor) -> torch.Tensor:  # (B, C, H, W) any number type -> float32
        return (faces.to(self.mean.dtype) - self.mean) / self.std


def _scaled(maps: int, width: float) -> int:
    """``maps * width`` feature maps, at least one."""
    return max(1, round(maps * width))


def _block(n_in: int, n_out: int) -> nn.Sequential:
    conv = nn.Conv2d(n_in, n_out, kernel_size=5, padding=2)
    return nn.Sequential(OrderedDict(conv=conv, relu=nn.ReLU(), pool=nn.MaxPool2d(2)))


class EmotionCNN(nn.Module):
    """The paper's network: three blocks of conv 5x5, ReLU, max-pool 2x2, then a dense layer and the output.

    n_classes : outputs, one logit each.
    size : side of the faces in pixels, at least 8.
    channels : 1 for grey, 3 for colour.
    width : multiplies the maps (64, 128, 256) and the dense layer (512).
    dropout : rate before the output; half of it after the last block (the paper's 0.5 and 0.25).

    Initialised as Keras does by default (Glorot-uniform weights, zero biases): the paper's learning-rate rule
    is Keras's, and it states no other.  Keras's flattening order is not copied; it changes nothing.
    """

    def __init__(
        self,
        n_classes: int = 8,
        size: int = 48,
        channels: int = 1,
        width: float = 1.0,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if size < 8:
            raise UsageError(f"size={size}: three poolings need faces of at least 8 pixels a side")
        maps = [_scaled(m, width) for m in MAPS]
        self.normalise = GreyLevels()
        self.block1 = _block(channels, maps[0])
        self.block2 = _block(maps[0], maps[1])
        self.block3 = _block(maps[1], maps[2])
        self.drop = nn.Dropout(dropout / 2)
        self.dense = nn.Linear(maps[2] * (size // 8) ** 2, _scaled(DENSE, width))
        self.relu = nn.ReLU()
        self.dense_drop = nn.Dropout(dropout)
        self.output = nn.Linear(self.dense.out_features, n_classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def features(self, faces: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) grey levels -> (B, F, H // 8, W // 8): the last block's maps after pooling."""
        return self.block3(self.block2(self.block1(self.normalise(faces))))

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) grey levels in [0, 255] -> (B, n_classes) logits."""
        hidden = self.drop(self.features(faces)).flatten(1)
        return self.output(self.dense_drop(self.relu(self.dense(hidden))))


class ConvNorm(nn.Sequential):
    """conv 3x3 without bias, batch norm, ReLU."""

    def __init__(self, n_in: int, n_out: int) -> None:
        conv = nn.Conv2d(n_in, n_out, kernel_size=3, padding=1, bias=False)
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        super().__init__(OrderedDict(conv=conv, norm=nn.BatchNorm2d(n_out), relu=nn.ReLU()))


class Stage(nn.Module):
    """Pool to half the side, widen, then one residual pair of convolutions."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2)
        self.widen = ConvNorm(n_in, n_out)
        self.pair = nn.Sequential(ConvNorm(n_out, n_out), ConvNorm(n_out, n_out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, n_in, H, W) -> (B, n_out, H // 2, W // 2)
        x = self.widen(self.pool(x))
        return x + self.pair(x)


class FastCNN(nn.Module):
    """The network of the fast recipe: a short residual net with batch norm, after DAWNBench's ResNet-9.

    Settings as :class:`EmotionCNN`; ``width`` multiplies the maps (64, 128, 256, 512), and the rate before the
    output is half of ``dropout``.  About 0.74 G multiply-adds a 48 px face at width 1.
    """

    def __init__(
        self,
        n_classes: int = 8,
        size: int = 48,
        channels: int = 1,
        width: float = 1.0,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if size < 8:
            raise UsageError(f"size={size}: three poolings need faces of at least 8 pixels a side")
        maps = [_scaled(m, width) for m in (*MAPS, 512)]
        self.normalise = GreyLevels()
        self.stem = nn.Sequential(ConvNorm(channels, maps[0]), ConvNorm(maps[0], maps[0]))
        self.stage1 = Stage(maps[0], maps[1])
        self.stage2 = Stage(maps[1], maps[2])
        self.stage3 = Stage(maps[2], maps[3])
        self.drop = nn.Dropout(dropout / 2)
        self.output = nn.Linear(maps[3], n_classes)

    def features(self, faces: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) grey levels -> (B, F, H // 8, W // 8)."""
        return self.stage3(self.stage2(self.stage1(self.stem(self.normalise(faces)))))

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) grey levels in [0, 255] -> (B, n_classes) logits."""
        return self.output(self.drop(self.features(faces).mean(dim=(2, 3))))  # the maximum learns far slower


NETWORKS: dict[str, type[nn.Module]] = {"EmotionCNN": EmotionCNN, "FastCNN": FastCNN}


def build(name: str, settings: dict[str, Any]) -> nn.Module:
    """The network ``name`` of ``NETWORKS`` with the keyword arguments ``settings``, freshly initialised."""
    return NETWORKS[check_name("network", name, NETWORKS)](**settings)


def n_parameters(model: nn.Module) -> int:
    """How many numbers training fits."""
    return sum(p.numel() for p in model.parameters())
