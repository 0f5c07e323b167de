"""import tevit_vis is light, and prepares mmcv and mmdet whenever they are imported."""

import subprocess
import sys

import pytest

LIGHT = "import sys; assert 'torch' not in sys.modules"
FILLED = (
    'from mmdet.models import DETECTORS; from mmdet.datasets import DATASETS; '
    "assert 'TeViT' in DETECTORS and 'YouTubeVISDataset' in DATASETS"
)
PATCHED = (
    'import mmdet.apis, mmcv; '
    "assert mmdet.apis.inference_detector.__module__ == 'tevit_vis.utils.compat'; "
    "assert mmcv.Config._file2dict.__module__ == 'tevit_vis.utils.compat'"
)


@pytest.mark.parametrize(
    'code',
    [
        f'import tevit_vis; {LIGHT}; import mmdet; {FILLED}; {PATCHED}',
        f'import tevit_vis, mmcv.ops; {PATCHED}; {FILLED}',
        f'from mmcv import Config; import tevit_vis; {FILLED}; {PATCHED}',
        f'import tevit_vis.apis; {FILLED}; {PATCHED}',
        f'from tevit_vis.models.detectors import TeViT; {PATCHED}',
        f'import tevit_vis.layers; {PATCHED}',
        f'from tevit_vis.datasets import build_dataset; {PATCHED}',
        f'from tevit_vis.utils.config import load_config; {FILLED}; {PATCHED}',
        'import tevit_vis, mmcv, inspect; assert mmcv.__spec__.loader is mmcv.__loader__; '
        "assert 'fileio' in inspect.getsource(mmcv)",
    ],
)
def test_any_order_of_imports(code):
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
