"""The layout designer: sets the text as a page for the screen and as a letter of plain lines for the mail."""

import json
import sys
import textwrap
from html import escape
from typing import Any

MAIL_WIDTH = 66
_STYLE = """
body { margin: 0; background: #f6f3ee; color: #2b2926; font: 18px/1.6 Georgia, "Noto Serif", serif; }
main { max-width: 36rem; margin: 0 auto; padding: 3.5rem 1.25rem; }
h1 { margin: 0 0 2rem; padding-bottom: 1rem; border-bottom: 3px double #b9a98f; font-size: 2rem; line-height: 1.2; }
h2 { margin: 2rem 0 .2rem; color: #8a5a2b; font-size: 1rem; letter-spacing: .06em; text-transform: uppercase; }
p { margin: 0; }
p.lead::first-letter { float: left; margin: .1em .1em 0 0; color: #8a5a2b; font-size: 3.2em; line-height: .8; }
aside { margin-top: 3rem; color: #a33; font-size: .9rem; }
"""


def lay_out(inputs: dict[str, str], _: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    blocks = [block for block in inputs["text"].split("\n\n") if block.strip()]
    problems = json.loads(inputs["feedback"])["problems"]
    print(f"{len(blocks)} blocks set", file=sys.stderr)
    return {"open_problems": len(problems)}, {"page": set_page(blocks, problems), "mail": set_mail(blocks)}


def set_page(blocks: list[str], problems: list[dict[str, str]]) -> str:
    title = escape(blocks[0].strip("# \n"))
    body = [f"<h1>{title}</h1>"]
    for number, block in enumerate(blocks[1:]):
        if block.startswith("## "):
            body.append(f"<h2>{escape(block[3:])}</h2>")
        else:
            look = ' class="lead"' if number == 1 else ""
            body.append(f"<p{look}>{escape(block.strip())}</p>")
    if problems:
        body.append(f"<aside>The editor still has {len(problems)} remarks on this text.</aside>")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


def set_mail(blocks: list[str]) -> str:
    lines = []
    for block in blocks:
        if block.startswith("#"):
            heading = block.strip("# \n")
            lines += [heading, ("=" if block.startswith("# ") else "-") * len(heading), ""]
        else:
            lines += [textwrap.fill(block.strip(), MAIL_WIDTH), ""]
    return "\n".join(lines)
