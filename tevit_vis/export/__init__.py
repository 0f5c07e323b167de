"""From a model of torch to a folder with graphs of ONNX, which ``tevit_vis.deploy`` runs."""

from .exporter import export_model
from .options import ExportOptions

__all__ = ['ExportOptions', 'export_model']
