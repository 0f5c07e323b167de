"""Backbones of mmdet, as graphs for any number of frames."""

import numpy as np
import pytest
import torch
from mmdet.models.backbones import SwinTransformer
from mmdet.models.backbones.swin import ShiftWindowMSA

pytest.importorskip('onnxscript')
onnxruntime = pytest.importorskip('onnxruntime')


def test_windows_of_swin_come_back_as_they_were():
    attention = ShiftWindowMSA(embed_dims=4, num_heads=2, window_size=3)
    x = torch.randn(3, 6, 9, 4)
    assert torch.equal(attention.window_reverse(attention.window_partition(x), 6, 9), x)


@pytest.mark.filterwarnings('ignore')
def test_swin_is_right_for_other_numbers_of_frames(tmp_path):
    torch.manual_seed(0)
    swin = SwinTransformer(
        embed_dims=8, depths=(2, 2, 2, 2), num_heads=(1, 2, 4, 8), window_size=5, out_indices=(1, 3)
    )
    swin.eval()
    for weight in swin.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    path = str(tmp_path / 'swin.onnx')
    frames = torch.export.Dim('frames', min=1, max=64)
    program = torch.onnx.export(
        swin,
        (torch.randn(4, 3, 48, 80),),
        dynamo=True,
        opset_version=18,
        dynamic_shapes=({0: frames},),
    )
    program.save(path)
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    for num_frames in (1, 3, 4):
        x = torch.randn(num_frames, 3, 48, 80)
        found = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        for level, expected in zip(found, swin(x)):
            np.testing.assert_allclose(level, expected.detach(), atol=1e-4)
