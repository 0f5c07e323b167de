"""The colours of a GIF."""

from __future__ import annotations

from fractions import Fraction

import av
from av.filter import Graph


def palette_graph(width: int, height: int, ticks: Fraction) -> Graph:
    """A filter that gives each frame of a GIF the 256 colours that suit it."""
    graph = Graph()
    source = graph.add_buffer(
        width=width, height=height, format=av.VideoFormat('bgr24'), time_base=1 / ticks
    )
    split = graph.add('split')
    colours = graph.add('palettegen', 'stats_mode=single')
    use = graph.add('paletteuse', 'new=1')
    sink = graph.add('buffersink')
    source.link_to(split)
    split.link_to(use, 0, 0)
    split.link_to(colours, 1, 0)
    colours.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    return graph


def through(graph: Graph, frame: av.VideoFrame | None) -> list[av.VideoFrame]:
    """The frames that come out of a filter when one is put in; None ends it."""
    graph.push(frame)
    ready = []
    while True:
        try:
            ready.append(graph.pull())
        except (av.error.BlockingIOError, av.error.EOFError):
            return ready
