"""The READMEs say where all weights are."""

from pathlib import Path

import pytest

from tevit_vis.model_zoo import ZOO

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize('name', ZOO)
def test_every_file_is_in_a_readme(name):
    weights = ZOO[name]
    folder = name.split('/')[0]
    readme = ROOT / ('docs/weights.md' if folder == 'pretrained' else f'configs/{folder}/README.md')
    rows = [line for line in readme.read_text().splitlines() if f'`{name}`' in line]
    rows = [row for row in rows if (weights.mmcv_name or weights.address) in row]
    assert len(rows) == 1
    for text in (weights.file, weights.licence, weights.digest, weights.what):
        assert text in rows[0]
