"""The table of weights that are known to exist.

Addresses, scores and licences are as their authors publish them; hashes are those that authors put
into file names, or none.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import mmcv

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.values import did_you_mean

OPENMMLAB = 'https://download.openmmlab.com/mmdetection/v2.0/'
HUSTVL = 'https://github.com/hustvl/Storage/releases/download/v1.1.0/'
META = 'https://dl.fbaipublicfiles.com/maskformer/mask2former/coco/instance/'
DRIVE = 'https://drive.google.com/file/d/'
SWIN = 'https://github.com/SwinTransformer/storage/releases/download/v1.0.0/'
MMCV_TABLES = Path(mmcv.__file__).parent / 'model_zoo'  # addresses of backbones by mmcv's names
BROWSER_HOSTS = ('drive.google.com',)  # which ask questions before they give a file

IMAGENET = 'ImageNet'
# Of detectron2, as IFC took it; its images are normalised otherwise than those of Detectron.
CAFFE_R101 = 'open-mmlab://detectron2/resnet101_caffe'
APACHE = 'Apache-2.0'
MIT = 'MIT'
BSD = 'BSD-3-Clause'
NON_COMMERCIAL = 'CC BY-NC 4.0: not for commercial use'
NON_COMMERCIAL_ALIKE = 'CC BY-NC-SA 4.0: not for commercial use'


@dataclass(frozen=True)
class Weights:
    """A file with weights that somebody has published.

    Args:
        name: by which it is asked for. That of a model begins with its config's name; that of a
            backbone is the file that configs name in ``init_cfg``.
        address: where it is.
        licence: of the weights.
        what: what they were trained on, and the published score.
        digest: algorithm and beginning of the file's hash, ``sha256:8e96e88b``; empty if unknown.
        converter: system of ``tevit-vis convert-checkpoint``; empty if they load as they are.
        filename: of the file, where the address does not end in it.
        mmcv_name: mmcv's name for the address, ``torchvision://resnet50``; empty if it has none.

    Example:
        >>> find_weights('mask2former/mask2former_r50_coco').file
        'mask2former_r50_lsj_8x2_50e_coco_20220506_191028-8e96e88b.pth'
    """

    name: str
    address: str
    licence: str
    what: str
    digest: str = ''
    converter: str = ''
    filename: str = ''
    mmcv_name: str = ''

    @property
    def file(self) -> str:
        """The name of the file."""
        return self.filename or posixpath.basename(urlsplit(self.address).path)

    @property
    def config(self) -> str:
        """The name of the config that takes them; empty for a backbone."""
        return '' if self.name.startswith('pretrained/') else self.name.partition('@')[0]

    @property
    def needs_browser(self) -> bool:
        """Whether the address gives the file to people only."""
        return urlsplit(self.address).hostname in BROWSER_HOSTS


def _openmmlab(name: str, path: str, what: str) -> Weights:
    """Returns weights of mmdet's zoo, whose file names end in the beginning of their hash."""
    return Weights(name, OPENMMLAB + path, APACHE, what, _digest_in(path))


def _digest_in(path: str) -> str:
    """Returns the digest that ends the name of a file, ``resnet50-0676ba61.pth``."""
    return f'sha256:{path.rsplit("-", 1)[1].partition(".")[0]}'


def _of_mmcv(name: str, table: str, mmcv_name: str, licence: str) -> Weights:
    """Returns a backbone whose address is in a table that mmcv ships."""
    address = mmcv.load(str(MMCV_TABLES / table))[mmcv_name.partition('://')[2]]
    digest = _digest_in(address)
    return Weights(name, address, licence, IMAGENET, digest, mmcv_name=mmcv_name)


def _on_drive(
    name: str, key: str, licence: str, what: str, converter: str, filename: str
) -> Weights:
    """Returns weights on a drive, whose addresses do not name the file."""
    return Weights(
        name, f'{DRIVE}{key}/view', licence, what, converter=converter, filename=filename
    )


MASK2FORMER = [
    _openmmlab(
        f'mask2former/mask2former_{backbone}_coco',
        f'mask2former/mask2former_{folder}/mask2former_{folder}_{file}.pth',
        f'COCO, mask AP {score}',
    )
    for backbone, folder, file, score in (
        ('r50', 'r50_lsj_8x2_50e_coco', '20220506_191028-8e96e88b', 42.9),
        ('r101', 'r101_lsj_8x2_50e_coco', '20220426_100250-c50b6fa6', 44.0),
        ('swin-t', 'swin-t-p4-w7-224_lsj_8x2_50e_coco', '20220508_091649-4a943037', 44.7),
        ('swin-s', 'swin-s-p4-w7-224_lsj_8x2_50e_coco', '20220504_001756-743b7d99', 46.1),
    )
] + [
    Weights(
        f'mask2former/mask2former_{backbone}_coco@official',
        f'{META}maskformer2_{folder}_bs16_50ep/model_final_{md5}.pkl',
        NON_COMMERCIAL,
        f'COCO, mask AP {score}',
        digest=f'md5:{md5}',
        converter='mask2former',
        filename=f'mask2former_official_{backbone}_{md5}.pkl',
    )
    for backbone, folder, md5, score in (
        ('r50', 'R50', '3c8ec9', 43.7),
        ('r101', 'R101', 'eba159', 44.2),
        ('swin-t', 'swin_tiny', '86143f', 45.0),
        ('swin-s', 'swin_small', '1e7f22', 46.3),
    )
]
MINVIS = [
    _on_drive(
        f'mask2former/mask2former_r50_ytvis19{variant}',
        key,
        NON_COMMERCIAL_ALIKE,
        what,
        'mask2former',
        file,
    )
    for variant, key, what, file in (
        (
            '@minvis',
            '1mdrL6QRVmoz-QizohZ7SnyGDlpAWFCVf',
            'YouTube-VIS 2019, AP 47.3',
            'minvis_r50_ytvis19.pth',
        ),
        (
            '@minvis-ovis',
            '1CaJhmej8ySruccKklDJcIK6lKuEskpXj',
            'OVIS, AP 26.7 (25 classes: model.panoptic_head.num_classes=25)',
            'minvis_r50_ovis.pth',
        ),
    )
]
QUERYINST = [
    _openmmlab(
        f'tevit/queryinst_{variant}_coco',
        f'queryinst/queryinst_{folder}_3x_coco/queryinst_{folder}_3x_coco_{file}.pth',
        f'COCO, mask AP {score}',
    )
    for variant, folder, file, score in (
        ('r50', 'r50_fpn_mstrain_480-800', '20210901_103643-7837af86', 39.8),
        (
            'r50_300',
            'r50_fpn_300_proposals_crop_mstrain_480-800',
            '20210904_101802-85cffbd8',
            41.7,
        ),
        ('r101', 'r101_fpn_mstrain_480-800', '20210904_104048-91f9995b', 41.0),
        (
            'r101_300',
            'r101_fpn_300_proposals_crop_mstrain_480-800',
            '20210904_153621-76cce59f',
            42.9,
        ),
    )
]
TEVIT = [
    Weights(f'tevit/{name}', f'{HUSTVL}{file}.pth', MIT, what)
    for name, file, what in (
        ('tevit_msgshift', 'tevit_msgshift', 'YouTube-VIS 2019, AP 46.3'),
        ('tevit_msgshift_mstrain', 'tevit_msgshift_mstrain', 'YouTube-VIS 2019, AP 46.9'),
        ('tevit_r50', 'tevit_r50', 'YouTube-VIS 2019, AP 42.1'),
        ('tevit_swin-l_mstrain', 'tevit_swin-l_mstrain', 'YouTube-VIS 2019, AP 56.8'),
        (
            'queryinst_pvtv2-b1_coco',
            'queryinst_pvtv2-b1_fpn_mstrain_480-800_3x_coco',
            'COCO: the start of tevit_msgshift',
        ),
    )
]
SEQFORMER = [
    _on_drive(
        f'seqformer/seqformer_{variant}',
        key,
        APACHE,
        f'{data}, AP {score}',
        'seqformer',
        f'seqformer_official_{variant}.pth',
    )
    for variant, key, data, score in (
        ('r50_ytvis19', '1fI8_1h_UDaZiwOupCOa4_tRPWa49uzDr', 'YouTube-VIS 2019', 45.1),
        ('r50_joint', '1ecKUrt9vNZscI4gaGCrvjRLu6rDM9wNX', 'YouTube-VIS 2019 and COCO', 47.4),
        ('r101_joint', '1bUaMVz5zITzKzqnQC8aM9Ul0KrQ6sKgn', 'YouTube-VIS 2019 and COCO', 49.0),
        ('x101_joint', '1cB9cleZWmiited6JEYVZ9P9PyfyAzy_m', 'YouTube-VIS 2019 and COCO', 51.2),
        ('swin-l_joint', '1lENhEaMVhP9DylTcQFElPMVQOfKqmo0a', 'YouTube-VIS 2019 and COCO', 59.3),
    )
]
IFC = [
    _on_drive(
        f'ifc/ifc_{variant}_ytvis19',
        key,
        APACHE,
        f'YouTube-VIS 2019, AP {score}',
        'ifc',
        f'ifc_official_{variant}.pth',
    )
    for variant, key, score in (
        ('r50', '1i2ChMm-jfilWdqEjEbfm0prKNh9_N-uK', '41.6 (windows of 5), 42.8 (of 36)'),
        ('r101', '14leBVbWo4pWt_YvK-SLhd3W2S6mR0yV7', '44.6 (windows of 36)'),
    )
]
BACKBONES = [
    *(
        _of_mmcv(f'pretrained/{file}.pth', table, mmcv_name, licence)
        for file, table, mmcv_name, licence in (
            ('resnet50', 'torchvision_0.12.json', 'torchvision://resnet50', BSD),
            ('resnet101', 'torchvision_0.12.json', 'torchvision://resnet101', BSD),
            ('resnet101_caffe', 'open_mmlab.json', CAFFE_R101, APACHE),
            ('resnext101_32x8d', 'torchvision_0.12.json', 'torchvision://resnext101_32x8d', BSD),
        )
    ),
    Weights(
        'pretrained/pvt_v2_b1.pth',
        'https://github.com/whai362/PVT/releases/download/v2/pvt_v2_b1.pth',
        APACHE,
        IMAGENET,
    ),
    *(
        Weights(f'pretrained/{file}', SWIN + file, MIT, IMAGENET)
        for file in (
            'swin_tiny_patch4_window7_224.pth',
            'swin_small_patch4_window7_224.pth',
            'swin_large_patch4_window7_224_22kto1k.pth',
            'swin_large_patch4_window12_384_22k.pth',
        )
    ),
]
ZOO = {
    weights.name: weights
    for weights in (*MASK2FORMER, *MINVIS, *QUERYINST, *TEVIT, *SEQFORMER, *IFC, *BACKBONES)
}


def find_weights(name: str) -> Weights:
    """Returns the weights of a name.

    Raises:
        InputError: no weights have this name; the nearest one is named.

    Example:
        >>> find_weights('tevit/tevit_r50').what
        'YouTube-VIS 2019, AP 42.1'
    """
    if name not in ZOO:
        raise InputError(
            f'{name}: no weights have this name (tevit-vis download --list prints those that are '
            f'known){did_you_mean(name, list(ZOO), quoted=False)}'
        )
    return ZOO[name]


def weights_for(config: str) -> list[Weights]:
    """Returns all weights that a config takes, those of its own name first.

    Args:
        config: name of the config; none are known for a config of a user's own, which has none.

    Example:
        >>> [weights.name for weights in weights_for('ifc/ifc_r50_ytvis19')]
        ['ifc/ifc_r50_ytvis19']
    """
    return sorted(
        (weights for weights in ZOO.values() if config and weights.config == config),
        key=lambda weights: weights.name != config,
    )
