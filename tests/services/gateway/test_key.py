"""The key is made once and kept from others; commands find the gateway of this machine while it serves."""

import os
import socket
from pathlib import Path

import pytest

from bus.errors import Unavailable
from services.client import KEY_FILE
from services.gateway.key import keep_key
from services.gateway.presence import announced, find_server


def test_the_key_stays_the_same_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    key = keep_key(tmp_path / "data")
    assert len(key) >= 40
    assert keep_key(tmp_path / "data") == key
    assert (tmp_path / "data" / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == [KEY_FILE]


def test_a_key_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_text("mine\n")
    (tmp_path / KEY_FILE).chmod(0o644)
    assert keep_key(tmp_path) == "mine"
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be used: Not a directory"):
        keep_key(tmp_path / "file" / "data")


def test_a_gateway_is_found_while_it_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        assert find_server(tmp_path) == ""
        with announced(tmp_path, url):
            assert find_server(tmp_path) == url
        assert find_server(tmp_path) == ""


def test_what_a_killed_gateway_left_behind_is_not_believed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    (tmp_path / "server.json").write_text(f'{{"url": "{url}", "pid": {os.getpid()}}}')
    assert find_server(tmp_path) == ""
    (tmp_path / "server.json").write_text("{")
    assert find_server(tmp_path) == ""
