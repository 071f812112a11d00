"""Workflows of the Serverless Workflow language become ours: valid, in order, and honest about the rest."""

import pytest
import yaml

from services.definitions.catalogue import shipped_catalogue
from services.definitions.foreign.condition import translate_condition
from services.definitions.foreign.reading import Imported, import_workflow
from services.definitions.problem import DefinitionInvalid

ORDER = """
document: {dsl: '1.0.0', namespace: shop, name: order-fulfilment, version: '1.2.0', title: Fulfil an order, summary: From order to parcel}
input:
  schema:
    document:
      type: object
      required: [orderId]
      properties: {orderId: {type: string}, amount: {type: number}, express: {type: boolean}}
timeout: {after: {hours: 2}}
use: {secrets: [apiKey]}
do:
  - checkStock:
      call: http
      with: {method: get, endpoint: 'https://shop.example/stock'}
      timeout: {after: PT30S}
  - decide:
      switch:
        - available: {when: '${ .inStock == true and .count > 0 }', then: pack}
        - default: {then: reorder}
  - reorder:
      try:
        - askSupplier: {call: http, with: {method: post, endpoint: 'https://supplier.example/order'}}
      catch:
        errors: {with: {status: 503}}
        retry: {delay: {seconds: 5}, backoff: {exponential: {}}, limit: {attempt: {count: 4}}}
        do:
          - tellSupport: {emit: {event: {with: {type: support.needed}}}}
      then: waitForGoods
  - waitForGoods:
      listen: {to: {one: {with: {type: goods.arrived}}}}
      then: checkStock
  - pack:
      fork:
        branches:
          - label: {run: {shell: {command: echo, arguments: [label]}}}
          - invoice: {run: {script: {language: python, code: print('invoice')}}}
  - insure:
      if: '${ .amount > 100 }'
      call: http
      with: {endpoint: 'https://insurance.example'}
  - cool: {wait: {minutes: 5}}
  - send:
      set: {sent: true}
      export: {as: '.'}
      then: end
"""  # noqa: E501
LOOP = """
document: {dsl: '1.0.0', namespace: x, name: loop, version: '0.1.0'}
do:
  - start: {switch: [{big: {when: '${ .size >= 10 }', then: each}}, {default: {then: fail}}]}
  - each:
      for: {each: photo, in: '${ .photos }', at: index}
      do:
        - resize: {call: resize, with: {to: '${ .photo }'}}
        - check: {if: '${ .blurred | not }', set: {ok: true}}
      then: end
  - fail: {raise: {error: {type: bad, status: 400}}}
"""
RACE = """
document: {dsl: '1.0.0', namespace: x, name: race, version: '0.1.0'}
do:
  - race: {fork: {compete: true, branches: [{a: {set: {x: 1}}}, {b: {do: [{b1: {set: {x: 2}}}, {b2: {set: {x: 3}}}]}}]}}
  - after: {set: {done: true}}
"""


def imported(text: str) -> Imported:
    found = import_workflow(text.encode(), "flow.yaml", professions=shipped_catalogue().levels())
    assert found.format == "serverless"
    assert [str(problem) for problem in found.problems if problem.severity == "error"] == []
    return found


def stages(text: str) -> dict[str, dict[str, object]]:
    return {stage["id"]: stage for stage in yaml.safe_load(imported(text).text)["workflow"]["stages"]}


def test_the_head_and_the_inputs_carry_over() -> None:
    flow = yaml.safe_load(imported(ORDER).text)["workflow"]
    assert (flow["id"], flow["name"], flow["version"], flow["timeout"]) == (
        "order-fulfilment", "Fulfil an order", "1.2.0", "2h"
    )  # fmt: skip
    assert flow["inputs"]["orderId"] == {"required": True, "type": "string"}
    assert flow["inputs"]["amount"] == {"required": False, "type": "number"}


def test_a_switch_is_the_choice_of_the_stage_before_it() -> None:
    check = stages(ORDER)["checkStock"]
    assert check["next"] == [
        {"to": "pack", "when": "result.inStock == true && result.count > 0"}, {"to": "askSupplier", "else": True}
    ] or check["choose"] == "first"  # fmt: skip
    assert check["timeout"] == "30s"
    (first, second) = check["next"]  # type: ignore[misc]
    assert first["when"] == "result.inStock == true && result.count > 0"
    assert second["else"] is True


def test_each_kind_of_task_becomes_what_it_is_here() -> None:
    found = stages(ORDER)
    assert found["waitForGoods"]["wait"] == {"signal": "goods.arrived"}
    assert found["cool"]["wait"] == {"for": "5m"}
    assert found["askSupplier"]["retry"] == {"max_attempts": 4, "backoff": "5s", "factor": 2}
    assert found["askSupplier"]["on_error"] == {"to": "tellSupport"}
    assert found["label"]["with"] == {"command": ["sh", "-c", "set -e\necho label\necho '{\"ok\": true}'"]}
    assert found["invoice"]["with"]["command"][0] == "python3"  # type: ignore[index]
    assert found["label"]["next"] == found["invoice"]["next"] == ["pack_join"]
    assert "next" not in found["send"]


def test_a_jump_back_gets_a_limit_and_that_is_told() -> None:
    assert stages(ORDER)["waitForGoods"]["next"] == [{"to": "checkStock", "max_times": 100}]
    assert any("a jump back needs a limit" in loss.reason for loss in imported(ORDER).losses)


def test_a_condition_on_a_task_has_a_way_past_it() -> None:
    join = stages(ORDER)["pack_join"]
    assert join["next"] == [{"to": "insure", "when": "inputs.amount > 100"}, {"to": "cool", "else": True}]
    assert any(loss.where == "pack_join" for loss in imported(ORDER).losses)


def test_what_did_not_carry_over_is_listed_with_its_place() -> None:
    told = {loss.where for loss in imported(ORDER).losses}
    assert {"workflow.use", "do.send.export", "do.checkStock.call", "do.reorder.catch.errors"} <= told


def test_an_iteration_is_a_map_over_a_workflow_inside() -> None:
    flow = yaml.safe_load(imported(LOOP).text)["workflow"]
    found = {stage["id"]: stage for stage in flow["stages"]}
    assert found["each"]["map"] == {"over": "photos", "as": "photo"}
    assert found["fail"]["end"] == {"status": "failed"}
    inner = flow["subflows"][found["each"]["subflow"]["id"]]
    assert inner["stages"][0]["id"] == "resize"
    assert flow["inputs"]["size"] == {"required": False}
    assert '"check" in result && result["check"] == true' in imported(LOOP).text


def test_branches_that_compete_are_joined_by_the_first() -> None:
    found = stages(RACE)
    assert found["race_join"]["join"] == {"at_least": 1, "rest": "cancel"}
    assert found["b1"]["next"] == ["b2"]
    assert found["race_join"]["next"] == ["after"]


@pytest.mark.parametrize(
    ("jq", "cel"),
    [
        ("${ .a.b > 1 }", "result.a.b > 1"),
        ('.a == "b" or (.n <= -2.5 and .ok == false)', 'result.a == "b" || ( result.n <= -2.5 && result.ok == false )'),
        (".items | length > 0", None),
        (".a + 1 > 2", None),
        ("", None),
    ],
)  # fmt: skip
def test_plain_comparisons_become_cel(jq: str, cel: str | None) -> None:
    found = translate_condition(jq, "result")
    assert (found[0] if found else None) == cel


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("document: {dsl: '1.0.0'}\ndo: []\n", "there is no `document` with a `do` list"),
        ("document: {dsl: '1.0.0'}\ndo: [{a: {dance: 1}}]\n", "do.a is none of call, do"),
        ("document: {dsl: '1.0.0'}\ndo: [{a: {set: {x: 1}, then: nowhere}}]\n", "leads nowhere"),
        ("document: {dsl: '1.0.0'}\ndo: [5]\n", "is not one task with its name"),
        ("[]", "a workflow is a mapping"),
        ("a: 1", "this is neither"),
    ],
)
def test_what_is_no_workflow_is_refused_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(DefinitionInvalid, match=said):
        import_workflow(text.encode(), "flow.yaml")
