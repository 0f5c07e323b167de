"""What packages export shows how it is used; the examples themselves run as doctests."""

import importlib
import inspect
import pkgutil

import pytest

import tevit_vis

PACKAGES = [m.name for m in pkgutil.walk_packages(tevit_vis.__path__, 'tevit_vis.') if m.ispkg]


@pytest.mark.parametrize('name', PACKAGES)
def test_exported_functions_have_an_example(name):
    module = importlib.import_module(name)
    for exported in getattr(module, '__all__', []):
        value = getattr(module, exported)
        if inspect.isfunction(value):
            assert '>>>' in inspect.getdoc(value), f'{name}.{exported}'
