"""Finds the instances of several videos and writes their files: the loop of the tools."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tevit_vis.utils.console import ProgressBar
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import check_writable
from tevit_vis.video import FrameSource, open_source, public_url
from tevit_vis.video.formats import codec_of
from tevit_vis.video.source import FirstFrames
from tevit_vis.visualization.mask_files import check_mask_folder
from tevit_vis.visualization.track_files import check_crop_folder

from .files import Outputs, PredictionSummary
from .selection import Selection
from .writing import VideoModel, write_video

MOST_NAMES = 10  # classes that are printed
# Frames, for cameras and live streams where the config has no windows.
LIVE_WINDOW, LIVE_STRIDE = 10, 5


def check_outputs(all_outputs: Sequence[Outputs], inputs: Sequence[str]) -> None:
    """Checks that the files of several videos can be written and that none overwrites another.

    Args:
        all_outputs: of each video.
        inputs: files that must stay: videos, checkpoint, config.

    Raises:
        InputError: a file cannot be written, or is an input or named twice.
    """
    used_paths = list(inputs)
    for outputs in all_outputs:
        if outputs.video:
            codec_of(outputs.video, outputs.style)
        for path in outputs.files:
            check_writable(path, not_over=used_paths)
            used_paths.append(path)
        if outputs.masks:
            check_writable(Path(outputs.masks, '00000.png'))
            check_mask_folder(outputs.masks)
        if outputs.crops:
            check_writable(Path(outputs.crops, '00000.png'))
            check_crop_folder(outputs.crops)


def predict_all(
    model: VideoModel,
    names: Sequence[str | int],
    all_outputs: Sequence[Outputs],
    selection: Selection,
    max_frames: int | None = None,
    on_damage: str = 'keep',
    first: FrameSource | None = None,
    say: Callable[[str], object] = print,
) -> None:
    """Finds the instances of videos, writes their files and prints what was found.

    A video that cannot be done does not keep the others from it.

    Args:
        model: ``apis.TorchVideoModel`` of one of ``init_model``, or an exported one.
        names: a file, URL or folder, or the number of a camera each.
        all_outputs: files of each video.
        selection: which instances are written.
        max_frames: stop each video after this number of frames.
        on_damage: see ``open_source``.
        first: the first video, if it is open already.
        say: takes each line that is to be printed.

    Raises:
        InputError: a video could not be done, or Ctrl-C ended one that was not live.
    """
    selection.check(model.CLASSES)
    shown = ', '.join(model.CLASSES[:MOST_NAMES])
    rest = len(model.CLASSES) - MOST_NAMES
    say(f'the model knows: {shown}{f" and {rest} more classes" if rest > 0 else ""}')
    num_failed = 0
    for name, outputs in zip(names, all_outputs):
        try:
            source = first or open_source(name, on_damage)
            first = None
            summary = _predict(model, source, shown_name(name), outputs, selection, max_frames, say)
        except InputError as error:
            if len(names) == 1:
                raise
            num_failed += 1
            sys.stderr.write(f'error: {error}\n')
            continue
        if summary.interrupted and not source.is_live:
            raise InputError(
                f'{shown_name(name)}: interrupted after {summary.num_frames} frames: what was '
                'found in them is kept'
            )
    if num_failed:
        raise InputError(f'{num_failed} of {len(names)} videos could not be done')


def shown_name(name: str | int) -> str:
    """Returns the name of an input for messages, without passwords.

    Example:
        >>> shown_name(0), shown_name('clip.mp4')
        ('camera 0', 'clip.mp4')
    """
    return f'camera {name}' if isinstance(name, int) else public_url(name)


def file_stems(inputs: Sequence[str | int]) -> list[str]:
    """Returns a unique name, without suffix, for the outputs of each input.

    Example:
        >>> file_stems(['a/clip.mp4', 'b/clip.avi', 0])
        ['clip', 'clip_avi', 'camera0']
    """
    stems: list[str] = []
    for number, name in enumerate(inputs):
        path = Path(f'camera{name}' if isinstance(name, int) else name.rstrip('/'))
        stem = 'stream' if '://' in str(name) else path.stem
        if not path.name or stem == '..':  # '.' and '..' have the name of the folder
            stem = path.resolve().name
        if stem in stems:
            stem = f'{stem}_{path.suffix[1:]}' if path.suffix else stem
        stems.append(stem if stem not in stems else f'{stem}_{number}')
    return stems


def _predict(
    model: VideoModel,
    source: FrameSource,
    name: str,
    outputs: Outputs,
    selection: Selection,
    max_frames: int | None,
    say: Callable[[str], object],
) -> PredictionSummary:
    """Finds the instances of one video and writes its outputs."""
    if max_frames is not None:
        source = FirstFrames(source, max_frames)
    if source.is_live and model.inference_config.windows is None:
        model.change_windows(LIVE_WINDOW, None)
    windows = model.inference_config.windows
    if windows and windows.length > 1:
        say(
            f'{name}: windows of {windows.length} frames at stride {windows.stride}: a frame is '
            f'drawn when up to {windows.length + windows.stride - 1} more were read'
        )
    paths = [path for path in (*outputs.files, outputs.masks, outputs.crops) if path]
    older = [path for path in paths if os.path.isfile(path)]
    with ProgressBar(total=source.num_frames, unit='frame', desc='find') as bar:
        summary = write_video(model, source, outputs, selection, on_frame=bar.update)
    say(f'{name}: {summary}')
    for path in paths:
        say(f'{path} (in place of an older file)' if path in older else path)
    return summary
