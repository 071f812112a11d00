"""Trees to report on: with and without history, strange names, strange bytes, hostile words."""

import os
import subprocess
from pathlib import Path

CHINESE = 'def 问候(名字):\n    """你好。"""\n    return 名字\n\n\n# 注释\n'
TYPESCRIPT = """// head
import { b } from './b';
import React from "react";
import x from '@scope/pkg/sub';
/* block
   more */
export function one(a: number): number {
  return a; // tail
}

export const two = async (x: string) => {
  const s = "/* not a comment";
  return s;
};
"""


def make_empty_tree(root: Path) -> Path:
    root.mkdir(parents=True)
    return root


def make_odd_tree(root: Path) -> Path:
    """No git; names in Chinese, with markup and with bytes that are no UTF-8; links, a pipe, a binary file."""
    (root / "资料" / "测试").mkdir(parents=True)
    (root / "资料" / "问候.py").write_text(CHINESE, encoding="utf-8")
    (root / "资料" / "测试" / "test_a.py").write_text("import os\n", encoding="utf-8")
    (root / "latin.py").write_bytes(b'x = "caf\xe9"\n')
    (root / "broken.py").write_text("def broken(:\n    pass\n", encoding="utf-8")
    (root / "empty.py").touch()
    (root / "dos.txt").write_bytes(b"a\r\nb\r\n")
    (root / "unended.txt").write_bytes(b"no newline")
    (root / "wide.txt").write_bytes("h\n".encode("utf-16"))
    (root / "blob.bin").write_bytes(b"\0\1\2")
    (root / "<script>alert(1)<.html").write_text('<b>&"\n', encoding="utf-8")
    (root / "dangling").symlink_to("nowhere")
    (root / "loop").symlink_to(".")
    os.mkfifo(root / "pipe")
    Path(os.fsdecode(os.fsencode(root) + b"/f\xff.py")).write_text("print(1)\n", encoding="utf-8")
    (root / "node_modules").mkdir()
    (root / "node_modules" / "brought.js").write_text("let x = 1;\n", encoding="utf-8")
    return root


def make_script_tree(root: Path) -> Path:
    (root / "src").mkdir(parents=True)
    (root / "src" / "a.ts").write_text(TYPESCRIPT, encoding="utf-8")
    (root / "src" / "b.ts").write_text("export const b = 1;\n", encoding="utf-8")
    return root


def make_repository(root: Path) -> Path:
    """Three commits by two people over two years: `old.py` becomes `pkg/new.py`, which is changed once more."""
    root.mkdir(parents=True)
    run_git(root, "init", "--quiet")
    (root / ".gitignore").write_text("made/\n", encoding="utf-8")
    (root / "old.py").write_text("def f():\n    return 1\n\n\ndef g():\n    return f()\n", encoding="utf-8")
    commit(root, "Write <it> & go", author="Ada & Co.", day="2024-03-01")
    (root / "pkg").mkdir()
    run_git(root, "mv", "old.py", "pkg/new.py")
    (root / "use.py").write_text("import json\n\nfrom pkg import new\n\nprint(json, new)\n", encoding="utf-8")
    commit(root, "Move it", author="Bo 王", day="2025-01-15")
    with (root / "pkg" / "new.py").open("a", encoding="utf-8") as file:
        file.write("\n\ndef h():\n    return 3\n")
    commit(root, "Add h", author="Ada & Co.", day="2026-02-28")
    (root / "made").mkdir()
    (root / "made" / "ignored.py").write_text("x = 1\n", encoding="utf-8")
    (root / "fresh.py").write_text("y = 2\n", encoding="utf-8")
    return root


def commit(root: Path, subject: str, *, author: str, day: str) -> None:
    run_git(root, "add", "--all")
    who = {"NAME": author, "EMAIL": "a@example.invalid", "DATE": f"{day}T12:00:00Z"}
    names = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in who.items()}
    run_git(root, "commit", "--quiet", "--message", subject, environment=names)


def run_git(root: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
    """Without the settings of the person who runs the tests."""
    clean = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", **(environment or {})}
    subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True, env=clean)
