"""The moving average of the weights in training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.runner import HOOKS, Hook
from torch.optim.swa_utils import AveragedModel

from tevit_vis.utils.errors import InputError

from .runner import ClipRunner


@HOOKS.register_module()
class WeightAverageHook(Hook):
    """Keeps an exponential moving average of the weights, which is tested and saved.

    The n-th update keeps at most (1 + n) / (10 + n) of the old average, so that the average of a
    short run does not stay close to the first weights.

    Args:
        decay: the largest part of the old average that an update keeps.
    """

    def __init__(self, decay: float = 0.999) -> None:
        if isinstance(decay, bool) or not isinstance(decay, float) or not 0 < decay < 1:
            raise InputError(f'weight_average.decay: must be between 0 and 1, but got {decay!r}')
        self.decay = decay
        self.num_averaged = 0

    def before_run(self, runner: ClipRunner) -> None:
        """Starts from the model's weights, or from the average of the resumed run."""
        self.averaged = AveragedModel(
            runner.model.module, multi_avg_fn=self._average, use_buffers=True
        )
        if runner.resumed and runner.resumed.averaged is not None:
            self.averaged.module.load_state_dict(runner.resumed.averaged)
            self.averaged.n_averaged.fill_(runner.resumed.meta['num_averaged'])
            runner.resumed.averaged = None
        self.num_averaged = int(self.averaged.n_averaged)
        runner.averaged = self.averaged
        runner.logger.info('averaged weights (decay %g) are tested and saved', self.decay)

    def after_train_iter(self, runner: ClipRunner) -> None:
        """Updates the average with the weights after this iteration."""
        self.averaged.update_parameters(runner.model.module)
        self.num_averaged += 1

    def _average(
        self, averaged: Sequence[torch.Tensor], current: Sequence[torch.Tensor], _: object
    ) -> None:
        """Updates tensors of one type; whole numbers, such as Swin's indices, are copied."""
        if not averaged[0].is_floating_point():
            for old, new in zip(averaged, current):
                old.copy_(new)
            return
        decay = min(self.decay, (1 + self.num_averaged) / (10 + self.num_averaged))
        torch._foreach_lerp_(list(averaged), list(current), 1 - decay)
