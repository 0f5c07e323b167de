"""On a CPU, models run and train with an mmcv that has no compiled operators."""

import subprocess
import sys

import pytest

# Hides mmcv's operators as if they had not been compiled.
WITHOUT_OPS = """
import sys
from pathlib import Path
glob = Path.glob
Path.glob = lambda self, pattern: iter(()) if pattern == '_ext*' else glob(self, pattern)
import tevit_vis.apis
from mmcv.utils.ext_loader import check_ops_exist
from tevit_vis.utils.compat import has_compiled_ops
assert not has_compiled_ops() and not check_ops_exist()
"""
INFERENCE = """
import numpy as np
from tevit_vis.apis import inference_video, init_model
for name in ('tevit', 'seqformer', 'ifc', 'ms_sts', 'mask2former'):
    model = init_model(f'synthetic/{name}_tiny', device='cpu')
    assert inference_video(model, np.zeros((3, 96, 160, 3), np.uint8)).num_frames in (0, 3)
"""
TRAINING = """
from tevit_vis.apis.random_models import SMALL_CONFIGS
from tevit_vis.apis.speed import measure_training
import torch
for system, name in SMALL_CONFIGS.items():
    row = measure_training(system, name, torch.device('cpu'), None, 2, steps=1)
    assert 'fault' not in row, row
"""
OPERATOR = """
import torch
from mmcv.ops import nms
try:
    nms(torch.rand(2, 4), torch.rand(2), 0.5)
except RuntimeError as error:
    assert 'the operator nms is not compiled here' in str(error)
else:
    raise AssertionError
"""


@pytest.mark.parametrize(
    'code',
    [*(pytest.param(code, marks=pytest.mark.slow) for code in (INFERENCE, TRAINING)), OPERATOR],
)  # fmt: skip
def test_it_runs(code):
    done = subprocess.run(
        [sys.executable, '-c', WITHOUT_OPS + code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
