"""What a label means is decided by its name, wherever two lists of classes meet."""

import json
import logging

import pytest
import torch

from tevit_vis.apis.testing import match_categories
from tevit_vis.datasets.categories import category_table, choose_categories
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.weights import rows_by_name


def test_the_same_names_in_another_order_are_mapped_and_said(caplog):
    categories = {3: 'cat', 7: 'dog', 9: 'Giant panda'}
    assert match_categories(('cat', 'dog', 'Giant panda'), categories, 'a.json') == [3, 7, 9]
    assert caplog.text == ''
    assert match_categories(('giant_panda', 'dog', 'cat'), categories, 'a.json') == [9, 7, 3]
    assert 'a.json: categories are in another order' in caplog.text
    assert match_categories(('0', '1', '2'), categories, 'a.json') == [3, 7, 9]  # unknown names
    assert match_categories(('cat', 'dog'), {3: '0', 7: '1'}, 'a.json') == [3, 7]


def test_other_names_are_an_error_with_both_lists():
    with pytest.raises(InputError, match="the model's classes, cat, owl, but are cat, dog"):
        match_categories(('cat', 'owl'), {3: 'cat', 7: 'dog'}, 'a.json')


def test_a_file_with_the_tables_names_under_other_ids_keeps_its_ids(caplog):
    table = category_table('ovis')
    names = list(table.values())
    entries = [dict(id=100 - n, name=name) for n, name in enumerate(names)]
    with caplog.at_level(logging.WARNING):
        found = choose_categories({'categories': entries}, 'a.json', 'ovis', must_agree=True)
    assert list(found.values()) == names  # labels as the table has them
    assert list(found)[:2] == [100, 99]
    assert 'names decide' in caplog.text


def test_rows_of_class_layers_are_taken_by_name():
    weights = {
        'roi_head.bbox_head.0.fc_cls.weight': torch.arange(6.0).view(3, 2),
        'roi_head.mask_head.0.conv_logits.bias': torch.tensor([0.0, 1, 2]),
        'bbox_head.class_branch.2.bias': torch.tensor([0.0, 1, 2, 9]),  # the last: no object
        'neck.conv.weight': torch.arange(3.0),
    }
    drawn = {key: torch.full_like(value, -1) for key, value in weights.items()}
    moved = rows_by_name(weights, drawn, ('cat', 'dog', 'owl'), ('owl', 'fox', 'cat'))
    assert moved['roi_head.bbox_head.0.fc_cls.weight'].tolist() == [[4, 5], [-1, -1], [0, 1]]
    assert moved['roi_head.mask_head.0.conv_logits.bias'].tolist() == [2, -1, 0]
    assert moved['bbox_head.class_branch.2.bias'].tolist() == [2, -1, 0, 9]
    assert moved['neck.conv.weight'].tolist() == [0, 1, 2]


@pytest.mark.parametrize('names', [('owl', 'fox', 'cat', 'ant'), ('fox', 'owl')])
def test_rows_are_taken_by_name_where_the_number_of_classes_changes(names):
    weights = {
        'head.fc_cls.weight': torch.arange(6.0).view(3, 2),
        'head.class_branch.bias': torch.tensor([0.0, 1, 2, 9]),  # the last: no object
        'head.cls_embed.weight': torch.zeros(7, 2),  # has nothing to do with these classes
    }
    drawn = {
        'head.fc_cls.weight': torch.full((len(names), 2), -1.0),
        'head.class_branch.bias': torch.full((len(names) + 1,), -1.0),
        'head.cls_embed.weight': torch.ones(5, 2),
    }
    moved = rows_by_name(weights, drawn, ('cat', 'dog', 'owl'), names)
    rows = {'cat': [0, 1], 'owl': [4, 5]}
    assert moved['head.fc_cls.weight'].tolist() == [rows.get(name, [-1, -1]) for name in names]
    biases = {'cat': 0, 'owl': 2}
    assert moved['head.class_branch.bias'].tolist() == [*(biases.get(n, -1) for n in names), 9]
    assert moved['head.cls_embed.weight'] is weights['head.cls_embed.weight']


def test_a_submission_has_the_ids_of_the_names(tiny_model, video_dataset, tmp_path):
    from tevit_vis.apis import write_submission
    from tevit_vis.apis.journal import ResultsJournal
    from tevit_vis.datasets import YouTubeVISDataset

    path, images = video_dataset
    content = json.loads(path.read_text())
    names = [f'class_{n}' for n in range(40)]
    results = []
    for order in (range(40), reversed(range(40))):
        content['categories'] = [dict(id=n + 1, name=names[n]) for n in order]
        path.write_text(json.dumps(content))
        dataset = YouTubeVISDataset(
            str(path), str(images), tiny_model.cfg.data.test.pipeline, test_mode=True
        )
        tiny_model.CLASSES = tuple(names)
        out = tmp_path / 'r.json'
        write_submission(tiny_model, dataset, ResultsJournal(str(out), {}))
        entries = json.loads(out.read_text())
        results.append([(e['video_id'], e['category_id'], e['score']) for e in entries])
    assert results[0] == results[1]
