"""environment.yml, pyproject.toml and requirements.lock name the same packages."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
CONDA_NAMES = {"torch": {"pytorch"}, "dask": {"dask-core", "distributed"}}
REQUIREMENT = re.compile(r"^([A-Za-z0-9_.-]+)(\[[^]]*\])?\s*(.*)$")


def split(requirement: str) -> tuple[str, str]:
    name, _, bounds = REQUIREMENT.match(requirement.split("#")[0].strip()).groups()
    return name.lower(), bounds.replace(" ", "")


def of_pyproject() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    return dict(split(requirement) for requirement in wanted)


def test_the_conda_environment_is_the_twin_of_pyproject():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    from_pip = next(entry["pip"] for entry in listed if isinstance(entry, dict))
    names = [e for e in listed if isinstance(e, str)] + [e for e in from_pip if not e.startswith("-")]
    conda = dict(split(entry) for entry in names)
    assert conda.pop("python") == ">=3.11"
    conda.pop("pip")
    twin = {
        conda_name: bounds
        for name, bounds in of_pyproject().items()
        for conda_name in CONDA_NAMES.get(name, {name})
    }
    assert conda == twin


def test_the_lock_holds_every_package_with_hashes_and_no_host():
    lock = (ROOT / "requirements.lock").read_text()
    pinned = {match.group(1).lower() for match in re.finditer(r"^([A-Za-z0-9_.-]+)==", lock, re.M)}
    assert set(of_pyproject()) <= pinned
    assert "://" not in lock
    assert "index-url" not in lock
    blocks = re.split(r"\n(?=\S)", lock.strip())
    assert all("--hash=sha256:" in block for block in blocks)


def test_the_versions_agree():
    import ferlib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert project["version"] == ferlib.__version__ == citation["version"]
