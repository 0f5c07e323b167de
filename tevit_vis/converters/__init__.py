"""Converts official checkpoints to ours and back, with one key table per layout."""

from .ifc import IFC
from .key_table import KeyTable
from .mask2former import MASK2FORMER
from .rename import ConversionResult, convert_checkpoint
from .seqformer import SEQFORMER

TABLES = {table.system: table for table in (IFC, MASK2FORMER, SEQFORMER)}

__all__ = ['TABLES', 'ConversionResult', 'KeyTable', 'convert_checkpoint']
