"""The gate before native code: runs, sizes, coordinates and numbers of files."""

import numpy as np
import pytest
import torch

from tevit_vis.mask_checks import decode_runs, rle_faults
from tevit_vis.rle import encode_masks, to_rle
from tevit_vis.utils.values import is_number, is_whole_number, shorten


def test_runs_are_those_of_the_masks():
    generator = torch.Generator().manual_seed(0)
    for size in ((7, 9), (1, 1), (64, 50), (300, 400)):
        noise = torch.rand(4, *size, generator=generator)
        masks = torch.cat([noise > 0.5, noise > 0.999, noise < 2, noise > 2])
        texts = [rle['counts'] for rle in encode_masks(masks)]
        runs, owners = decode_runs(texts)
        assert np.bincount(owners, runs).tolist() == [size[0] * size[1]] * 16
        for n in (0, 5, 9):
            flat = masks[n].T.flatten().int().numpy()
            changes = np.flatnonzero(np.diff(flat, prepend=0))
            assert runs[owners == n].tolist() == np.diff([0, *changes, len(flat)]).tolist()
        assert rle_faults(texts, [size[0] * size[1]] * 16) == [''] * 16
    assert rle_faults([], []) == []
    assert rle_faults([''], [0]) == ['']


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('72', 'must add up to 12 pixels, but make 9'),
        ('', 'must add up to 12 pixels, but make 0'),
        ('72P', 'is cut off'),
        ("b'723'", 'must be a compressed RLE'),
        ('7é3', 'must be a compressed RLE'),
        ('72\n', 'must be a compressed RLE'),
        ('7O14', 'must not be negative, but one is -1'),
        ('7' + 'o' * 9 + '0', 'longer ones'),
    ],
)
def test_what_is_wrong_with_a_text_is_said(text, words):
    before, found, after = rle_faults(['723', text, '723'], [12] * 3)
    assert words in found
    assert (before, after) == ('', '')


@pytest.mark.parametrize(
    ('mask', 'words'),
    [
        ({'size': [3, 4]}, "it is {'size'"),
        ({'size': [3], 'counts': '723'}, r'"size" must be \[height, width\]'),
        ({'size': [0, 0], 'counts': ''}, '"size" must be 1 to'),
        ({'size': [True, 4], 'counts': '723'}, '"size" must be'),
        ({'size': [10**6, 10**6], 'counts': [10**12]}, 'at most 268435456 pixels'),
        ({'size': [3, 4], 'counts': [-40, 52]}, 'must be 0 or more, of 32 bits, but has -40'),
        ({'size': [3, 4], 'counts': [2**40]}, 'of 32 bits'),
        ({'size': [3, 4], 'counts': [1.5]}, 'must be text or whole numbers'),
        ([[0.0, 0, 1, 0, 1, float('nan')]], 'polygon 0 must have finite numbers, but has nan'),
        ([[0, 0, 1e9, 0, 1e9, 1e9]], 'near its frame of 4x3 pixels, but has x = 1000000000.0'),
        ([[0, 0, 1, 0, 1, -1e4]], 'but has y = -10000.0'),
        ([[0, 0, 1, 0, 1]], 'an x and a y for each point, but 5 numbers'),
        ([[0, 0, 1, '0', 1, 1]], "finite numbers, but has '0'"),
        ([[0, 0, 1, 1]], 'at least three points'),
        ([], 'at least three points'),
        ('723', "it is '723'"),
    ],
)
def test_masks_that_native_code_must_not_see_are_refused(mask, words):
    with pytest.raises(ValueError, match=words):
        to_rle(mask, 3, 4)


def test_a_piece_without_area_beside_a_polygon_is_left_out():
    polygon = [2.0, 1.0, 3.0, 1.0, 3.0, 3.0, 2.0, 3.0]
    assert to_rle([polygon, [0, 0, 1, 1]], 3, 4) == to_rle([polygon], 3, 4)


def test_numbers_are_finite_and_no_booleans():
    assert [is_number(value) for value in (1, 1.5, 10**400, True, None, '1', float('inf'))] == [
        *(True, True, False, False, False, False, False)
    ]
    assert [is_whole_number(value) for value in (1, -3, 1.0, True, '1')] == [
        True,
        True,
        *[False] * 3,
    ]


def test_values_are_shown_short_and_printable():
    assert len(shorten('x' * 1000)) <= 60
    assert shorten('\ud800') == r"'\ud800'"
    assert shorten(10**5000) == 'a whole number of 16610 bits'
