import pytest
import torch

from tevit_vis.apis.distributed import ALONE, Processes


@pytest.mark.parametrize(
    ('asked', 'has_gpu', 'given'),
    [
        (None, True, 'cuda:3'),
        ('cuda', True, 'cuda:3'),
        ('cuda:1', True, 'cuda:1'),
        ('cpu', True, 'cpu'),
        (None, False, None),
        ('cuda', False, 'cuda'),
    ],
)
def test_each_process_takes_its_own_gpu(monkeypatch, asked, has_gpu, given):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: has_gpu)
    assert Processes(rank=11, count=16, local_rank=3).device(asked) == given
    assert ALONE.device(asked) == asked
