"""What a Python file defines and needs, read from its syntax tree."""

import ast
import warnings
from collections.abc import Iterator
from pathlib import PurePosixPath

from outline import Function, Outline

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def outline_python(path: str, data: bytes) -> Outline | None:
    """None for what this Python cannot read: an older dialect or a broken file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        try:
            module = ast.parse(data)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
    found = _list_statements(module)
    definitions = [(node, owner) for node, owner in found if isinstance(node, _DEFINITIONS)]
    return Outline(
        functions=tuple(_describe(node, owner) for node, owner in definitions if not isinstance(node, ast.ClassDef)),
        imports=frozenset(_list_imports(path, [node for node, _ in found])),
        documented=frozenset(_number_docstring_lines([module, *(node for node, _ in definitions)])),
    )


def _list_statements(module: ast.Module) -> list[tuple[ast.stmt, str]]:
    """All statements in order, with the name of what they stand in; expressions hold none and are not entered.

    Without recursion: a chain of `elif` nests as deep as it is long.
    """
    found: list[tuple[ast.stmt, str]] = []
    waiting = [(node, "") for node in reversed(module.body)]
    while waiting:
        node, owner = waiting.pop()
        found.append((node, owner))
        if hasattr(node, "body") or hasattr(node, "cases"):
            inner = f"{owner}{node.name}." if isinstance(node, _DEFINITIONS) else owner
            waiting.extend((child, inner) for child in reversed(_list_children(node)))
    return found


def _list_children(node: ast.stmt) -> list[ast.stmt]:
    parts = [*getattr(node, "handlers", ()), *getattr(node, "cases", ())]
    children = list(getattr(node, "body", ()))
    for part in parts:
        children += part.body
    return [*children, *getattr(node, "orelse", ()), *getattr(node, "finalbody", ())]


def _describe(node: _Definition, owner: str) -> Function:
    last = node.end_lineno or node.lineno
    return Function(name=owner + node.name, line=node.lineno, lines=last - node.lineno + 1)


def _number_docstring_lines(nodes: list[ast.Module | _Definition]) -> Iterator[int]:
    for node in nodes:
        match node.body[:1]:
            case [ast.Expr(value=ast.Constant(value=str()), lineno=first, end_lineno=last)]:
                yield from range(first, (last or first) + 1)


def _list_imports(path: str, nodes: list[ast.stmt]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from _name_modules(path, node)


def _name_modules(path: str, node: ast.ImportFrom) -> Iterator[str]:
    """`from a import b` may name the module a or the module a.b: both are candidates."""
    package = PurePosixPath(path).parent.parts
    parts = list(package[: len(package) - node.level + 1]) if node.level else []
    module = ".".join([*parts, *([node.module] if node.module else [])])
    if module:
        yield module
    yield from (f"{module}.{alias.name}" if module else alias.name for alias in node.names if alias.name != "*")
