"""Imports point only down the list of docs/architecture.md."""

import ast
from pathlib import Path

import pytest

import tevit_vis

PACKAGE = Path(tevit_vis.__file__).parent
# Each layer may import itself and those before it.
LAYERS = [
    ['utils', 'arrays', 'structures', 'ground_truth', 'geometry', 'version', 'mask_checks'],
    ['rle', 'video', 'layers'],
    ['mask_pasting'],
    ['numpy_masks'],
    ['masks', 'mask_filters', 'annotated_videos'],
    ['annotations', 'annotated_instances', 'annotated_images'],
    [
        'tracking',
        'evaluation',
        'visualization',
        'models.backbones',
        'models.assigners',
        'models.losses',
        'models.necks',
    ],
    ['report', 'formats', 'inference_config'],
    ['outputs', 'datasets'],
    ['deploy'],
    ['models.heads'],
    ['models.detectors', 'models'],
    ['converters'],
    ['model_zoo'],
    ['apis', 'data_tools'],
    ['export'],
    ['demo'],
    ['jobs'],
    ['commands'],
    ['cli', '__main__'],
]
# Methods that write what a structure holds: they import what does it when they are called.
AT_CALL_TIME = {
    'structures.instances': {'rle', 'evaluation.submission', 'outputs', 'formats'},
    'numpy_masks': {'masks'},
    # On import of mmcv or mmdet, when this library is imported.
    'utils.compat': {'utils.config'},
    # A command in a package of its own.
    'deploy.__main__': {'cli'},
}
FORBIDDEN = [('models', 'datasets'), ('datasets', 'models')]


def layer_of(module: str) -> int:
    for depth, names in enumerate(LAYERS):
        if any(module == name or module.startswith(f'{name}.') for name in names):
            return depth
    raise AssertionError(f'{module} has no layer: add it to LAYERS and docs/architecture.md')


def imported_modules(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            # 'from tevit_vis.datasets import Frame' names a module or something in it.
            names = {f'{node.module}.{alias.name}' for alias in node.names}
            modules |= {n for n in names if is_module(n)} or {node.module}
    return {m[len('tevit_vis.') :] for m in modules if m.startswith('tevit_vis.')}


def test_what_is_imported_at_call_time_is_not_imported_before():
    for module, names in AT_CALL_TIME.items():
        path = PACKAGE / f'{module.replace(".", "/")}.py'
        top_level = ast.parse(path.read_text()).body
        modules = {node.module for node in top_level if isinstance(node, ast.ImportFrom)}
        assert not {f'tevit_vis.{name}' for name in names} & modules


def is_module(name: str) -> bool:
    path = PACKAGE.parent / name.replace('.', '/')
    return path.with_suffix('.py').exists() or (path / '__init__.py').exists()


SOURCES = [
    path
    for path in sorted(PACKAGE.rglob('*.py'))
    if path.relative_to(PACKAGE).as_posix() not in ('__init__.py', 'models/__init__.py')
    and 'configs' not in path.parts
]


@pytest.mark.parametrize('path', SOURCES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_point_down(path):
    module = path.relative_to(PACKAGE).with_suffix('').as_posix().replace('/', '.')
    module = module[: -len('.__init__')] if module.endswith('.__init__') else module
    for imported in imported_modules(path) - AT_CALL_TIME.get(module, set()):
        assert layer_of(imported) <= layer_of(module), f'{module} imports {imported}'
        for owner, other in FORBIDDEN:
            assert not (module.startswith(owner) and imported.startswith(other)), imported


def test_importing_upwards_is_seen(tmp_path):
    source = tmp_path / 'wrong.py'
    source.write_text('from tevit_vis.apis import init_model\n')
    assert imported_modules(source) == {'apis'}
    assert layer_of('apis') > layer_of('layers.clip_ops')


@pytest.mark.parametrize('path', SOURCES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_a_file_holds_one_thing(path):
    assert len(path.read_text().splitlines()) <= 300
