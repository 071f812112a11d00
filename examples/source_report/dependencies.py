"""What leans on what: the modules of the tree that others import, and the packages from outside."""

import posixpath
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from sizes import ROWS_MAX, File, is_test

Statistics = dict[str, Any]

_STANDARD = "standard library"
_SCRIPT_ENDINGS = ("", ".ts", ".tsx", ".js", ".jsx", ".mjs", "/index.ts", "/index.js")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """What can be found inside: files by path, Python modules by dotted name."""

    paths: frozenset[str]
    modules: dict[str, str]
    roots: frozenset[str]


def summarise_dependencies(code: Sequence[File], directory: str) -> Statistics:
    """Counts the files that import something, each once. A package is from outside when no file of the tree is it."""
    tree = _index(code, directory)
    inside: Counter[str] = Counter()
    outside: Counter[str] = Counter()
    for file in code:
        for target, is_inside in {_resolve(file, name, tree) for name in file["imports"]}:
            (inside if is_inside else outside)[target] += target != file["path"]
    standard = outside.pop(_STANDARD, 0)
    product = {path: count for path, count in inside.items() if count and not is_test(path)}
    return {
        "inside": [{"path": path, "files": count} for path, count in _rank(product)],
        "inside_count": len(product),
        "outside": [{"name": name, "files": count} for name, count in _rank(outside)],
        "outside_count": len(outside),
        "standard_files": standard,
    }


def _index(code: Sequence[File], directory: str) -> Tree:
    modules = dict(_name_modules(code, directory))
    return Tree(
        paths=frozenset(file["path"] for file in code),
        modules=modules,
        roots=frozenset(name.split(".")[0] for name in modules),
    )


def _name_modules(code: Iterable[File], directory: str) -> Iterable[tuple[str, str]]:
    """Each Python file with code in it, under the names by which it may be imported."""
    for file in code:
        path = PurePosixPath(file["path"])
        if path.suffix == ".py" and file["code"]:
            parts = path.parent.parts if path.name == "__init__.py" else path.with_suffix("").parts
            for names in (parts, (directory, *parts), parts[1:] if parts[:1] == ("src",) else ()):
                if names:
                    yield ".".join(names), file["path"]


def _resolve(file: File, name: str, tree: Tree) -> tuple[str, bool]:
    """The path of a file of the tree, or the name of a package from outside; and which of the two it is."""
    directory = posixpath.dirname(file["path"])
    beside = posixpath.normpath(posixpath.join(directory, name))
    match file["language"]:
        case "Python":
            return _resolve_python(file["path"], name, tree)
        case "JavaScript" | "TypeScript":
            if name.startswith("."):
                return next((beside + end for end in _SCRIPT_ENDINGS if beside + end in tree.paths), beside), True
            return "/".join(name.split("/")[: 2 if name.startswith("@") else 1]), False
        case "C" | "C++" if beside in tree.paths:
            return beside, True
    return name, False


def _resolve_python(path: str, name: str, tree: Tree) -> tuple[str, bool]:
    """A name that a module of the tree defines is that module's: the importer stands for it, and is not counted."""
    root = name.partition(".")[0]
    directory = ".".join(PurePosixPath(path).parent.parts)
    if name in tree.modules:
        return tree.modules[name], True
    if root in tree.roots or not root:  # a file read by pattern may have a relative name left
        return path, True
    if root in sys.stdlib_module_names:
        return _STANDARD, False
    if f"{directory}.{name}" in tree.modules:  # a script's own directory is on its path
        return tree.modules[f"{directory}.{name}"], True
    return (path, True) if f"{directory}.{root}" in tree.modules else (root, False)


def _rank(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(((name, count) for name, count in counts.items() if count), key=lambda item: (-item[1], item[0]))[
        :ROWS_MAX
    ]
