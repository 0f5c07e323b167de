"""import tevit_vis is light, and prepares mmcv and mmdet whenever they are imported."""

import subprocess
import sys

import pytest

LIGHT = "import sys; assert 'torch' not in sys.modules"
# mmcv is found by a finder of an editable installation, not by Python's own.
OTHER_FINDER = (
    'import sys, tevit_vis; from importlib.machinery import PathFinder\n'
    'class Other:\n'
    '    @staticmethod\n'
    '    def find_spec(name, *_):\n'
    '        return PathFinder.find_spec(name, PATHS) if name == "mmcv" else None\n'
    'class Rest:\n'
    '    find_distributions = PathFinder.find_distributions\n'
    '    @staticmethod\n'
    '    def find_spec(name, path=None, target=None):\n'
    '        return None if name == "mmcv" else PathFinder.find_spec(name, path, target)\n'
    'PATHS = [p for p in sys.path if "site-packages" in p]\n'
    'sys.meta_path = [f for f in sys.meta_path if f is not PathFinder] + [Other, Rest]\n'
    'import mmcv'
)
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
        'import tevit_vis, importlib.util; importlib.util.find_spec("mmcv"); '
        f'importlib.util.find_spec("mmdet"); {LIGHT}; {PATCHED}; {FILLED}',
        f'{OTHER_FINDER}; {PATCHED}; {FILLED}',
        'import tevit_vis, mmcv, inspect; assert mmcv.__spec__.loader is mmcv.__loader__; '
        "assert 'fileio' in inspect.getsource(mmcv)",
    ],
)
def test_any_order_of_imports(code):
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
