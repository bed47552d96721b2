"""Everything lies under one folder that the user chooses."""

from pathlib import Path

import pytest

from ferlib import paths


def test_the_home_is_where_ferlib_home_says(tmp_path, monkeypatch):
    monkeypatch.setenv("FERLIB_HOME", str(tmp_path / "here"))
    assert paths.home() == tmp_path / "here"
    assert paths.corpus("ckplus") == tmp_path / "here" / "corpora" / "ckplus"
    assert paths.drawn("ckplus") == tmp_path / "here" / "drawn" / "ckplus"
    assert paths.run("key") == tmp_path / "here" / "runs" / "key"
    assert not paths.home().exists()


def test_the_home_is_read_anew_at_every_call_and_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FERLIB_HOME", "relative")
    assert paths.home() == tmp_path / "relative"
    monkeypatch.setenv("FERLIB_HOME", "~/faces")
    assert paths.home() == Path.home() / "faces"


def test_without_a_choice_the_home_is_the_cache_folder_of_the_platform(monkeypatch):
    monkeypatch.delenv("FERLIB_HOME", raising=False)
    assert paths.home().name == "ferlib"
    assert paths.home().is_absolute()


def test_the_checkout_is_found_from_within_and_missed_with_a_next_step(tmp_path, monkeypatch):
    (tmp_path / "clone" / "book").mkdir(parents=True)
    (tmp_path / "clone" / "book" / "_toc.yml").touch()
    (tmp_path / "clone" / "_config.yml").touch()
    monkeypatch.chdir(tmp_path / "clone" / "book")
    assert paths.checkout() == tmp_path / "clone"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(paths, "package", lambda: tmp_path / "nowhere" / "ferlib")
    with pytest.raises(FileNotFoundError, match="ferlib book build"):
        paths.checkout()
