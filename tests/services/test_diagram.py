"""Whatever stands in a diagram, its Mermaid and its DOT say that and nothing else."""

import re

from services.diagram import TEXT_CHARS_MAX, Arrow, Box, Diagram, Frame, shorten, to_dot, to_mermaid

SMALL = Diagram(
    title="Two",
    boxes=[
        Box(name="a", lines=["first", "by hand"], form="hexagon", state="completed"),
        Box(name="b/c", lines=["second"], form="circle", group="b"),
    ],
    arrows=[
        Arrow(source="a", target="b/c", text="always", thick=True),
        Arrow(source="b/c", target="a", dashed=True, quiet=True),
    ],
    frames=[Frame(name="b", title="inside")],
)
HOSTILE = '"]; click n0 href "javascript:alert(1)" \n<img src=x onerror=alert(1)> \\" `x` #quot; \\N \x07 end'


def test_mermaid_has_every_box_arrow_and_frame() -> None:
    assert to_mermaid(SMALL).splitlines() == [
        "---",
        'title: "Two"',
        "---",
        "flowchart TD",
        '    n0{{"first<br/>by hand"}}:::completed',
        '    subgraph cluster_0["inside"]',
        '        n1(("second"))',
        "    end",
        '    n0 ==>|"always"| n1',
        "    n1 -.-> n0",
        "    linkStyle 1 stroke:#8c959f,opacity:0.5",
        "    classDef completed fill:#d7f5dd,stroke:#1a7f37,color:#1f2328",
    ]


def test_dot_has_every_box_arrow_and_frame() -> None:
    assert to_dot(SMALL).splitlines() == [
        "digraph {",
        '    label="Two"; labelloc=t;',
        "    rankdir=TB;",
        '    node [fontname="sans-serif"];',
        '    edge [fontname="sans-serif", fontsize=10];',
        '    n0 [shape=hexagon, label="first\\nby hand", style=filled, fillcolor="#d7f5dd", color="#1a7f37"];',
        "    subgraph cluster_0 {",
        '        label="inside";',
        '        n1 [shape=doublecircle, label="second"];',
        "    }",
        '    n0 -> n1 [label="always", style=bold];',
        '    n1 -> n0 [style=dashed, color="#8c959f"];',
        "}",
    ]


def test_a_hostile_text_stays_a_text_in_mermaid() -> None:
    drawn = to_mermaid(_with(HOSTILE)).splitlines()
    (box,) = (line for line in drawn if line.strip().startswith("n0["))
    text = re.fullmatch(r'    n0\["([^"]*)"\]', box)
    assert text is not None
    assert not set('<>"`[];|\\') & set(re.sub(r"#\d+;", "", text[1]))
    assert _decoded(text[1]) == shorten(HOSTILE)
    assert len(drawn) == 7


def test_a_hostile_text_stays_a_text_in_dot() -> None:
    drawn = to_dot(_with(HOSTILE)).splitlines()
    (box,) = (line for line in drawn if line.strip().startswith("n0 ["))
    text = re.fullmatch(r'    n0 \[shape=box, label="((?:[^"\\]|\\["\\])*)"\];', box)
    assert text is not None
    assert re.sub(r"\\(.)", r"\1", text[1]) == shorten(HOSTILE)


def test_a_line_is_printable_and_bounded() -> None:
    assert shorten("a\n\tb\x1b[31m\u202ec") == "a b [31m c"
    assert len(shorten("x" * 10_000)) == TEXT_CHARS_MAX
    assert shorten("软件开发 流程") == "软件开发 流程"


def _with(text: str) -> Diagram:
    boxes = [Box(name=text, lines=[text]), Box(name="other", lines=["other"])]
    return Diagram(title=text, boxes=boxes, arrows=[Arrow(source=text, target="other", text=text)])


def _decoded(text: str) -> str:
    return re.sub(r"#(\d+);", lambda found: chr(int(found[1])), text)
