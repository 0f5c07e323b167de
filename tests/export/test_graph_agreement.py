"""A graph is compared with the model also where the two choose other queries."""

import pytest
import torch
from torch import nn

pytest.importorskip('onnxscript')
pytest.importorskip('onnxruntime')

from tevit_vis.export import ExportOptions  # noqa: E402
from tevit_vis.export.graph_agreement import check_graph, largest_difference  # noqa: E402
from tevit_vis.export.onnx_files import export_graph  # noqa: E402
from tevit_vis.utils.errors import InputError  # noqa: E402

OPTIONS = ExportOptions([(160, 96)])


class BestRows(nn.Module):
    """Scores [Q] and maps [Q, C] -> the two best queries, their scores and their maps."""

    outputs = ('queries', 'class_scores', 'masks')

    def __init__(self, bonus=0.0, factor=1.0, power=1.0):
        super().__init__()
        self.bonus, self.factor, self.power = bonus, factor, power

    def forward(self, scores, maps):
        queries = (scores + self.bonus * torch.tensor([0.0, 0.0, 0.0, 1.0])).topk(2).indices
        maps = self.factor * torch.sin(self.power * maps[queries])
        return [queries, scores[queries], maps]


@pytest.fixture
def inputs():
    return [torch.tensor([0.1, 0.7, 0.5, 0.6]), torch.arange(8.0).view(4, 2)]


def difference(exported, model, inputs, path):
    export_graph(exported, inputs, path, (('scores', 'maps'), BestRows.outputs), False)
    return check_graph(model, path, inputs, OPTIONS)


def test_same_queries_in_another_order(inputs, tmp_path):
    assert difference(BestRows(0.2), BestRows(), inputs, tmp_path / 'order.onnx') < 1e-6


def test_another_order_does_not_hide_other_maps(inputs, tmp_path):
    with pytest.raises(InputError, match=r'maps.onnx differs from the model by 9.1e-02'):
        difference(BestRows(0.2, 1.1), BestRows(), inputs, tmp_path / 'maps.onnx')


def test_as_far_off_as_the_model_itself_by_rounding(inputs, tmp_path):
    power = 1e5  # so that a change by a millionth is a change of the angle by up to one half
    exported = BestRows(power=power * (1 + 2e-7))
    assert difference(exported, BestRows(power=power), inputs, tmp_path / 'wild.onnx') > 1e-3


def test_no_query_of_both():
    first, second = ({'queries': torch.tensor([n])} for n in range(2))
    assert largest_difference(first, second) == float('inf')
    nothing = {'queries': torch.zeros(0, dtype=torch.int64)}
    assert largest_difference(nothing, nothing) == 0
