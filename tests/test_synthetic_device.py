"""Faces are drawn on the device that is asked for.  Stands in for one: the CPU under another device's name."""

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from ferlib.labels import DRAWN_AUS
from ferlib.synthetic.camera import draw_scenes
from ferlib.synthetic.people import draw_people
from ferlib.synthetic.render import draw_faces

ELSEWHERE = torch.device("meta")  # a name that torch knows and has no numbers for: whatever escapes fails
CPU = torch.device("cpu")
aten = torch.ops.aten
COPIES = {aten.copy_.default, aten._copy_from.default}
INDEXED = {
    aten.index.Tensor,
    aten.index_put_.default,
    aten._index_put_impl_.default,
}  # by indices on the CPU too


class There(torch.Tensor):
    """A tensor that says it is elsewhere; its numbers lie in ``held``, on the CPU."""

    @staticmethod
    def __new__(cls, held):
        place = {"strides": held.stride(), "storage_offset": held.storage_offset()}
        return torch.Tensor._make_wrapper_subclass(
            cls, held.size(), dtype=held.dtype, device=ELSEWHERE, **place
        )

    def __init__(self, held):
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, op, types, args=(), kwargs=None):
        raise AssertionError(f"{op} ran outside the stand-in")


class Constants(TorchFunctionMode):
    """Numbers that go to a device past all dispatch, of ``torch.tensor`` and of indices, go by way of the CPU."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.tensor and kwargs.get("device") is not None:
            return func(*args, **(kwargs | {"device": CPU})).to(kwargs["device"])
        if func is torch.Tensor.new_tensor:
            return torch.tensor(args[1], dtype=args[0].dtype, device=CPU).to(args[0].device)
        if func in (torch.Tensor.__getitem__, torch.Tensor.__setitem__):
            places = args[1] if isinstance(args[1], tuple) else (args[1],)
            numbers = lambda a: torch.tensor(a, device=CPU) if isinstance(a, list | np.ndarray) else a  # noqa: E731
            args = (args[0], tuple(numbers(a) for a in places), *args[2:])
        return func(*args, **kwargs)


class Stand_in(TorchDispatchMode):
    """Computes on the CPU what is asked of the other device, and refuses what mixes the two."""

    def __init__(self):
        super().__init__()
        self.n_there = 0

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        seen = []
        devices = []
        tree_map(lambda a: seen.append(a) if isinstance(a, torch.Tensor) else None, (args, kwargs))
        tree_map(lambda a: devices.append(a) if isinstance(a, torch.device) else None, (args, kwargs))
        there = [isinstance(a, There) for a in seen]
        assert all(is_there or a.device == CPU for a, is_there in zip(seen, there, strict=True)), (
            f"lost in {op}"
        )
        goes = devices[0].type == ELSEWHERE.type if devices else any(there)
        if (
            any(there)
            and not devices
            and op not in COPIES
            and not (op in INDEXED and isinstance(args[0], There))
        ):
            here = [
                tuple(a.shape) for a, is_there in zip(seen, there, strict=True) if not is_there and a.dim()
            ]
            if here:
                raise RuntimeError(f"{op}: tensors {here} are on the CPU, others are not")
        if op is aten._local_scalar_dense.default:
            goes = False
        if op is aten.copy_.default:
            goes = there[0]
        held = lambda a: a.held if isinstance(a, There) else CPU if isinstance(a, torch.device) else a  # noqa: E731
        made = op(*tree_map(held, args), **tree_map(held, kwargs))
        self.n_there += goes
        written = {id(held(a)): a for a in seen}  # what is written in place stays the tensor that it was

        def told(a):
            if not (goes and isinstance(a, torch.Tensor)):
                return a
            before = written.get(id(a))
            return before if isinstance(before, There) else There(a)

        return tree_map(told, made)


def scene_of_four():
    levels = torch.zeros(4, len(DRAWN_AUS), 2)
    for face, au in enumerate(("AU04", "AU12", "AU25", "AU45")):
        levels[face, DRAWN_AUS.index(au)] = 4.0
    scenes = draw_scenes(4, "wild")
    jpeg, blur = torch.tensor([40.0, 0, 0, 0]), torch.tensor([0.0, 1.2, 0, 0])
    return draw_people("device", 1, range(4)), levels, scenes.with_(jpeg=jpeg, blur=blur, occluded=1.0)


def test_a_face_drawn_on_another_device_is_the_same_face():
    people, levels, scenes = scene_of_four()
    here = draw_faces(people, levels, scenes, 48, truth=True)
    with Constants(), Stand_in() as other:
        there = draw_faces(people, levels, scenes, 48, truth=True, device=str(ELSEWHERE))
    assert other.n_there > 1000
    for name in ("images", "landmarks", "pose", "masks"):
        assert getattr(there, name).device.type == "cpu"
        assert torch.equal(getattr(here, name), getattr(there, name)), name


def test_the_stand_in_refuses_what_a_device_would():
    with Stand_in(), pytest.raises(RuntimeError, match="are on the CPU"):
        torch.ones(3, device=ELSEWHERE) + torch.ones(3)
