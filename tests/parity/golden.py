"""Golden cases: the checkpoint, config and arrays of the official implementations.

The format is described in the README of the goldens' folder.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from tevit_vis.utils.errors import InputError


@dataclass(frozen=True)
class GoldenCase:
    """A folder with ``manifest.json``, ``input/`` and what the official code gave for it."""

    folder: Path

    @cached_property
    def manifest(self) -> dict:
        path = self.folder / 'manifest.json'
        if not path.is_file():
            raise InputError(f'{path}: a golden case must have a manifest, but there is none')
        return json.loads(path.read_text())

    @property
    def system(self) -> str:
        return self.manifest['system']

    @property
    def annotations(self) -> Path:
        return self.folder / 'input' / 'annotations.json'

    @property
    def images(self) -> Path:
        return self.folder / 'input' / 'JPEGImages'

    @property
    def results(self) -> list[dict]:
        path = self.folder / 'results.json'
        if not path.is_file():
            raise InputError(f'{path}: a golden case must have results, but there are none')
        return json.loads(path.read_text())

    def state_dict(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Names and values of the official checkpoint, drawn as the manifest says."""
        stored_file = self.folder / 'stored.npz'
        stored = np.load(stored_file) if stored_file.exists() else {}
        for name, shape, kind, scale in self.manifest['state_dict']:
            if kind == 'stored':
                yield name, torch.from_numpy(stored[name])
            else:
                yield name, draw_tensor(name, shape, kind, scale, self.manifest['seed'])

    def checkpoint(self) -> dict:
        """Returns the checkpoint in the layout of the official release."""
        return {self.manifest['checkpoint_key']: dict(self.state_dict())}

    @property
    def training(self) -> tuple[dict, dict[str, np.ndarray]] | None:
        """What is said of the training batch, and its arrays; None where there is no batch."""
        path = self.folder / 'train.json'
        if not path.exists():
            return None
        return json.loads(path.read_text()), dict(np.load(self.folder / 'train.npz'))

    def expected(self) -> Iterator[tuple[str | None, dict[str, np.ndarray]]]:
        """Stored arrays with the name of their video; None stands for the first video."""
        for path in sorted(self.folder.glob('expected_test*.npz')):
            video = path.stem[len('expected_test_') :] or None
            yield video, dict(np.load(path))


def draw_tensor(name: str, shape: list[int], kind: str, scale: float, seed: int) -> torch.Tensor:
    """One weight: a kind of noise, seeded by the case and the name."""
    if kind == 'const':
        dtype = torch.int64 if name.endswith('num_batches_tracked') else torch.float32
        return torch.full(shape, scale, dtype=dtype)
    generator = np.random.Generator(np.random.PCG64([seed, zlib.crc32(name.encode())]))
    noise = generator.standard_normal(tuple(shape), dtype=np.float32)
    fan_in = max(1, int(np.prod(shape[1:])))
    values = {
        'weight': lambda: noise * np.float32(scale / np.sqrt(fan_in)),
        'bias': lambda: noise * np.float32(scale),
        'norm_weight': lambda: 1 + np.float32(scale) * noise,
        'var': lambda: 1 + np.float32(scale) * np.abs(noise),
    }
    return torch.from_numpy(np.ascontiguousarray(values[kind](), dtype=np.float32))
