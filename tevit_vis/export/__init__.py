"""From a model of torch to a folder with graphs of ONNX, which ``tevit_vis.deploy`` runs."""

from .exporter import ExportOptions, export_model

__all__ = ['ExportOptions', 'export_model']
