"""Conditions in CEL: exact, told apart from one another, and never failing in an unknown way."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.definitions.expression import TEXT_MAX, ExpressionFailed, compile_expression

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def value(text: str, **variables: object) -> object:
    return compile_expression(text).evaluate(variables)


def refusal(text: str, **variables: object) -> str:
    with pytest.raises(ExpressionFailed) as caught:
        compile_expression(text).holds(variables)
    assert text in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("result.n > 3", {"n": 3.5}),
        ("result.n > 3.5", {"n": 4}),
        ("result.n == 3", {"n": 3.0}),
        ("result.n == 3.0", {"n": 3}),
        ("3 in result.n", {"n": [3.0]}),
        ("result.n * 100 > 50", {"n": 0.7}),
        ("result.n * 100 > 50", {"n": 7}),
        ("result.n + 0.5 == 3.5", {"n": 3}),
        ("result.n[0] + 0.5 == 1.5", {"n": [1]}),
        ("result['n'][1] + 0.5 == 1.5", {"n": [0, 1]}),
        ("[2, 3][1] * result.n == 1.5", {"n": 0.5}),
        ("result.n % 2 == 1", {"n": 3}),
        ("result.n / 2 == 1", {"n": 3}),
        ("size(result.n) == 2", {"n": [1, 2]}),
        ("has(result.n) && !has(result.m)", {"n": None}),
        ("result.n.exists(x, x.bad)", {"n": [{"bad": False}, {"bad": True}]}),
        ("result.n == '软件'", {"n": "软件"}),
        ("result.n.matches('^v[0-9]+$')", {"n": "v12"}),
    ],
)
def test_whole_numbers_and_fractions_mix_as_in_json(text: str, result: dict[str, object]) -> None:
    assert compile_expression(text).holds({"result": result}) is True


def test_each_refusal_names_the_expression_and_the_reason() -> None:
    assert "reads the field 'x', which is not there" in refusal("result.x", result={})
    assert "gave a whole number, where true or false is expected" in refusal("1 + 1")
    assert "gave nothing" in refusal("result.x", result={"x": None})
    assert "Syntax error" in refusal("a &&& b")
    assert "division by zero" in refusal("1 / result.n == 1", result={"n": 0})
    assert "string + int" in refusal("result.s + 1 == 2", result={"s": "a"})
    assert "not a valid regex" in refusal("result.s.matches('[')", result={"s": "a"})
    assert "Undefined variable or function: 'other'" in refusal("other.x")


def test_size_and_nesting_are_bounded() -> None:
    with pytest.raises(ExpressionFailed, match="5000 characters, more than 4096"):
        compile_expression("a" * 5_000)
    assert "inside each other" in refusal("[1].all(x, [1].all(y, [1].all(z, true)))")
    assert compile_expression("[1].all(x, [1].all(y, true)) && [1].all(z, true)").holds({})


@pytest.mark.parametrize("text", ["!" * (TEXT_MAX - 4) + "true", "(" * 2_000 + "1" + ")" * 2_000, "[" * TEXT_MAX])
def test_the_longest_expressions_do_not_exhaust_the_stack(text: str) -> None:
    with contextlib.suppress(ExpressionFailed):
        compile_expression(text).evaluate({})


def test_the_names_that_an_expression_uses_are_known() -> None:
    text = "has(result.x) && result.l.exists(i, i.y > 1) && artifacts['a-b'].version > size(inputs) && f(other)"
    expression = compile_expression(text)
    assert expression.variables == {"result", "artifacts", "inputs", "other"}
    assert expression.functions == {"size", "f"}
    assert expression.fields["result"] == {"x", "l"}
    assert expression.fields["artifacts"] == {"a-b"}
    assert expression.fields["inputs"] is None


@pytest.mark.parametrize("text", ["inputs.all(k, true)", r"inputs['a\'b']", "inputs[inputs.b]", "inputs == {}"])
def test_a_variable_used_as_a_whole_is_handed_over_as_a_whole(text: str) -> None:
    assert compile_expression(text).fields["inputs"] is None


def test_words_in_texts_and_comments_are_not_variables() -> None:
    expression = compile_expression("'inputs.z' == inputs.y // result.q")
    assert expression.variables == {"inputs"}
    assert expression.fields["inputs"] == {"y"}


@pytest.mark.parametrize("text", ["result.m.map(k, k)", "result . m . filter ( k, true )", "(result.m).map(k, k + '')"])
def test_comprehensions_walk_through_mappings_in_order(text: str) -> None:
    keys = [f"k{number:02}" for number in range(30)]
    assert value(text, result={"m": dict.fromkeys(reversed(keys), 1)}) == keys


def test_comprehensions_over_lists_keep_their_order_also_when_numbers_are_widened() -> None:
    assert value("result.l.map(i, i * 0.5)", result={"l": [3, 1, 2]}) == [1.5, 0.5, 1.0]
    assert value("result.l.map(i, i.m.map(k, k))", result={"l": [{"m": {"b": 1, "a": 1}}]}) == [["a", "b"]]


def test_what_is_not_read_does_not_matter() -> None:
    assert value("result.a", result={"a": 1, "b": object()}, inputs=object()) == 1


@given(JSON, JSON, st.sampled_from(["+", "-", "*", "/", "%", "==", "<", "in", "&&", "||"]))
def test_over_any_json_an_expression_gives_a_value_or_our_one_failure(a: object, b: object, sign: str) -> None:
    expression = compile_expression(f"result.a {sign} result.b")
    try:
        first = expression.evaluate({"result": {"a": a, "b": b}})
    except ExpressionFailed:
        return
    second = expression.evaluate({"result": {"b": b, "a": a}})
    quirk = sign == "+" and isinstance(a, list) and isinstance(b, dict)
    assert quirk or first == second or (isinstance(first, float) and math.isnan(first))


@given(st.text(alphabet="result.abc()[]{}'\"+-*/%<>=!&|?:,0123456789 \\\n软", max_size=40))
def test_any_text_compiles_or_fails_in_our_one_way(text: str) -> None:
    with contextlib.suppress(ExpressionFailed):
        compile_expression(text).evaluate({"result": {"a": 1}})
