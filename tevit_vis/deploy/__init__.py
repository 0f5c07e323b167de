"""Exported models: numpy, OpenCV, PyAV and onnxruntime, without torch, mmcv and mmdet."""

from .folder import ModelFolder, read_folder
from .model import ExportedModel, load_model
from .preparation import Preparation, PreparedFrame

__all__ = [
    'ExportedModel',
    'ModelFolder',
    'Preparation',
    'PreparedFrame',
    'load_model',
    'read_folder',
]
