"""The CEL library, without what its package loads beside it.

`import cel` also imports the package's interactive shell and with it a terminal toolkit: 0.7 s at every start of a
command and 20 MB in every process. The compiled module needs neither, so it is loaded by itself, as `cel.cel`.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from pathlib import Path
from types import ModuleType

NAME = "cel.cel"


def load_cel() -> ModuleType:
    """The compiled module; raises ModuleNotFoundError where it is not installed."""
    if NAME in sys.modules:
        return sys.modules[NAME]
    path = _path()
    loader = ExtensionFileLoader(NAME, str(path))
    spec = importlib.util.spec_from_file_location(NAME, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    sys.modules[NAME] = module
    return module


def _path() -> Path:
    package = importlib.util.find_spec("cel")
    for folder in (package.submodule_search_locations or ()) if package else ():
        for suffix in EXTENSION_SUFFIXES:
            if (path := Path(folder) / f"cel{suffix}").exists():
                return path
    raise ModuleNotFoundError("the package common-expression-language is not installed", name="cel")
