"""The site's own address: a base address of http or https, and nothing else."""

from __future__ import annotations

import pytest

from services.gateway.web.public_address import origin_of
from services.kit.settings import SettingInvalid


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://board.example.org", "https://board.example.org"),
        ("https://Board.Example.org:443/", "https://board.example.org"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:80", "http://[::1]"),
        ("https://board.example.org:8443", "https://board.example.org:8443"),
    ],
)
def test_a_base_address_is_an_origin(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "board.example.org",
        "ftp://board.example.org",
        "https://",
        "https://board.example.org/boards",
        "https://board.example.org?x=1",
        "https://board.example.org#x",
        "https://user@board.example.org",
        "https://board.example.org:port",
        "https://bücher.example",
        "https://[::1",
    ],
)
def test_what_is_none_is_refused(url: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        origin_of(url)
    assert caught.value.metadata["variable"] == "GATEWAY_WEB_URL"
