"""No file of the project names a registry, a place on somebody's machine, or a secret."""

import re

from tests.tidy.source_tree import ROOT, files

# Written in two halves, so that this file passes its own test.
HOSTS = [
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "repo1.maven" + ".org",
    "repo.maven" + ".apache.org",
    "registry.npmjs" + ".org",
    "static.crates" + ".io",
    "proxy.golang" + ".org",
    "deb.debian" + ".org",
]
FOLDERS = ["/work" + "/", "/root" + "/", "/home" + "/", "/Users" + "/", "/opt" + "/wheels"]
SECRETS = ["PRIVATE KEY" + "-----", "AKIA" + "[0-9A-Z]{16}", "ghp" + "_[0-9A-Za-z]{36}"]

PATHS = [f"(?<![A-Za-z0-9._-]){folder}" for folder in FOLDERS]
PLACE = re.compile("|".join([*PATHS, *map(re.escape, HOSTS), *SECRETS]))


def test_no_file_names_a_registry_a_machine_or_a_secret() -> None:
    found = []
    for name in files():
        text = (ROOT / name).read_bytes().decode("utf-8", errors="ignore")
        found += [f"{name}:{text.count(chr(10), 0, hit.start()) + 1}: {hit[0]}" for hit in PLACE.finditer(text)]
    assert not found, "\n".join(found)
