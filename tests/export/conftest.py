"""Models that are exported once for all tests."""

import pytest
import torch

from tevit_vis.apis import init_model

SIZE = (160, 96)
WINDOWS = dict(length=4, stride=2)


def seeded_model(name, **options):
    torch.manual_seed(0)
    return init_model(f'synthetic/{name}', device='cpu', cfg_options=options)


@pytest.fixture(scope='session')
def ifc():
    return seeded_model('ifc_tiny', **{'model.test_cfg.windows': WINDOWS})


@pytest.fixture(scope='session')
def exported(ifc, tmp_path_factory):
    pytest.importorskip('onnxscript')
    from tevit_vis.export import ExportOptions, export_model

    folder = tmp_path_factory.mktemp('export') / 'ifc'
    agreements = export_model(ifc, folder, ExportOptions([SIZE]))
    assert [agreement.size for agreement in agreements] == [SIZE, SIZE]
    assert all(agreement.num_expected > 10 for agreement in agreements)
    return folder
