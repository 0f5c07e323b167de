"""Patches that let mmcv-full 1.7 and mmdet 2.28 run on a current Python stack.

``import_hooks.py`` applies them when mmcv and mmdet are imported. Every patch says why and from
which version on it is needed, and does nothing where it is not.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch


def _restore_numpy_int() -> None:
    """numpy >= 1.24 has no ``np.int``; mmdet 2.28 reads it in ``datasets/custom.py``."""
    if 'int' not in np.__dict__:
        setattr(np, 'int', int)  # noqa: B010  (``np.int =`` looks like a use)


def _stub_torchvision() -> None:
    """mmcv's ``runner/checkpoint.py`` imports torchvision for its ``torchvision://`` links only.

    It is absent on many CPU machines, and a CUDA build of it cannot be imported beside a CPU
    torch. An empty module of that name is enough; ``torchvision://`` links then do not resolve.
    """
    if importlib.util.find_spec('torchvision') is not None:
        try:
            import torchvision  # noqa: F401

            return
        except (ImportError, OSError, RuntimeError):
            for name in [name for name in sys.modules if name.split('.')[0] == 'torchvision']:
                del sys.modules[name]
    stub = types.ModuleType('torchvision')
    stub.__version__ = '0.0.0'
    stub.__spec__ = importlib.machinery.ModuleSpec('torchvision', None)
    sys.modules['torchvision'] = stub


def _stub_missing_ops() -> None:
    """mmdet imports mmcv's compiled operators, whose build takes a quarter of an hour.

    On a CPU nothing of this library calls one. Where mmcv was installed without them, a module
    takes their place whose functions raise an error when they are called.
    """
    spec = importlib.util.find_spec('mmcv')
    folders = (spec.submodule_search_locations if spec else None) or []
    if any(file for folder in folders for file in Path(folder).glob('_ext*')):
        return
    stub = types.ModuleType('mmcv._ext')
    stub.__spec__ = importlib.machinery.ModuleSpec('mmcv._ext', None)  # mmcv looks for its loader
    stub.is_stub = True
    stub.get_compiling_cuda_version = lambda: 'not available'
    stub.get_compiler_version = lambda: 'not available'
    stub.__getattr__ = _missing_op
    sys.modules['mmcv._ext'] = stub


def _missing_op(name: str) -> Callable[..., object]:
    """Returns the function that stands for an operator of mmcv that was not compiled."""
    if name.startswith('__'):
        raise AttributeError(name)

    def missing(*args: object, **kwargs: object) -> None:
        raise RuntimeError(
            f'mmcv: the operator {name} is not compiled here: "bash tools/setup_env.sh --again" '
            'builds mmcv-full'
        )

    return missing


def has_compiled_ops() -> bool:
    """Returns whether mmcv has its compiled operators; mmcv must be imported."""
    return not getattr(importlib.import_module('mmcv._ext'), 'is_stub', False)


def _allow_numpy_in_checkpoints() -> None:
    """torch >= 2.6 loads with ``weights_only=True``; mmcv's checkpoints hold numpy scalars.

    Numpy's scalars, arrays and dtypes carry no code, so they are let in under both module names
    that numpy 1 and numpy 2 pickle them by.
    """
    multiarray = getattr(np, '_core', None) or np.core
    functions = [
        (getattr(multiarray.multiarray, name), f'numpy.{package}.multiarray.{name}')
        for name in ('scalar', '_reconstruct')
        for package in ('core', '_core')
    ]
    dtypes = [getattr(np.dtypes, name) for name in getattr(np.dtypes, '__all__', ())]
    torch.serialization.add_safe_globals([np.ndarray, np.dtype, *dtypes, *functions])


def _patch_mmcv_parallel() -> None:
    """mmcv 1.7 scatters to integer device ids and reads a DDP attribute that torch 2.1 dropped."""
    import mmcv.parallel._functions as functions
    from mmcv.parallel import MMDistributedDataParallel

    get_stream = functions._get_stream
    functions._get_stream = lambda device: get_stream(
        torch.device('cuda', device) if isinstance(device, int) else device
    )
    if not hasattr(MMDistributedDataParallel, '_use_replicated_tensor_module'):
        MMDistributedDataParallel._use_replicated_tensor_module = False


def _find_bases_by_name() -> None:
    """mmcv looks for ``_base_`` beside the config only; ours may also be named below ``configs/``,
    as everywhere else: ``_base_ = 'synthetic/tevit_tiny'``.
    """
    from mmcv import Config

    read_config, folders = Config._file2dict, []  # folders of the configs in work

    def read_with_bases(file, *args, **kwargs):
        from tevit_vis.utils.config import find_base  # which itself imports mmcv

        if folders:
            # mmcv has put the folder of the config before the name of its base, unless that is an
            # absolute path: take it off again.
            file = find_base(folders[-1], file.removeprefix(os.path.join(folders[-1], '')))
        folders.append(os.path.dirname(os.path.abspath(os.path.expanduser(file))))
        try:
            return read_config(file, *args, **kwargs)
        finally:
            folders.pop()

    Config._file2dict = staticmethod(read_with_bases)


def _point_to_inference_video() -> None:
    """mmdet's ``inference_detector`` fails on a detector of clips with an unrelated error.

    The patched one names ``inference_video``, the function to call instead.
    """
    import mmdet.apis
    import mmdet.apis.inference

    original_inference = mmdet.apis.inference.inference_detector

    def inference_detector(model, imgs):
        if hasattr(model, 'predict_clip'):  # a detector of clips
            model.forward_test()  # raises an error that says what to call
        return original_inference(model, imgs)

    inference_detector.__doc__ = original_inference.__doc__
    mmdet.apis.inference_detector = mmdet.apis.inference.inference_detector = inference_detector


def _leave_the_number_of_images_free() -> None:
    """mmdet's Swin counts the images of its windows by dividing floats.

    An exported graph takes that number for a constant, and is wrong for another number of frames.
    The patched one does not count.
    """
    from mmdet.models.backbones.swin import ShiftWindowMSA

    def window_reverse(self, windows, H, W):  # noqa: N803  (mmdet's names)
        side, channels = self.window_size, windows.shape[-1]
        grid = windows.view(-1, H // side, W // side, side, side, channels)
        return grid.transpose(2, 3).reshape(-1, H, W, channels)

    window_reverse.__doc__ = ShiftWindowMSA.window_reverse.__doc__
    ShiftWindowMSA.window_reverse = window_reverse


def _silence_mmcv_notice() -> None:
    """mmcv 1.x announces mmcv 2.0 at every import; this library is built on 1.x on purpose."""
    warnings.filterwarnings('ignore', message='On January 1, 2023, MMCV will release v2.0.0')


def apply_before_mmcv() -> None:
    """Applies the patches that must be in place before ``import mmcv``."""
    _silence_mmcv_notice()
    _restore_numpy_int()
    _stub_torchvision()
    _stub_missing_ops()
    _allow_numpy_in_checkpoints()


def apply_to_mmcv() -> None:
    """Applies the patches of mmcv itself."""
    _patch_mmcv_parallel()
    _find_bases_by_name()


def apply_to_mmdet() -> None:
    """Applies the patches of mmdet itself."""
    _point_to_inference_video()
    _leave_the_number_of_images_free()
