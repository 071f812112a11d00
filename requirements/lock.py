"""Writes the two lock files: every dependency by version and hash, for all supported Pythons, with no address."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLACELESS = ["--no-emit-index-url", "--no-emit-find-links", "--no-header", "--no-annotate"]


def lock(name: str, *what: str) -> None:
    """Compile one lock file from pyproject.toml; what is locked already stays unless --upgrade is given."""
    command = ["compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes", *PLACELESS]
    output = ["--output-file", f"requirements/{name}", *sys.argv[1:]]
    subprocess.run(
        [sys.executable, "-m", "uv", "pip", *command, *what, *output, "pyproject.toml"], cwd=ROOT, check=True
    )


def main() -> None:
    """Lock what checks the project first, so that what runs it is the same in both."""
    names = ("kafka", "model", "oidc", "postgres", "proof")
    extras = [word for name in names for word in ("--extra", name)]
    lock("dev.lock", *extras, "--group", "dev")
    lock("run.lock", *extras, "--group", "build", "--constraint", "requirements/dev.lock")


if __name__ == "__main__":
    main()
