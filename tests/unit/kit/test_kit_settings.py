"""Settings are read typed, refused by name, and secrets hide."""

from __future__ import annotations

import pytest

from services.kit.settings import Environment, Secret, SettingInvalid

SECRET = "canary-5f1d"


def environment(**values: str) -> Environment:
    return Environment({f"X_{name}": value for name, value in values.items()}, "X_")


def test_an_absent_or_empty_value_gives_the_default():
    for env in (environment(), environment(A="")):
        assert env.text("A", "b") == "b"
        assert env.number("A", 1.5, low=0, high=2) == 1.5
        assert env.integer("A", 3, low=0, high=9) == 3
        assert env.choice("A", "on", ("on", "off")) == "on"
        assert env.path("A") is None
        assert env.secret("A") is None


def test_a_text_without_default_must_be_set_and_is_named():
    with pytest.raises(SettingInvalid, match="Set X_A") as caught:
        environment().text("A")
    assert caught.value.metadata["variable"] == "X_A"


@pytest.mark.parametrize("text", ["", " ", "five", "nan", "inf", "-1", "10.5", "1e9", "0x5"])
def test_a_number_outside_its_range_or_unreadable_is_refused(text):
    env = environment(A=text)
    if not text:
        assert env.number("A", 7, low=0, high=10) == 7
        return
    with pytest.raises(SettingInvalid, match="X_A must be a number from 0 to 10"):
        env.number("A", 7, low=0, high=10)


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("10", 10), ("2.5", 2.5), (" 3 ", 3)])
def test_a_number_within_its_range_is_taken_bounds_included(text, value):
    assert environment(A=text).number("A", 7, low=0, high=10) == value


def test_a_whole_number_refuses_fractions():
    assert environment(A="4").integer("A", 7, low=0, high=10) == 4
    with pytest.raises(SettingInvalid, match="whole number"):
        environment(A="4.5").integer("A", 7, low=0, high=10)


def test_a_choice_refuses_other_words():
    assert environment(A="off").choice("A", "on", ("on", "off")) == "off"
    with pytest.raises(SettingInvalid, match="one of on, off"):
        environment(A="maybe").choice("A", "on", ("on", "off"))


def test_a_secret_comes_from_the_value_or_from_a_file(tmp_path):
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    assert environment(A=SECRET).secret("A").reveal() == SECRET
    assert environment(A_FILE=str(file), A="other").secret("A").reveal() == SECRET


def test_a_secret_whose_file_is_missing_is_refused_by_name(tmp_path):
    with pytest.raises(SettingInvalid, match="X_A_FILE"):
        environment(A_FILE=str(tmp_path / "none")).secret("A")


def test_a_secret_never_shows_itself_unasked():
    secret = Secret(SECRET)
    shown = f"{secret} {secret!r} {[secret]} {{}}".format(secret) + "%s" % secret  # noqa: UP031
    assert SECRET not in shown
