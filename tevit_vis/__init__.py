"""Video instance segmentation on MMDetection 2.28: TeViT, SeqFormer, IFC, MS-STS VIS.

Where torch, mmcv or mmdet is absent, broken or of another version, only what needs none of them
can be imported: ``tevit_vis.deploy``, ``formats``, ``evaluation``, ``report`` and ``video``. What
needs them says what is wrong.
"""

from tevit_vis.utils.versions import check_versions
from tevit_vis.version import __version__

__all__ = ['__version__']
try:
    check_versions()
    from tevit_vis.utils import compat

    compat.apply_before_mmcv()
    compat.apply_after_mmcv()
except ImportError:
    pass  # utils/training_stack.py raises it again where it matters
else:
    from tevit_vis import datasets, layers, models  # noqa: F401  (they register what configs name)

    __all__ += ['datasets', 'models']
