"""How to train, besides what the config says."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TrainOptions:
    """How to train, besides what the config says.

    Args:
        work_dir: folder for logs and checkpoints.
        seed: seed of the data order, the transforms and the random weights.
        resume_from: checkpoint of the run to resume.
        validate: whether to test on ``data.val`` while training.
        device: ``cpu``, ``cuda`` or ``cuda:N``; None takes a GPU if there is one.
        timestamp: names the log files.
        trust_checkpoint: also load checkpoints that hold Python objects.
    """

    work_dir: str
    seed: int = 0
    resume_from: str | None = None
    validate: bool = True
    device: str | None = None
    timestamp: str = field(default_factory=lambda: time.strftime('%Y%m%d_%H%M%S'))
    trust_checkpoint: bool = False
