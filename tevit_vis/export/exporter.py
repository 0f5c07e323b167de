"""Exports a model, and deletes what does not find what the model finds."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tevit_vis.datasets import FramePipeline
from tevit_vis.deploy import Preparation
from tevit_vis.deploy.folder import DESCRIPTION, FORMAT, content_digest
from tevit_vis.models.detectors import ClipDetector
from tevit_vis.tracking import whole_config
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import unfinished_folder
from tevit_vis.utils.hashes import file_digest
from tevit_vis.utils.json_files import write_json
from tevit_vis.version import __version__

from .agreement import Agreement, check_agreement
from .graph_agreement import check_graph
from .graphs import (
    DEFAULT_TRACKER,
    EXAMPLE_FRAMES,
    PREDICTION_GRAPHS,
    FeatureGraph,
    PredictionGraph,
    kind_of_predictions,
    mask_stride,
    with_windows,
)
from .onnx_files import OPSET, export_graph
from .options import ExportOptions
from .reduced import calibrate_graph, reduce_graph
from .sample_videos import read_clips, start_of_video
from .steps import check_steps, preparation_steps

PACKAGES = ('onnx', 'onnxscript', 'onnxruntime')
FEW_FRAMES = 2  # that a graph is traced with where frames are independent
ADDED_KEYS = ('windows', 'tracker', 'drop_empty', 'min_mask_score', 'max_per_img')


@torch.no_grad()
def export_model(
    model: ClipDetector,
    target: str | os.PathLike,
    options: ExportOptions | None = None,
    on_step: Callable[[str], object] = lambda _: None,
) -> list[Agreement]:
    """Writes a folder that ``tevit_vis.deploy`` runs, if it finds what the model finds.

    Args:
        model: of ``init_model``, on the CPU.
        target: folder to write; one that is there is replaced.
        options: sizes, frames, form.
        on_step: called with the name of each step.

    Returns:
        How the exported model agrees with the model, for each size, also in windows.

    Raises:
        InputError: a package is missing, the model cannot be exported, or what was exported finds
            something else; the folder is not written then.

    Example:
        >>> from tevit_vis.apis import init_model
        >>> model = init_model('synthetic/ifc_tiny', device='cpu')
        >>> export_model(model, 'exported', ExportOptions([(160, 96)]))  # doctest: +SKIP
    """
    options = options or ExportOptions()
    check_packages()
    stride = mask_stride(model)
    pipeline = model.cfg.data.test.pipeline
    steps = preparation_steps(pipeline)
    for width, height in options.sizes:
        Preparation(steps).sizes(height, width)  # raises where nothing would be left
    check_steps(steps, pipeline, [(height, width) for width, height in options.sizes])
    for video in options.calibration:
        start_of_video(video, 1, options.sizes[0])  # raises where it cannot be read
    with unfinished_folder(target) as unfinished:
        root = Path(unfinished)
        graphs: dict[str, dict[str, Any]] = {}
        for size in options.sizes:
            entry = _export_size(model, size, root, options, on_step)
            graphs[entry['features']] = entry  # sizes that are resized to one have one
        content: dict[str, Any] = {
            'format': FORMAT,
            'made_by': f'tevit_vis {__version__}, torch {torch.__version__}',
            'system': type(model).__name__,
            'opset': OPSET,
            'form': options.form,
            'classes': list(model.CLASSES),
            'preparation': steps,
            'test_cfg': exported_test_cfg(model, options.num_frames),
            'masks': {'kind': 'resized' if stride else 'roi', 'stride': stride},
            'predictions': kind_of_predictions(model),
            'frames_are_independent': model.frames_are_independent,
            'graphs': list(graphs.values()),
            'files': {file.name: file_digest(file) for file in sorted(root.iterdir())},
        }
        content = json.loads(json.dumps(content))
        write_json({**content, 'digest': content_digest(content)}, str(root / DESCRIPTION))
        on_step('compare with torch')
        return [
            agreement
            for size in options.sizes
            for agreement in check_agreement(model, unfinished, size, options)
        ]


def check_packages() -> None:
    """Checks that what exports is installed.

    Raises:
        InputError: something is missing.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f'export: needs {", ".join(missing)}: bash tools/setup_env.sh export, or pip install '
            f'{" ".join(missing)}'
        )


def _export_size(
    model: ClipDetector,
    size: tuple[int, int],
    root: Path,
    options: ExportOptions,
    on_step: Callable[[str], object],
) -> dict[str, Any]:
    """Writes the graphs for frames of a size (W, H); returns their entry of ``model.json``."""
    entry = _entry(model, size, options.num_frames)
    resized, padded = entry['resized'], entry['padded']
    files = {part: entry[part] for part in ('features', 'predictions')}
    if (root / files['features']).exists():  # of another size that is resized to the same one
        return entry
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(0))
    features = FeatureGraph(model)
    # Features of independent frames are made for as many as are new, and few take less memory.
    alone = model.frames_are_independent
    num_traced = FEW_FRAMES if alone else options.num_frames or EXAMPLE_FRAMES
    frames = draw(num_traced, 3, *padded)
    shapes = [level.shape[1:] for level in features(frames)]
    names = [f'level{n}' for n in range(len(shapes))]
    on_step(files['features'])
    any_number = options.num_frames is None or alone
    export_graph(features, [frames], root / files['features'], (['frames'], names), any_number)
    on_step(files['predictions'])
    kind = kind_of_predictions(model)
    taken = 1 if kind == 'frame_queries' else options.num_frames
    levels = [draw(taken or EXAMPLE_FRAMES, *shape) for shape in shapes]
    graph: PredictionGraph = PREDICTION_GRAPHS[kind](model, resized, padded)
    path = root / files['predictions']
    with with_windows(model, 1, 1):
        export_graph(graph, levels, path, (names, graph.outputs), taken is None)
    reduce_graph(path, options.form)
    if options.calibration:
        on_step('measure ranges')
        clips = read_clips(options.calibration, 1 if alone else num_traced, size)
        prepare = Preparation(preparation_steps(model.cfg.data.test.pipeline))
        calibrate_graph(root / files['features'], clips, prepare)
    else:
        reduce_graph(root / files['features'], options.form)
    # Other frames than those it was traced with, and another number of them where that is free.
    tried = [draw(num_traced + int(any_number), 3, *padded)]
    check_graph(features, root / files['features'], tried, options)
    tried = [draw(taken or EXAMPLE_FRAMES + 1, *shape) for shape in shapes]
    with with_windows(model, 1, 1):
        check_graph(graph, path, tried, options)
    return entry


def _entry(model: ClipDetector, size: tuple[int, int], num_frames: int | None) -> dict[str, Any]:
    """Returns what ``model.json`` says of the graphs for frames of a size (W, H)."""
    black = np.zeros((size[1], size[0], 3), np.uint8)
    meta = FramePipeline(model.cfg.data.test.pipeline).from_array(black).meta
    resized, padded = (tuple(meta[key][:2]) for key in ('img_shape', 'pad_shape'))
    name = f'{padded[1]}x{padded[0]}'
    if resized != padded:
        name = f'{resized[1]}x{resized[0]}_in_{name}'
    if kind_of_predictions(model) == 'frame_queries':
        num_frames = None  # it takes one at a time, and clips of any number are joined outside
    files = {part: f'{part}_{name}.onnx' for part in ('features', 'predictions')}
    return {'resized': resized, 'padded': padded, 'num_frames': num_frames, **files}


def exported_test_cfg(model: ClipDetector, num_frames: int | None) -> dict[str, Any]:
    """Returns the ``test_cfg`` that an exported model needs: windows, tracker, numbers.

    Args:
        model: that is exported.
        num_frames: of its clips; None for any number. Windows get this length.
    """
    config = dict(model.test_cfg or {})
    # Also for those who set windows later, and whole: other runtimes do not know our defaults.
    config['tracker'] = whole_config(config.get('tracker') or DEFAULT_TRACKER)
    config.setdefault('windows', {'length': None, 'stride': 1})
    if num_frames is not None:
        windows = model.inference_config.windows
        stride = windows.stride if windows is not None else num_frames
        config['windows'] = {'length': num_frames, 'stride': max(1, min(stride, num_frames - 1))}
    plain = json.loads(json.dumps({key: config[key] for key in ADDED_KEYS if key in config}))
    checked = model.inference_config
    return {
        **plain,
        'mask_thr_binary': checked.mask_threshold,
        'max_per_img': checked.max_instances,
    }
