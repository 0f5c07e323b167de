"""Hooks that run between iterations: optimizer steps, averaged weights, validation."""

from __future__ import annotations

import json
import math
import os
from typing import Any

import torch
from mmcv.runner import HOOKS, Hook, LoggerHook
from mmcv.runner.hooks.optimizer import GradientCumulativeOptimizerHook

from tevit_vis.datasets import YouTubeVISDataset
from tevit_vis.evaluation.analysis import analyse
from tevit_vis.evaluation.scores import STAT_NAMES
from tevit_vis.utils.console import ProgressBar
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.json_files import read_json, write_json
from tevit_vis.utils.values import check_whole_number

from .distributed import Processes
from .journal import ResultsJournal
from .runner import ClipRunner
from .testing import has_ground_truth, write_submission

MAX_SKIPPED_STEPS = 30  # in a row; fp16 starts with a scale of 2^16, which is 1 after 16 of them


@HOOKS.register_module()
class ClipOptimizerHook(GradientCumulativeOptimizerHook):
    """mmcv's accumulating hook, with gradients scaled when the model runs in fp16.

    All optimizers share one backward pass; only the detector's gradients are clipped.

    Args:
        loss_scale: loss scale of fp16, as in mmcv's ``Fp16OptimizerHook``: ``'dynamic'``, a fixed
            number, or a dict of arguments for ``torch.amp.GradScaler``.
        kwargs: ``grad_clip``, and ``cumulative_iters``, the number of iterations whose gradients
            are averaged for one step.

    Raises:
        InputError: the loss scale is none of these.
    """

    def __init__(self, loss_scale: str | float | dict = 'dynamic', **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fixed_scale: float | None = None
        self.scaler_args: dict[str, Any] = {}
        if isinstance(loss_scale, dict):
            self.scaler_args = dict(loss_scale)
        elif isinstance(loss_scale, (int, float)) and not isinstance(loss_scale, bool):
            self.fixed_scale = float(loss_scale)
            self.scaler_args = dict(init_scale=self.fixed_scale)
        elif loss_scale != 'dynamic':
            raise InputError(
                "fp16.loss_scale: must be 'dynamic', a number or the arguments of GradScaler, "
                f'but got {loss_scale!r}'
            )
        self.num_skipped = 0  # steps in a row

    def before_run(self, runner: ClipRunner) -> None:
        """Sets up the gradient scaler, with its saved state if the run is resumed."""
        is_fp16 = runner.model.dtype == torch.float16
        self.scaler = torch.amp.GradScaler(
            runner.model.device.type, enabled=is_fp16, **self.scaler_args
        )
        if is_fp16 and runner.resumed and 'grad_scaler' in runner.resumed.meta:
            self.scaler.load_state_dict(runner.resumed.meta['grad_scaler'])
        for optimizer in runner.optimizers.values():
            optimizer.zero_grad()

    def _is_step_iter(self, runner: ClipRunner) -> bool:
        """Whether the optimizers make a step after this iteration."""
        return self.every_n_iters(runner, self.cumulative_iters) or self.is_last_iter(runner)

    def before_train_iter(self, runner: ClipRunner) -> None:
        """Tells the model whether a step follows, for which processes exchange gradients."""
        runner.model.averages_gradients = self._is_step_iter(runner)

    def after_train_iter(self, runner: ClipRunner) -> None:
        """Runs backward, and makes a step once enough gradients are accumulated."""
        if not self.initialized:
            self._init(runner)
        loss_value = runner.outputs['log_vars']['loss']
        if not self.scaler.is_enabled() and not math.isfinite(loss_value):
            raise InputError(
                f'iteration {runner.iter + 1}: the loss must be finite, but is {loss_value}: '
                'lower optimizer.lr, or look at the data with tevit-vis data browse'
            )
        loss = runner.outputs['loss'] / self._get_loss_factor(runner)
        self.scaler.scale(loss).backward()
        if not self._is_step_iter(runner):
            return
        for optimizer in runner.optimizers.values():
            self.scaler.unscale_(optimizer)
        if self.grad_clip is not None:
            norm = self.clip_grads(runner.model.module.parameters())
            if norm is not None:
                runner.log_buffer.update({'grad_norm': float(norm)}, runner.outputs['num_samples'])
        for optimizer in runner.optimizers.values():
            self.scaler.step(optimizer)
        if self.scaler.is_enabled():
            self._update_scale(runner, loss_value)
        for optimizer in runner.optimizers.values():
            optimizer.zero_grad()

    def _update_scale(self, runner: ClipRunner, loss: float) -> None:
        """Updates the scale of fp16; a step with an overflowed gradient was skipped.

        Raises:
            InputError: too many steps in a row were skipped, so the model no longer learns.
        """
        old_scale = self.scaler.get_scale()
        self.scaler.update()
        skipped = self.scaler.get_scale() < old_scale
        if self.fixed_scale is not None:
            self.scaler.update(self.fixed_scale)
        runner.meta['grad_scaler'] = self.scaler.state_dict()
        self.num_skipped = self.num_skipped + 1 if skipped else 0
        if self.num_skipped >= MAX_SKIPPED_STEPS:
            raise InputError(
                f'iteration {runner.iter + 1}: gradients must be finite in fp16, but overflowed '
                f'in {self.num_skipped} steps in a row (loss {loss:g}, scale {old_scale:g}): take '
                'amp=bf16 or amp=None, or lower optimizer.lr'
            )


@HOOKS.register_module()
class ProgressBarHook(Hook):
    """A bar with the loss, for short runs that a user watches."""

    def before_run(self, runner: ClipRunner) -> None:
        """Shows the bar."""
        self.bar = ProgressBar(
            total=runner.max_iters, initial=runner.iter, unit='step', desc='train'
        )

    def after_train_iter(self, runner: ClipRunner) -> None:
        """Moves the bar and shows the loss."""
        self.bar.set_postfix_str(f'loss {runner.outputs["loss"].item():.2f}')
        self.bar.update()

    def after_run(self, runner: ClipRunner) -> None:
        """Closes the bar, which stays on the screen."""
        self.bar.close()


@HOOKS.register_module()
class ValidationHook(Hook):
    """Tests the model on a data set while it is trained.

    Writes ``val/iter_<n>.json``. Where there are annotations it logs the scores, writes all numbers
    of the analysis to ``val/iter_<n>.report.json``, and keeps the checkpoint with the best score as
    ``best_<score>_iter_<n>.pth``.

    Args:
        dataset: in test mode.
        interval: iterations between tests; the last iteration is always tested.
        metric: ``'segm'``.
        save_best: the score that decides which checkpoint is best, such as ``segm_AP``; None
            keeps no best checkpoint.
        processes: the processes of the run.
    """

    def __init__(
        self,
        dataset: YouTubeVISDataset,
        interval: int,
        metric: str = 'segm',
        save_best: str | None = 'segm_AP',
        processes: Processes | None = None,
    ) -> None:
        names = [f'segm_{name}' for name in STAT_NAMES]
        if metric != 'segm':
            raise InputError(f"evaluation.metric: must be 'segm', but got {metric!r}")
        if save_best is not None and save_best not in names:
            raise InputError(
                f'evaluation.save_best: must be one of {", ".join(names)}, but got {save_best!r}'
            )
        self.dataset = dataset
        self.interval = check_whole_number('evaluation.interval', interval, least=1)
        self.metric = metric
        self.save_best = save_best
        self.processes = processes or Processes()
        self.has_annotations = has_ground_truth(dataset)
        self.best: dict[str, Any] = {}

    def before_run(self, runner: ClipRunner) -> None:
        """Warns if there will be no scores; runs the test that a stopped run did not finish."""
        if not self.has_annotations:
            runner.logger.warning(
                '%s: has no annotations, so validation writes submissions but scores nothing',
                self.dataset.ann_file,
            )
        is_due = runner.iter % self.interval == 0 or runner.iter >= runner.max_iters
        if not (runner.resumed and is_due):
            return
        results_file = self._results_file(runner, runner.iter)
        # The first process decides: the others may run on machines that do not see its disk.
        if self.processes.run_on_first(lambda: not os.path.exists(results_file)):
            self._test(runner, runner.iter)

    def after_train_iter(self, runner: ClipRunner) -> None:
        """Tests every ``interval`` iterations and after the last one."""
        if not (self.every_n_iters(runner, self.interval) or self.is_last_iter(runner)):
            return
        for hook in runner.hooks:  # training's values are logged before validation adds its own
            if isinstance(hook, LoggerHook):
                hook.after_train_iter(runner)
        runner.log_buffer.clear()
        self._test(runner, runner.iter + 1)

    @staticmethod
    def _results_file(runner: ClipRunner, num_iters: int) -> str:
        return os.path.join(runner.work_dir, 'val', f'iter_{num_iters}.json')

    def _test(self, runner: ClipRunner, num_iters: int) -> None:
        """Writes the results of the model after ``num_iters`` iterations, and scores them."""
        results_file = self._results_file(runner, num_iters)
        journal = ResultsJournal(results_file, identity={})
        if self.processes.is_first:
            journal.discard()  # removes what a run that was killed here left
        self.processes.wait()
        model = runner.tested_model
        self.processes.broadcast(model.buffers())  # batch norm's statistics are each process's own
        model.eval()
        write_submission(model, self.dataset, journal, num_workers=2, processes=self.processes)
        runner.model.train()
        if self.processes.is_first and self.has_annotations:
            self._score(runner, results_file, num_iters)

    def _score(self, runner: ClipRunner, results_file: str, num_iters: int) -> None:
        """Logs the scores of the results, and keeps the checkpoint if it is the best so far."""
        with open(results_file, encoding='utf-8') as file:
            results = json.load(file)
        scores = self.dataset.evaluate(results, self.metric)
        analysis = analyse(self.dataset.read_ground_truth(), results, results_file)
        write_json(analysis.report(), f'{os.path.splitext(results_file)[0]}.report.json')
        for name, value in scores.items():
            runner.log_buffer.output[name] = value
        runner.log_buffer.output['eval_iter_num'] = num_iters
        runner.log_buffer.ready = True
        if self.save_best is None:
            return
        # The best score has its own file, since this iteration's checkpoint is already written.
        best_file = os.path.join(runner.work_dir, 'val', 'best.json')
        is_saved = runner.resumed and os.path.exists(best_file)
        saved_best = read_json(best_file, 'best score') if is_saved else {}
        old_best = self.best or saved_best
        if old_best and scores[self.save_best] <= old_best['score']:
            return
        name = f'best_{self.save_best}_iter_{num_iters}.pth'
        runner.save_checkpoint(
            runner.work_dir, filename_tmpl=name, save_optimizer=False, create_symlink=False
        )
        old_name = old_best.get('checkpoint', name)
        self.best = {'score': scores[self.save_best], 'checkpoint': name}
        write_json(self.best, best_file)
        if old_name != name and os.path.exists(os.path.join(runner.work_dir, old_name)):
            os.remove(os.path.join(runner.work_dir, old_name))
