"""Labels and results in the forms in which people hold them; see ``base.Format``."""

from . import burst, cocovid, cvat, labelme, mot, mots_txt, png, sav, ytvis
from .base import FORMATS, ConversionLog, Format, ReadOptions, detect_format, find_format, register
from .builder import ContentBuilder
from .from_instances import instances_content, to_supervision

__all__ = [
    'FORMATS',
    'ContentBuilder',
    'ConversionLog',
    'Format',
    'ReadOptions',
    'detect_format',
    'find_format',
    'instances_content',
    'register',
    'to_supervision',
]
