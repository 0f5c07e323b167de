"""Reads the logs of trainings, and groups runs that differ by their seed only."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.json_files import read_json, read_text_lines
from tevit_vis.utils.values import is_number

from .runs import short_names

VALIDATION = re.compile(r'iter_(\d+)\.report\.json')
# Keys of a config that say where a run lies or which of several equal ones it is.
OWN_KEYS = re.compile(r'^(seed|work_dir|resume_from) = .*$', re.MULTILINE)
NO_CURVES = {'mode', 'epoch', 'iter', 'eval_iter_num', 'data_time', 'time', 'memory', 'lr'}


@dataclass(frozen=True)
class TrainingRun:
    """The log of one training.

    Args:
        folder: work dir.
        name: of the config.
        config: text of the config, without what is a run's own.
        seed: of the run.
        curves: {name: {iteration: value}}: losses of training, scores of validation, and from the
            validations' reports ``HOTA`` and what each kind of error costs (``dAP Spat``).
        seconds: per iteration, median; None where the log does not say.
    """

    folder: str
    name: str
    config: str
    seed: int | None
    curves: dict[str, dict[int, float]]
    seconds: float | None


@dataclass(frozen=True)
class Curve:
    """A number over training, of several seeds.

    Args:
        iterations: [N] at which every run has a value.
        mean, low, high: [N] mean, least and greatest value of the runs.
    """

    iterations: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]


@dataclass(frozen=True)
class RunGroup:
    """Trainings of one config that differ by their seed."""

    name: str
    runs: list[TrainingRun]

    def curve(self, name: str, scale: float = 1) -> Curve | None:
        """Returns a number over training, at the iterations that all runs have; None for none.

        Args:
            name: of the number.
            scale: factor of its values.
        """
        values = [run.curves[name] for run in self.runs if name in run.curves]
        if not values or len(values) < len(self.runs):
            return None
        iterations = sorted(set.intersection(*(set(each) for each in values)))
        if not iterations:
            return None
        table = scale * np.array([[each[i] for i in iterations] for each in values])
        return Curve(
            iterations, table.mean(0).tolist(), table.min(0).tolist(), table.max(0).tolist()
        )

    def final(self, name: str) -> tuple[float, float] | None:
        """Returns mean and standard deviation of the runs' last values; None where one has none.

        Values are those of the last iteration that all runs have. The deviation is that of a sample
        (divided by runs - 1), NaN for one run.
        """
        curve = self.curve(name)
        if curve is None:
            return None
        last = curve.iterations[-1]
        return self._summary(name, lambda values: values[last])

    def best(self, name: str) -> tuple[float, float] | None:
        """Returns mean and standard deviation of the runs' greatest values, see ``final``."""
        return self._summary(name, lambda values: max(values.values()))

    def _summary(
        self, name: str, choose: Callable[[dict[int, float]], float]
    ) -> tuple[float, float] | None:
        values = [choose(run.curves[name]) for run in self.runs if run.curves.get(name)]
        if len(values) < len(self.runs):
            return None
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
        return float(np.mean(values)), spread


def read_training(folder: str) -> TrainingRun:
    """Reads the logs and validation reports of a work dir.

    Where a run was resumed, the last value of an iteration counts.

    Raises:
        InputError: the folder has no log, or a log or report is damaged.
    """
    logs = sorted(Path(folder).glob('*.log.json'))
    if not logs:
        raise InputError(f'{folder}: must be the work dir of a training, but has no *.log.json')
    meta: dict[str, Any] = {}
    curves: dict[str, dict[int, float]] = {}
    seconds = []
    for log in logs:
        for entry in _log_entries(log):
            if 'mode' not in entry:
                meta = {**meta, **entry}
                continue
            for name, value in entry.items():
                if name not in NO_CURVES and is_number(value):
                    curves.setdefault(name, {})[entry['iter']] = value
            if entry['mode'] == 'train' and 'time' in entry:
                seconds.append(entry['time'])
    for path in Path(folder, 'val').glob('*.report.json'):
        match = VALIDATION.fullmatch(path.name)
        if match:
            _add_report(read_json(path, 'validation report'), int(match[1]), curves, str(path))
    return TrainingRun(
        folder=folder,
        name=str(meta.get('exp_name') or Path(folder).name),
        config=OWN_KEYS.sub('', str(meta.get('config') or '')),
        seed=meta.get('seed'),
        curves=curves,
        seconds=float(np.median(seconds)) if seconds else None,
    )


def _log_entries(log: Path) -> list[dict]:
    """Returns the entries of a log; a last line that a killed run left unfinished is dropped.

    Raises:
        InputError: another line is no JSON.
    """
    lines = read_text_lines(log)
    entries = []
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line) if line.strip() else None
        except ValueError as error:
            if number == len(lines):
                break
            raise InputError(f'{log}: line {number} must be JSON, but: {error}') from None
        if isinstance(entry, dict) and ('mode' not in entry or 'iter' in entry):
            entries.append(entry)
    return entries


def _add_report(
    report: Any, iteration: int, curves: dict[str, dict[int, float]], path: str
) -> None:
    """Adds the numbers of a validation's report."""
    try:
        numbers = {'HOTA': report['tracking']['HOTA'], 'IDF1': report['tracking']['IDF1']}
        for kind, gain in report['errors']['delta_AP50'].items():
            numbers[f'dAP {kind}'] = gain
    except (TypeError, KeyError, AttributeError):
        raise InputError(
            f'{path}: must be the report of a validation, with "tracking" and "errors"'
        ) from None
    for name, value in numbers.items():
        curves.setdefault(name, {})[iteration] = value


def group_runs(runs: Sequence[TrainingRun]) -> list[RunGroup]:
    """Returns runs of equal configs together, in the order of their first ones.

    A group is called like its config; where several are called alike, like their first folders. A
    work dir that is given twice counts once.
    """
    runs = list({os.path.realpath(run.folder): run for run in runs}.values())
    groups: dict[tuple[str, str], list[TrainingRun]] = {}
    for run in runs:
        groups.setdefault((run.name, run.config), []).append(run)
    names = [name for name, _ in groups]
    folders = short_names([own[0].folder for own in groups.values()])
    return [
        RunGroup(name if names.count(name) == 1 else f'{name} ({folder})', own)
        for (name, _), own, folder in zip(groups, groups.values(), folders)
    ]
