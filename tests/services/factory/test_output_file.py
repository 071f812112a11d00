"""An output is the very file that was checked, whatever becomes of its name meanwhile."""

from pathlib import Path

import pytest

from services.factory.agents import output_file
from services.factory.agents.envelope import EnvelopeBroken
from services.factory.agents.output_file import opened_output


def test_what_takes_the_name_later_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    secret, out = tmp_path / "secret", tmp_path / "own" / "out"
    secret.write_text("secret")
    out.write_text("mine")
    with opened_output(tmp_path / "own", "out", "out") as (_, held):
        out.unlink()
        out.symlink_to(secret)
        assert held.read_text() == "mine"


@pytest.mark.parametrize("folder", [False, True])
def test_a_name_that_leads_elsewhere_once_it_was_checked_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: bool
) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    for each in (own / "sub", other):
        each.mkdir(parents=True)
        (each / "out").write_text(each.name)
    found = output_file.find_output

    def swapped(directory: Path, name: str, path: str) -> Path:
        place = found(directory, name, path)
        if folder:
            (own / "sub").rename(own / "moved")
            (own / "sub").symlink_to(other)
        else:
            place.unlink()
            place.symlink_to(other / "out")
        return place

    monkeypatch.setattr(output_file, "find_output", swapped)
    with pytest.raises(EnvelopeBroken, match="changed while it was taken"), opened_output(own, "out", "sub/out"):
        pass
