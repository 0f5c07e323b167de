"""CPU tensors that pretend to be on a GPU, to test device discipline where there is no GPU.

What cannot be seen this way: kernels, streams, several GPUs.
"""

from __future__ import annotations

import traceback
from collections import Counter
from contextlib import ExitStack, contextmanager, nullcontext
from unittest import mock

import torch
from mmcv.ops import RoIAlign
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

from tevit_vis.layers import deform_attention, roi_align

GPU = torch.device('cuda', 0)
T = torch.Tensor
TO_HOST = {T.item, T.tolist, T.__bool__, T.__int__, T.__float__, T.__index__, T.cpu}
SEARCHES = {torch.nonzero, T.nonzero, torch.unique, T.unique, torch.masked_select, torch.equal}
AS_ARRAY = {T.numpy, T.__array__}
MAY_MIX = {T.__getitem__, T.__setitem__, T.copy_, T.to, T.type_as}


def is_marked(value: object) -> bool:
    return isinstance(value, T) and getattr(value, 'on_pretended_gpu', False)


def is_size(value: object) -> bool:
    return isinstance(value, torch.Size)  # a tuple, which must stay what it is


def mark(value: object) -> object:
    """All tensors of a value as tensors of the GPU."""

    def one(leaf: object) -> object:
        if isinstance(leaf, T):
            leaf.on_pretended_gpu = True
        return leaf

    return tree_map(one, value, is_leaf=is_size)


def mark_module(module: torch.nn.Module) -> torch.nn.Module:
    for tensor in (*module.parameters(), *module.buffers()):
        mark(tensor)
    return module


def place() -> str:
    """The line of the library that is running."""
    for frame in reversed(traceback.extract_stack()):
        if '/tevit_vis/' in frame.filename and 'site-packages' not in frame.filename:
            return f'{frame.filename.split("/tevit_vis/")[-1]}:{frame.lineno} {frame.line}'
    return 'test'


class PretendGPU(TorchFunctionMode):
    """Follows the marks through all operations.

    ``faults`` are operations that a GPU would refuse; ``waits`` those for which the host waits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.waits: Counter[str] = Counter()

    @property
    def num_waits(self) -> int:
        return sum(self.waits.values())

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        name = getattr(func, '__name__', str(func))
        first = args[0] if args else None
        # Accessors are made anew at each access: they are equal, not the same.
        if func == T.device.__get__ and is_marked(first):
            return GPU
        if func in (T.is_cuda.__get__, T.is_cpu.__get__) and is_marked(first):
            return func == T.is_cuda.__get__
        if func in (T.data.__set__, T.grad.__set__) or name in ('pin_memory', '__repr__'):
            return first if name == 'pin_memory' else func(*args, **kwargs)
        leaves = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, T)]
        marked = any(map(is_marked, leaves))
        if marked:
            self._judge(func, name, args, leaves)
        target = self._target(func, args, kwargs)
        args, kwargs = tree_map(self._cpu_instead, (args, kwargs), is_leaf=is_size)
        result = func(*args, **kwargs)
        if func is T.cpu or func in AS_ARRAY:
            return result.clone() if isinstance(result, T) and result is first else result
        if target is not None:
            moved = isinstance(result, T) and any(result is leaf for leaf in leaves)
            result = (
                result.clone() if moved and is_marked(first) != (target.type == 'cuda') else result
            )
            if target.type == 'cuda':
                return mark(result)
            if marked:
                self.waits[f'{name}: {place()}'] += 1
            return result
        return mark(result) if marked else result

    def _judge(self, func, name: str, args: tuple, leaves: list[T]) -> None:
        if func in AS_ARRAY:
            self.faults.append(f'{name} of a tensor on the GPU: {place()}')
        waits = func in TO_HOST or func in SEARCHES
        if func in (T.__getitem__, T.__setitem__):
            index = [leaf for leaf in tree_flatten(args[1])[0] if isinstance(leaf, T)]
            waits = any(is_marked(leaf) and leaf.dtype == torch.bool for leaf in index)
            if func is T.__setitem__ and not (isinstance(args[2], T) and args[2].dim()):
                waits = False  # a number is filled in where a mask says so
        if waits:
            self.waits[f'{name}: {place()}'] += 1
        mixes = any(not is_marked(leaf) and leaf.dim() > 0 for leaf in leaves)
        if mixes and func not in MAY_MIX:
            self.faults.append(f'{name} mixes devices: {place()}')

    def _target(self, func, args: tuple, kwargs: dict) -> torch.device | None:
        """The device that a call asks for."""
        asked = kwargs.get('device')
        if func is T.cuda:
            asked = 'cuda:0'
        if func is T.to:
            for value in args[1:]:
                if isinstance(value, T):
                    asked = GPU if is_marked(value) else torch.device('cpu')
                elif isinstance(value, (torch.device, str)):
                    asked = value
        if asked is None or isinstance(asked, int):
            return None
        device = torch.device(asked)
        if device.type == 'cuda' and device.index is None:
            self.faults.append(f'a device without an index: {place()}')
        return device

    @staticmethod
    def _cpu_instead(value: object) -> object:
        is_device = isinstance(value, (torch.device, str))
        return torch.device('cpu') if is_device and str(value).startswith('cuda') else value


def check_kernel_inputs(*tensors: T) -> None:
    """What mmcv's kernels demand."""
    for tensor in tensors:
        assert is_marked(tensor), 'a kernel got a tensor of the host'
        assert tensor.is_contiguous(), 'a kernel got a tensor that is not contiguous'
        assert tensor.dtype in (torch.float32, torch.int64), f'a kernel got {tensor.dtype}'


class DeformKernel:
    """mmcv's deformable attention by its CPU form, with the kernel's demands."""

    shapes = None  # of the levels, which the CPU form wants on the host

    @staticmethod
    def apply(value, sizes, starts, locations, weights, im2col_step):
        check_kernel_inputs(value, sizes, starts, locations, weights)
        assert len(value) % min(len(value), im2col_step) == 0
        return deform_attention.sample_by_rows(value, DeformKernel.shapes, locations, weights)


@contextmanager
def pretended_gpu():
    """Yields a ``PretendGPU`` in force, with mmcv's kernels by their CPU forms."""
    align, by_kernel = roi_align.roi_align, deform_attention.sample_by_kernel
    forward = RoIAlign.forward

    def checked_align(maps, rois, *args):
        check_kernel_inputs(maps, rois)
        assert len(rois), 'a kernel cannot be launched for no RoI'
        return mark(align(maps, rois, *args))

    def checked_forward(layer, maps, rois):
        check_kernel_inputs(maps, rois)
        assert len(rois), 'a kernel cannot be launched for no RoI'
        return mark(forward(layer, maps, rois))

    def on_gpu(device):
        return device.type == 'cuda'

    def kernel(value, shapes, locations, weights):
        DeformKernel.shapes = shapes
        return by_kernel(value, shapes, locations, weights)

    with ExitStack() as stack:
        for patch in (
            mock.patch.multiple(
                deform_attention,
                has_cuda_ops=on_gpu,
                MultiScaleDeformableAttnFunction=DeformKernel,
                sample_by_kernel=kernel,
            ),
            mock.patch.object(roi_align, 'has_cuda_ops', on_gpu),
            mock.patch.object(roi_align, 'roi_align', checked_align),
            mock.patch.object(RoIAlign, 'forward', checked_forward),
            mock.patch.object(torch.cuda, 'device_of', return_value=nullcontext()),
        ):
            stack.enter_context(patch)
        yield stack.enter_context(PretendGPU())
