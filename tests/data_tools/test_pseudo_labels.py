"""Videos labelled by a model."""

import json
import re

import numpy as np
import pytest
from builders import noise_frames, write_frames

from tevit_vis.data_tools.checks import DatasetCheck
from tevit_vis.data_tools.pseudo_labels import PseudoLabels, Thresholds
from tevit_vis.rle import encode_array
from tevit_vis.structures import VideoInstances
from tevit_vis.utils.errors import InputError
from tevit_vis.video import VideoWriter


def test_scores_decide():
    mask = encode_array(np.ones((4, 6), bool))
    scores = np.array([0.9, 0.3, 0.1], np.float32)
    found = VideoInstances(
        np.array([1, 0, 0]), scores, np.zeros((3, 2, 4), np.float32), [[mask, None]] * 3, (4, 6)
    )
    labels = PseudoLabels(['cat', 'dog'], Thresholds(0.6, 0.2))
    assert labels.add('walk', ['walk/0.jpg', 'walk/1.jpg'], found) == (1, 1)
    content = labels.content()
    crowds = [(e['category_id'], e['iscrowd'], e['score']) for e in content['annotations']]
    assert crowds == [(2, 0, 0.9), (1, 1, 0.3)]
    assert DatasetCheck(content, 'new.json', None).faults == []
    with pytest.raises(InputError, match='--unsure: must be at most --sure, 0.2, but is 0.6'):
        Thresholds(0.2, 0.6)


def test_the_command_makes_a_data_set(call, call_fails, tiny_files, tmp_path):
    config, checkpoint = tiny_files
    root = tmp_path / 'frames'
    write_frames(root / 'there', noise_frames(3, 48, 80))
    with VideoWriter(str(tmp_path / 'clip.mp4'), 10) as writer:
        for frame in noise_frames(4, 48, 80):
            writer.write(frame)
    out = tmp_path / 'new.json'
    arguments = (
        *('data/pseudo_label.py', config, checkpoint, root / 'there', tmp_path / 'clip.mp4'),
        *('--out', out, '--frames', root, '--device', 'cpu', '--sure', 0, '--unsure', 0),
    )
    printed = call(*arguments)
    assert re.search(r'clip.mp4: \d+ tracks, 0 regions', printed)
    content = json.loads(out.read_text())
    check = DatasetCheck(content, str(out), str(root))
    assert check.faults == []
    assert [len(video['file_names']) for video in content['videos']] == [3, 4]
    assert content['annotations']
    line = call_fails(*arguments)
    assert 'clip: frames must go to a new folder, but it is there already' in line
