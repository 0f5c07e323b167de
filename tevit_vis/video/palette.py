"""The colours of a GIF."""

from __future__ import annotations

from fractions import Fraction

import av
from av.filter import Graph


def palette_graph(width: int, height: int, ticks: Fraction) -> Graph:
    """Returns a filter that gives each frame of a GIF its own palette of 256 colours.

    Args:
        width, height: size of the frames in pixels.
        ticks: units of the frames' times per second.
    """
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


def run_filter(graph: Graph, frame: av.VideoFrame | None) -> list[av.VideoFrame]:
    """Puts a frame into a filter and returns the frames that come out; None ends the input."""
    graph.push(frame)
    frames = []
    while True:
        try:
            frames.append(graph.pull())
        except (av.error.BlockingIOError, av.error.EOFError):
            return frames
