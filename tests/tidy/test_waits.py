"""Tests wait for conditions, in one place."""

import ast

from tests.tidy.source_tree import Module, modules

POLLING_PLACE = "tests/eventually.py"
SLEEPERS = {"time", "asyncio", "anyio"}


def test_no_test_sleeps() -> None:
    sleeping = [
        f"{module.path}:{line}"
        for module in modules()
        if module.path.startswith("tests/") and module.path != POLLING_PLACE
        for line in _sleeps(module)
    ]
    assert not sleeping, f"wait with `eventually` from {POLLING_PLACE} instead: {sleeping}"


def _sleeps(module: Module) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(module.tree)
        if isinstance(node, ast.stmt | ast.expr) and (_imports_sleep(node) or _calls_sleep(node))
    ]


def _imports_sleep(node: ast.AST) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module in SLEEPERS and any(n.name == "sleep" for n in node.names)


def _calls_sleep(node: ast.AST) -> bool:
    """Tell whether it sleeps; `asyncio.sleep(0)` only lets others run and is no wait."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "sleep"):
        return False
    owner = node.func.value
    if not (isinstance(owner, ast.Name) and owner.id in SLEEPERS):
        return False
    return not (len(node.args) == 1 and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0)
