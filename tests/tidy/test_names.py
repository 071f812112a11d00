"""Names say what a thing is; a drawer for anything has no name here."""

import ast
from pathlib import PurePath

from tests.tidy.source_tree import modules

DRAWERS = {"util", "utils", "common", "helper", "helpers", "base", "core", "manager", "managers", "misc", "shared"}


def test_no_module_or_folder_is_a_drawer() -> None:
    drawers = [m.path for m in modules() if DRAWERS & {PurePath(part).stem for part in PurePath(m.path).parts}]
    assert not drawers, f"name these after the noun they hold: {drawers}"


def test_no_class_is_named_after_its_place_in_a_hierarchy() -> None:
    vague = [
        f"{module.path}:{node.lineno} {node.name}"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and _is_vague(node.name)
    ]
    assert not vague, f"name these after what they are: {vague}"


def _is_vague(name: str) -> bool:
    return name.startswith("Abstract") or name.endswith(("Impl", "Manager", "Helper", "Utils"))


def test_every_module_starts_with_one_sentence_on_what_it_is_for() -> None:
    dumb = [m.path for m in modules() if not _first_paragraph(m.tree).endswith(".")]
    assert not dumb, f"these do not say what they are for in a sentence that ends with a full stop: {dumb}"


def _first_paragraph(tree: ast.Module) -> str:
    return (ast.get_docstring(tree) or "").split("\n\n")[0].strip()
