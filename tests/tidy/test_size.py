"""Functions and files stay small."""

from tests.tidy.source_tree import modules

FUNCTION_LINES_MAX = 50
FILE_LINES_MAX = 400


def test_no_function_is_longer_than_fifty_lines() -> None:
    long = [
        f"{module.path}:{function.lineno} {function.name} has {length} lines"
        for module in modules()
        for function in module.functions()
        if (length := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES_MAX
    ]
    assert not long, "split these by noun:\n" + "\n".join(long)


def test_no_file_is_longer_than_four_hundred_lines() -> None:
    long = [f"{m.path} has {m.line_count} lines" for m in modules() if m.line_count > FILE_LINES_MAX]
    assert not long, "split these by noun:\n" + "\n".join(long)
