"""Video instance segmentation on MMDetection 2.28: TeViT, SeqFormer, IFC, MS-STS VIS, Mask2Former.

``import tevit_vis`` imports neither torch nor mmcv nor mmdet. Import it before mmcv and mmdet: they
are patched for the current torch when they are imported, and mmdet's registries get the modules of
this library. Where they are absent, broken or of another version, only what needs none of them can
be imported: ``tevit_vis.deploy``, ``formats``, ``evaluation``, ``report`` and ``video``. What needs
them says what is wrong.
"""

from tevit_vis.utils.import_hooks import prepare_on_import
from tevit_vis.version import __version__

__all__ = ['__version__']
prepare_on_import()
