"""Packaging: the library, and its configs inside it."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def read_requirements(name: str) -> list:
    """Lines of a requirements file, without comments."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    lines = [line.split('#')[0].strip() for line in lines]
    return [line for line in lines if line and not line.startswith('-')]


def read_version() -> str:
    """``__version__``, without importing the package."""
    scope: dict = {}
    exec((ROOT / 'tevit_vis' / 'version.py').read_text(), scope)
    return scope['__version__']


setup(
    name='tevit-vis',
    version=read_version(),
    description='Video instance segmentation on MMDetection: find, mask, name and follow objects',
    long_description=(ROOT / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.9,<3.13',
    packages=[*find_packages(include=['tevit_vis', 'tevit_vis.*']), 'tevit_vis.configs'],
    # Configs stand beside the package in a checkout and travel inside it when installed.
    package_dir={'tevit_vis.configs': 'configs'},
    package_data={
        'tevit_vis.configs': ['**/*.py', '**/*.md'],
        'tevit_vis.report': ['templates/*.html', 'assets/*'],
    },
    # torch, mmcv-full and mmdet are left to tools/setup_env.sh: pip cannot build mmcv-full for the
    # torch that is there. The version gate says what is missing.
    install_requires=read_requirements('runtime'),
    extras_require={
        name: read_requirements(name) for name in ('deploy', 'export', 'formats', 'tests')
    },
)
