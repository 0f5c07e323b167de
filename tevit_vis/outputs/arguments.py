"""Command-line arguments about videos: which, and what is written about them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from tevit_vis.utils.cli import add_selection_arguments, positive
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import check_fraction
from tevit_vis.video import VideoEncoding, expand_inputs, open_source
from tevit_vis.video.formats import CODECS, QUALITIES, SPEEDS, check_rate
from tevit_vis.video.source import ON_DAMAGE
from tevit_vis.visualization.draw import DEFAULT_PARTS, PARTS, DrawStyle
from tevit_vis.visualization.mask_files import MASK_FORMS
from tevit_vis.visualization.track_files import TABLES

from .files import Outputs
from .predict_all import LIVE_WINDOW, check_outputs, file_stems, predict_all
from .selection import DRAWN_OVERLAP, Selection
from .writing import VideoModel

SUFFIXES = {'csv': '.csv', 'counts': '.csv', 'mot': '.txt', 'mots': '.txt', 'cvat': '.xml'}
FORMS = {
    'masks': 'a PNG per frame, see --mask-form',
    'csv': 'a line per track and frame: time, class, score, box, area, centre (CSV)',
    'counts': 'tracks of each class per frame (CSV)',
    'mot': 'boxes as MOTChallenge text',
    'mots': 'masks as MOTS text',
    'cvat': 'tracks to be corrected in CVAT (XML, for video 1.1)',
    'crops': 'what is inside of each mask, TRACK_CLASS/FRAME.png',
}


def add_form_arguments(parser: argparse.ArgumentParser, per_video: bool) -> None:
    """Adds ``--masks``, ``--mask-form``, ``--csv`` and what else ``FORMS`` has.

    Args:
        parser: of the tool.
        per_video: whether each names a folder, in which every video has a file or folder.
    """
    for kind, what in FORMS.items():
        is_folder = per_video or kind not in SUFFIXES
        kept = 'new folder' if kind == 'crops' else 'folder' if is_folder else 'file'
        parser.add_argument(
            f'--{kind}',
            metavar='DIR' if is_folder else 'FILE',
            help=f'{kept} to write{", for each video" if per_video else ""}: {what}',
        )
    parser.add_argument(
        '--mask-form',
        choices=list(MASK_FORMS),
        default='index',
        help='index: pixels are the track number plus 1, 0 for background; per-object: a folder '
        'per track; rgba: transparent, in the colours of tracks; mots: 16 bits, class * 1000 + '
        'track (default: %(default)s)',
    )


def add_video_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the inputs, windows, what is drawn and what is written, see ``outputs_of``."""
    parser.add_argument(
        'inputs',
        nargs='+',
        metavar='INPUT',
        help='video file, folder of images or videos, pattern, URL, or camera number',
    )
    parser.add_argument(
        '--out',
        default='out.mp4',
        help='video to write: .mp4, .mov, .mkv, .webm, .avi or .gif (default: %(default)s); a '
        'folder for several inputs (default: found), or where it ends in /',
    )
    parser.add_argument('--no-video', action='store_true', help='write no video')
    parser.add_argument(
        '--window',
        type=positive,
        help='frames that the model sees at a time (default: as in the config; '
        f'{LIVE_WINDOW} for a camera or live stream if the config has no windows)',
    )
    parser.add_argument(
        '--stride',
        type=positive,
        help='frames from the start of a window to that of the next (default: as in the config)',
    )
    parser.add_argument('--max-frames', type=positive, help='stop after this number of frames')
    parser.add_argument(
        '--json',
        help='file to write: categories, scores, boxes (x1 y1 x2 y2 in pixels, as predicted: they '
        'may reach beyond the frame), RLE masks and times',
    )
    parser.add_argument(
        '--jsonl',
        help='file to write, one line per frame, with windows as the frames come: frame, time, and '
        'for each track its number, category, score so far, box and RLE mask',
    )
    add_form_arguments(parser, per_video=False)
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.3,
        help='draw instances, and write masks of them, from this score on (default: %(default)s)',
    )
    add_selection_arguments(parser, max_overlap=DRAWN_OVERLAP)
    parser.add_argument(
        '--draw',
        type=lambda text: text.split(','),
        default=DEFAULT_PARTS,
        metavar='PARTS',
        help=f'what is drawn, of {", ".join(PARTS)} (default: {",".join(DEFAULT_PARTS)})',
    )
    parser.add_argument(
        '--side-by-side', action='store_true', help='put each frame beside the drawn one'
    )
    parser.add_argument(
        '--opacity', type=float, default=0.45, help='of the masks (default: %(default)s)'
    )
    parser.add_argument('--line', type=positive, help='pixels of outlines and boxes')
    parser.add_argument(
        '--blur', action='store_true', help='blur the instances, to make them unrecognisable'
    )
    parser.add_argument(
        '--zoom', type=positive, default=1, help='enlarge small frames (default: %(default)s)'
    )
    parser.add_argument(
        '--on-damage',
        choices=ON_DAMAGE,
        default='keep',
        help='what to do with a damaged file: keep every frame that can be decoded, skip frames '
        'with damaged parts, or stop with an error (default: %(default)s)',
    )
    parser.add_argument(
        '--fps', type=float, help='frames per second of --out (default: those of the input)'
    )
    parser.add_argument(
        '--audio',
        choices=['copy', 'none'],
        default='none',
        help='copy the sound of the input, or write none (default: %(default)s)',
    )
    parser.add_argument(
        '--codec',
        choices=[name for name in CODECS if name != 'gif'],
        help='codec of --out (default: vp9 for .webm, else h264)',
    )
    parser.add_argument(
        '--quality',
        choices=QUALITIES,
        default='good',
        help='picture quality of --out; better ones make larger files (default: %(default)s)',
    )
    parser.add_argument(
        '--speed',
        choices=SPEEDS,
        default='fast',
        help='speed of the encoder; slower ones make smaller files (default: %(default)s)',
    )


def outputs_of(inputs: Sequence[str | int], args: argparse.Namespace) -> list[Outputs]:
    """Returns the files to write for each input.

    Args:
        inputs: videos, of ``expand_inputs``.
        args: of ``add_video_arguments``.

    Raises:
        InputError: an option is not possible, or contradicts another one.
    """
    if args.fps is not None:
        check_rate('--fps', args.fps)
    if args.fps is not None and args.audio == 'copy':
        raise InputError('--fps: changes the pace, which --audio copy keeps: leave one of them out')
    check_fraction('--score-thr', args.score_thr)
    style = VideoEncoding(args.codec, args.quality, args.speed)
    drawing = DrawStyle(args.draw, args.opacity, args.line, args.blur, args.side_by_side, args.zoom)
    video = None if args.no_video else args.out
    if not args.out:
        raise InputError('--out: must have a name, but it is empty: --no-video writes none')
    named = [args.json, args.jsonl, args.masks, args.crops, args.cvat]
    named += [getattr(args, kind) for kind in TABLES]
    if not video and not any(named):
        raise InputError('--no-video: leaves nothing to write without --json, --jsonl or --masks')
    if args.cvat and len(inputs) == 1 and not (args.cvat.endswith('.xml') or _is_folder(args.cvat)):
        raise InputError(f'--cvat: must end in .xml, as it is XML, but is {args.cvat}')
    if len(inputs) > 1 and video == 'out.mp4':
        video = 'found'
    outputs = []
    for stem in file_stems(inputs):

        def path_of(name: str | None, suffix: str, stem: str = stem) -> str | None:
            is_whole = not name or (len(inputs) == 1 and not (suffix and _is_folder(name)))
            return name or None if is_whole else str(Path(str(name), stem + suffix))

        tables = {kind: path_of(getattr(args, kind), SUFFIXES[kind]) for kind in TABLES}
        outputs.append(
            Outputs(
                path_of(video, '.mp4'),
                path_of(args.json, '.json'),
                path_of(args.jsonl, '.jsonl'),
                masks=path_of(args.masks, ''),
                mask_form=args.mask_form,
                tables={kind: path for kind, path in tables.items() if path},
                crops=path_of(args.crops, ''),
                cvat=path_of(args.cvat, SUFFIXES['cvat']),
                score_thr=args.score_thr,
                fps=args.fps,
                style=style,
                sound=args.audio == 'copy',
                drawing=drawing,
            )
        )
    return outputs


def _is_folder(name: str) -> bool:
    """Returns whether an output can only be a folder, which gets a file of the video's name."""
    return name.endswith('/') or os.path.isdir(name)


def predict_from_arguments(
    args: argparse.Namespace, load: Callable[[], VideoModel], kept: Sequence[str]
) -> None:
    """Finds the instances of the videos that arguments name, and writes their files.

    Args:
        args: of ``add_video_arguments``.
        load: loads the model, after what is asked for was checked.
        kept: files that must stay, beside the videos.

    Raises:
        InputError: see ``outputs_of`` and ``predict_all``.
    """
    selection = Selection(args.classes, args.max_overlap)
    inputs = expand_inputs(args.inputs)
    all_outputs = outputs_of(inputs, args)
    check_outputs(all_outputs, [*map(str, inputs), *kept])
    first = open_source(inputs[0], args.on_damage) if len(inputs) == 1 else None
    model = load()
    if args.window or args.stride:
        model.change_windows(args.window, args.stride)
    predict_all(model, inputs, all_outputs, selection, args.max_frames, args.on_damage, first)
