"""The git program, asked with a bound on its time; a machine or a tree without git is an answer, not a failure."""

import os
import subprocess
from pathlib import Path

TIMEOUT_S = 20.0
# A foreign tree must not make git run programs that its configuration names, and reading must not write.
_OPTIONS = ("-c", "core.fsmonitor=false", "-c", "core.quotePath=false", "-c", "log.showSignature=false")
# Whoever names a tree wants it read, also where it belongs to another user than the worker's.
_OPTIONS += ("-c", "safe.directory=*")
# Set while git runs a hook, they would lead to another tree.
_LEADING_ASTRAY = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"})
_ENVIRONMENT = {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}


class GitUnavailable(Exception):
    """Why nothing can be learned from git, as the end of a sentence."""


def ask_git(root: Path, *arguments: str, timeout_s: float = TIMEOUT_S) -> bytes:
    command = ["git", *_OPTIONS, "-C", str(root), *arguments]
    inherited = {name: value for name, value in os.environ.items() if name not in _LEADING_ASTRAY}
    environment = {**inherited, **_ENVIRONMENT}
    try:
        done = subprocess.run(command, capture_output=True, timeout=timeout_s, check=True, env=environment)
    except FileNotFoundError as error:
        raise GitUnavailable("git is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise GitUnavailable(f"git took longer than {timeout_s:g} seconds") from error
    except subprocess.CalledProcessError as error:
        raise GitUnavailable(_read_reason(error.stderr)) from error
    return done.stdout


def _read_reason(stderr: bytes) -> str:
    text = stderr.decode("utf-8", "replace").strip()
    if "not a git repository" in text:
        return "the tree is not under version control"
    if "does not have any commits" in text or "unknown revision" in text or "bad revision" in text:
        return "the repository has no commits yet"
    return f"git refused: {text.splitlines()[0].removeprefix('fatal: ')}" if text else "git failed without a word"
