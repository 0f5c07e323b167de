"""The folder of an exported model: graphs of ONNX, and a ``model.json`` that describes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.hashes import file_digest
from tevit_vis.utils.json_files import read_json

FORMAT = 1  # of ``model.json``
DESCRIPTION = 'model.json'
KEYS = (
    *('format', 'classes', 'preparation', 'test_cfg', 'masks', 'predictions'),
    *('frames_are_independent', 'graphs', 'files'),
)


@dataclass(frozen=True)
class Graphs:
    """The two graphs for frames of one size.

    Args:
        resized: (H, W) of frames before padding.
        padded: (H, W) of the network's input.
        num_frames: of a clip; None takes any number.
        features: file of the graph from frames to feature maps.
        predictions: file of the graph from feature maps to instances.
    """

    resized: tuple[int, int]
    padded: tuple[int, int]
    num_frames: int | None
    features: str
    predictions: str


@dataclass(frozen=True)
class ModelFolder:
    """What ``model.json`` says.

    Args:
        path: of the folder.
        classes: name of each label.
        preparation: steps from a frame to the network's input, see ``deploy/preparation.py``.
        test_cfg: windows, tracker and numbers of instances, see ``InferenceConfig``.
        mask_kind: ``roi`` (masks fill their boxes) or ``resized`` (maps over the frame).
        mask_stride: pixels of the network's input along a cell of ``resized`` masks.
        predictions: what the graph gives: ``best_queries`` of a clip, all ``clip_queries``, or
            all ``frame_queries`` of one frame.
        frames_are_independent: whether features of a frame may be reused in another window.
        graphs: for each size.
    """

    path: str
    classes: Sequence[str]
    preparation: Sequence[Mapping[str, Any]]
    test_cfg: dict[str, Any]
    mask_kind: str
    mask_stride: int
    predictions: str
    frames_are_independent: bool
    graphs: Sequence[Graphs]

    def graphs_for(
        self, resized: tuple[int, int], padded: tuple[int, int], original: tuple[int, int]
    ) -> Graphs:
        """Returns the graphs for a size of frames.

        Args:
            resized: (H, W) of frames before padding.
            padded: (H, W) of the network's input.
            original: (H, W) of the frames as they were read, for the error.

        Raises:
            InputError: there are none.
        """
        for graphs in self.graphs:
            if (graphs.resized, graphs.padded) == (resized, padded):
                return graphs
        known = ', '.join(f'{w}x{h}' for h, w in (graphs.resized for graphs in self.graphs))
        raise InputError(
            f'{self.path}: has graphs for frames that are {known} after resizing, but these are '
            f'{resized[1]}x{resized[0]}: export it with --size {original[1]}x{original[0]} as well'
        )


def read_folder(path: str) -> ModelFolder:
    """Reads the folder of an exported model, and checks that its files are those it was made of.

    Args:
        path: of the folder.

    Raises:
        InputError: it is no such folder, is of another version, lacks a file, or was altered.

    Example:
        >>> read_folder('absent')  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        tevit_vis.utils.errors.InputError: absent: must be a folder of tevit-vis export, ...
    """
    root = Path(path)
    if not (root / DESCRIPTION).is_file():
        raise InputError(
            f'{path}: must be a folder of tevit-vis export, with a {DESCRIPTION}, but has none'
        )
    content = read_json(str(root / DESCRIPTION), 'description of the model')
    where = f'{root / DESCRIPTION}'
    if not isinstance(content, dict) or content.get('format') != FORMAT:
        got = content.get('format') if isinstance(content, dict) else None
        raise InputError(
            f'{where}: "format" must be {FORMAT}, but is {got!r}: it is of another version of '
            'tevit_vis: export the model again, or install the version that made it'
        )
    missing = [key for key in KEYS if key not in content]
    if missing:
        raise InputError(f'{where}: must have "{missing[0]}", but has not: export the model again')
    if content_digest(content) != content.get('digest'):
        raise InputError(f'{where}: was altered: copy the folder or export the model again')
    try:
        folder = _parse(path, content)
        files = dict(content['files'])
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise InputError(f'{where}: cannot be read ({error!r}): export the model again') from None
    check_files(root, files, [n for g in folder.graphs for n in (g.features, g.predictions)])
    return folder


def content_digest(content: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of what ``model.json`` says, without ``digest`` itself.

    Example:
        >>> content_digest({'format': 1, 'digest': 'x'}) == content_digest({'format': 1})
        True
    """
    rest = {key: value for key, value in content.items() if key != 'digest'}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _parse(path: str, content: Mapping[str, Any]) -> ModelFolder:
    return ModelFolder(
        path=path,
        classes=[str(name) for name in content['classes']],
        preparation=list(content['preparation']),
        test_cfg=dict(content['test_cfg']),
        mask_kind=str(content['masks']['kind']),
        mask_stride=int(content['masks']['stride']),
        predictions=str(content['predictions']),
        frames_are_independent=bool(content['frames_are_independent']),
        graphs=[
            Graphs(
                resized=(int(entry['resized'][0]), int(entry['resized'][1])),
                padded=(int(entry['padded'][0]), int(entry['padded'][1])),
                num_frames=entry['num_frames'],
                features=str(entry['features']),
                predictions=str(entry['predictions']),
            )
            for entry in content['graphs']
        ],
    )


def check_files(root: Path, files: Mapping[str, str], needed: Sequence[str]) -> None:
    """Checks that files are there and have their hashes.

    Args:
        root: folder of the files.
        files: {name: sha256}.
        needed: names that must be among them.

    Raises:
        InputError: one is absent, not listed, outside of the folder, or altered.
    """
    for name in needed:
        if name not in files:
            raise InputError(f'{root / DESCRIPTION}: "files" must list {name}, but does not')
    for name, digest in files.items():
        file = root / name
        if Path(name).name != name:
            raise InputError(f'{root / DESCRIPTION}: {name} must lie in the folder, but does not')
        if not file.is_file():
            raise InputError(f'{file}: must be there, but is not: export the model again')
        if file_digest(file) != digest:
            raise InputError(
                f'{file}: must be the file that was exported, but was altered or is not whole: '
                'copy or export it again'
            )
