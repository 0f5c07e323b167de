"""The inference settings of a model: its ``test_cfg``, checked in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tevit_vis.tracking import Tracker, Windows, build_tracker, windows_of
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import check_fraction, check_whole_number, did_you_mean

KEY = 'model.test_cfg'
KNOWN_KEYS = (
    *('windows', 'tracker', 'max_per_img', 'mask_thr_binary', 'drop_empty', 'min_mask_score'),
    *('frames_per_pass', 'rois_per_pass', 'rpn', 'rcnn'),
)


@dataclass(frozen=True)
class InferenceConfig:
    """The inference settings of all systems.

    Args:
        windows: how a video is cut; None makes the whole video one clip.
        tracker: config of the tracker that joins windows, None where there are no windows.
        max_instances: (query, class) pairs of a clip that are output, or queries of a window; None
            for systems that output every query with an object (IFC).
        mask_threshold: least probability of the pixels of a mask, above 0 and below 1.
        drop_empty: whether instances without a pixel in any frame are left out.
        min_mask_score: score below which an instance is listed without masks.
        frames_per_pass: frames that go through the network at a time; None lets the device decide.
        rois_per_pass: RoIs that go through TeViT's heads at a time; None lets the device decide.
    """

    windows: Windows | None
    tracker: Mapping | None
    max_instances: int | None
    mask_threshold: float
    drop_empty: bool
    min_mask_score: float
    frames_per_pass: int | None
    rois_per_pass: int | None

    @classmethod
    def of(cls, test_cfg: Mapping | None) -> InferenceConfig:
        """Reads ``model.test_cfg``.

        Args:
            test_cfg: of a model. TeViT has ``max_per_img`` and ``mask_thr_binary`` in ``rcnn``,
                like mmdet's RoI heads.

        Raises:
            InputError: a value is not allowed; the message names its key.

        Example:
            >>> config = InferenceConfig.of(dict(rcnn=dict(max_per_img=10, mask_thr_binary=0.5)))
            >>> config.max_instances, config.windows
            (10, None)
        """
        test_cfg = test_cfg or {}
        head_cfg, head_key = test_cfg, KEY
        if isinstance(test_cfg.get('rcnn'), Mapping):
            head_cfg, head_key = test_cfg['rcnn'], f'{KEY}.rcnn'
        for section, where in ((test_cfg, KEY), (head_cfg, head_key)):
            _check_spelling(section, where)
        windows = windows_of(test_cfg.get('windows'))
        tracker = test_cfg.get('tracker')
        if windows is not None or tracker is not None:
            build_tracker(tracker)  # only to raise an error if it cannot be built
        threshold_key = f'{head_key}.mask_thr_binary'
        threshold = check_fraction(threshold_key, head_cfg.get('mask_thr_binary', 0.5))
        if threshold in (0, 1):
            raise InputError(f'{threshold_key}: must be above 0 and below 1, but got {threshold:g}')
        drop_empty = test_cfg.get('drop_empty', False)
        if not isinstance(drop_empty, bool):
            raise InputError(f'{KEY}.drop_empty: must be True or False, but got {drop_empty!r}')
        return cls(
            windows=windows,
            tracker=tracker if windows is not None else None,
            max_instances=_optional_number(f'{head_key}.max_per_img', head_cfg, least=0),
            mask_threshold=threshold,
            drop_empty=drop_empty,
            min_mask_score=check_fraction(
                f'{KEY}.min_mask_score', test_cfg.get('min_mask_score', 0.0)
            ),
            frames_per_pass=_optional_number(f'{KEY}.frames_per_pass', test_cfg, least=1),
            rois_per_pass=_optional_number(f'{KEY}.rois_per_pass', test_cfg, least=1),
        )

    @property
    def has_one_class_per_query(self) -> bool:
        """Whether a query is output with its best class only.

        Windows need this, since the tracker joins the scores of all classes of a query.
        """
        return self.windows is not None

    def build_tracker(self) -> Tracker:
        """Builds the tracker that joins the windows of a video."""
        return build_tracker(self.tracker)

    def streaming_windows(self) -> Windows:
        """Returns the windows, which a model needs to stream a video.

        Raises:
            InputError: the model has no windows.
        """
        if self.windows is None:
            raise InputError(
                f'{KEY}.windows.length: must be the frames of a window to stream a video, e.g. 10, '
                'but is None, which makes the whole video one clip'
            )
        return self.windows


def _check_spelling(section: Mapping, where: str) -> None:
    """Checks that no key is nearly one of the known keys; other keys are left to mmdet's parts.

    Raises:
        InputError: one is; names the known key.
    """
    for key in section:
        hint = did_you_mean(key, KNOWN_KEYS, most=1, cutoff=0.8) if key not in KNOWN_KEYS else ''
        if hint:
            raise InputError(f'{where}: has no key {key!r}{hint}')


def _optional_number(key: str, section: Mapping, least: int) -> int | None:
    """Returns the whole number at the last part of ``key`` in a section; None if not set."""
    value = section.get(key.rsplit('.', 1)[1])
    return None if value is None else check_whole_number(key, value, least)
