"""What import contracts cannot say: what an import loads, and that deciders are pure."""

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.tidy.source_tree import ROOT, Module, modules

CLIENTS = {"aiohttp", "aiokafka", "apsw", "fastapi", "psycopg", "sqlalchemy", "uvicorn", "uvloop"}

ROLES = {
    "services.access.keys",
    "services.allocator.budgets",
    "services.allocator.pool",
    "services.factory.instances",
    "services.factory.professions",
    "services.health.watch",
    "services.orchestrator.artifacts",
    "services.orchestrator.reviews",
    "services.orchestrator.runs",
    "services.orchestrator.schedules",
    "services.router.conversations",
    "services.router.roster",
}
"""Each of them is pure from the day it is there, as a module or as a folder."""

_VALUES = ("channel", "deadline", "decider", "digest", "errors", "fence", "memory", "record", "seen")
BUS_VALUES = {f"bus.{name}" for name in _VALUES}

PURE_LIBRARIES = {
    *("immutables", "pydantic", "cronsim"),
    "zoneinfo",  # reads what is the same for everybody who has the same edition of it
    *("__future__", "abc", "base64", "bisect", "collections", "dataclasses", "datetime", "decimal", "enum"),
    *("fractions", "functools", "hashlib", "heapq", "itertools", "json", "math", "operator", "re", "statistics"),
    *("string", "struct", "types", "typing", "unicodedata"),
}

IMPURE_CALLS = {"input", "now", "open", "print", "today", "utcnow", "uuid1", "uuid4"}


@functools.cache
def by_name() -> dict[str, Module]:
    return {_dotted(module.path): module for module in modules() if module.path.startswith(("bus/", "services/"))}


def _dotted(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def inside(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def imported(module: Module) -> Iterator[str]:
    """Dotted names of all that a module imports at run time, submodules by their own name."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in by_name() else node.module


def pure_reach(name: str, allowed: set[str], own: str) -> tuple[set[str], list[str]]:
    """Follow the imports of a module within its own package; return what was reached and what is not allowed."""
    reached: set[str] = set()
    wrong = []
    open_names = [name]
    while open_names:
        current = open_names.pop()
        if current in reached:
            continue
        reached.add(current)
        for target in imported(by_name()[current]):
            if inside(target, {own}) and target in by_name() and target != own:
                open_names.append(target)
            elif not inside(target, allowed | PURE_LIBRARIES):
                wrong.append(f"{current} imports {target}")
    return reached, wrong


def impure_calls(name: str) -> list[str]:
    return [
        f"{by_name()[name].path}:{node.lineno} calls {called}"
        for node in ast.walk(by_name()[name].tree)
        if isinstance(node, ast.Call) and (called := _called(node.func)) in IMPURE_CALLS
    ]


def _called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def role_modules() -> list[str]:
    return sorted(name for name in by_name() if inside(name, ROLES))


def test_a_role_imports_only_values_records_definitions_and_its_own_pure_modules() -> None:
    allowed = BUS_VALUES | {"services.records", "services.definitions"}
    wrong = []
    for role in role_modules():
        reached, impure = pure_reach(role, allowed, own=".".join(role.split(".")[:2]))
        wrong += impure + [call for name in sorted(reached) for call in impure_calls(name)]
    assert not wrong, "\n".join(sorted(set(wrong)))


def test_the_values_of_the_bus_are_pure() -> None:
    wrong = []
    for name in sorted(BUS_VALUES & set(by_name())):
        wrong += [
            f"{name} imports {t}" for t in imported(by_name()[name]) if not inside(t, BUS_VALUES | PURE_LIBRARIES)
        ]
        wrong += impure_calls(name)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ["bus", "services.records", "services.definitions", "services.topology"])
def test_an_import_loads_no_client_library(name: str) -> None:
    if name not in by_name():
        pytest.xfail(f"{name} is not written yet")
    program = f"import sys, {name}; print(*sorted({CLIENTS!r} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert loaded.stdout.split() == []
