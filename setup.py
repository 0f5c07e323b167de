"""Packaging: the library, and its configs and small checkpoint inside it (see pyproject.toml)."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
EXTRAS = ('train', 'cpu', 'deploy', 'export', 'quickstart', 'docs', 'tests')


def read_requirements(name: str) -> list:
    """Lines of a requirements file, without comments."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    lines = [line.split('#')[0].strip() for line in lines]
    return [line for line in lines if line and not line.startswith('-')]


setup(
    packages=[*find_packages(include=['tevit_vis', 'tevit_vis.*']), 'tevit_vis.configs'],
    # Configs stand beside the package in a checkout and travel inside it when installed.
    package_dir={'tevit_vis.configs': 'configs'},
    package_data={
        'tevit_vis': ['py.typed'],
        'tevit_vis.configs': ['**/*.py', '**/*.md', 'synthetic/tevit_tiny.pth'],
        'tevit_vis.report': ['templates/*.html', 'assets/*'],
        'tevit_vis.demo': ['*.html'],
    },
    extras_require={name: read_requirements(name) for name in EXTRAS},
)
