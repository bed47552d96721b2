"""Settings are checked when they are made, and equal settings have equal keys."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferlib import config, paths
from ferlib.config import UsageError


@dataclass(frozen=True)
class Settings:
    n_epochs: int = 3
    lr: float = 1e-3
    augment: bool = True
    name: str = "paper"
    seeds: tuple[int, ...] = (0, 1)


def test_text_becomes_values_of_the_right_type():
    changed = config.replaced(
        Settings(), ["n_epochs=5", "lr=1e-2", "augment=False", "name = fast ", "seeds=[3,4,5]"]
    )
    assert changed == Settings(5, 0.01, False, "fast", (3, 4, 5))
    assert config.parse_value("[0, 1]", list[int]) == [0, 1]
    assert config.parse_value("a, b", list[str]) == ["a", "b"]
    assert config.parse_value("7", list[int]) == [7]


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("n_epoch=3", "Did you mean 'n_epochs'"),
        ("n_epochs=x", "Setting n_epochs: 'x' is not an int"),
        ("n_epochs=3.5", "not an int"),
        ("augment=no", "not a bool"),
        ("lr=fast", "not a float"),
        ("n_epochs", "not of the form field=value"),
        ("seeds=[1,b]", "Setting seeds"),
    ],
)
def test_wrong_settings_are_refused_by_name(assignment, words):
    with pytest.raises(UsageError, match=words):
        config.replaced(Settings(), [assignment])


def test_names_are_checked_against_what_is_known():
    assert config.check_name("corpus", "ckplus", ("ckplus", "samm")) == "ckplus"
    with pytest.raises(UsageError, match=r"No corpus 'ck'.*Known: ckplus, samm"):
        config.check_name("corpus", "ck", ("ckplus", "samm"))


def test_equal_settings_have_equal_digests_whatever_their_form():
    assert config.digest(Settings()) == config.digest({"seeds": [0, 1], **config.as_plain(Settings())})
    assert config.digest(Settings()) != config.digest(Settings(n_epochs=4))
    assert len(config.digest("a", length=16)) == 16


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=5))
def test_the_order_of_fields_does_not_matter(fields):
    assert config.digest(fields) == config.digest(dict(reversed(fields.items())))


def test_the_code_digest_ignores_comments_and_docstrings_only(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "package", lambda: tmp_path)
    module = tmp_path / "nets.py"

    def digest_of(source: str) -> str:
        module.write_text(source)
        return config.code_digest(["nets"])

    plain = digest_of("def f(x):\n    return x + 1\n")
    assert digest_of('"""Nets."""\n\n# why\ndef f(x):\n    """Adds."""\n\n    return x + 1\n') == plain
    assert digest_of("def f(x):\n    return x + 2\n") != plain
