"""The shapes that `clawx bench flow` measures are what they are called, and its figures those of whole runs."""

import json

import pytest

from services.cli.bench.flow import SHAPES
from services.definitions.validation import validate
from services.definitions.workflow import read_workflow
from tests.services.cli.conftest import Clawx


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_a_shape_has_as_many_stages_as_it_says_and_can_be_run(shape: str) -> None:
    text = json.dumps({"id": "x", "stages": list(SHAPES[shape](100)), "inputs": {"list": {"required": False}}})
    source = read_workflow(text.encode(), shape)
    assert len(source.workflow.stages) == (1 if shape == "map" else 100)
    assert validate(source) == ()


def test_the_figures_have_a_factor_for_each_shape(clawx: Clawx) -> None:
    ended = clawx("bench", "flow", "--shape", "map", "--stages", "200", "--json")
    assert ended.code == 0, ended.err
    (figures,) = json.loads(ended.out).values()
    assert figures["factor"] == pytest.approx(
        figures["cpu_us_per_stage_of_200"] / figures["cpu_us_per_stage_of_100"], abs=0.02
    )
    assert clawx("bench", "flow", "--shape", "circle").code == 2
