"""Video instance segmentation on MMDetection 2.28: TeViT, SeqFormer, IFC, MS-STS VIS.

Without torch, mmcv and mmdet only what needs none of them can be imported: ``tevit_vis.deploy``,
``formats``, ``evaluation``, ``report`` and ``video``.
"""

from tevit_vis.utils.versions import check_versions, has_training_stack
from tevit_vis.version import __version__

__all__ = ['__version__']
if has_training_stack():
    from tevit_vis.utils import compat

    check_versions()
    compat.apply_before_mmcv()
    compat.apply_after_mmcv()

    from tevit_vis import datasets, layers, models  # noqa: F401  (they register what configs name)

    __all__ += ['datasets', 'models']
