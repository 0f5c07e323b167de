"""Weights by name: what is known to exist, and how it gets here."""

from tevit_vis.utils.cache import cache_folder

from .download import fetch
from .table import ZOO, Weights, find_weights, weights_for
from .weights import resolve_checkpoint, where_to_find, zoo_file

__all__ = [
    'ZOO',
    'Weights',
    'cache_folder',
    'fetch',
    'find_weights',
    'resolve_checkpoint',
    'weights_for',
    'where_to_find',
    'zoo_file',
]
