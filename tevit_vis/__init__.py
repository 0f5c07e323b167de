"""Video instance segmentation on MMDetection 2.28: TeViT, SeqFormer, IFC, MS-STS VIS."""

from tevit_vis.utils import compat
from tevit_vis.utils.versions import check_versions
from tevit_vis.version import __version__

check_versions()
compat.apply_before_mmcv()
compat.apply_after_mmcv()

from tevit_vis import datasets, layers, models  # noqa: E402  (they register what configs name)

__all__ = ['__version__', 'datasets', 'models']
