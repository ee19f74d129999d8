"""What is delivered: one wheel with what the product needs and nothing else, and dependencies that start nothing."""

from __future__ import annotations

import email
import email.policy
import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hatchling.build import build_wheel

import kv

if TYPE_CHECKING:
    from email.message import EmailMessage

ROOT = Path(__file__).parent.parent
INSTALLED = Path(kv.__file__).parent.parent

# `make test` sets it: there the suite must be about the installed wheel. By hand it may be about the working tree.
UNDER_MAKE = "KV_TESTING_WHEEL" in os.environ


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a wheel built from this tree, by name."""
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        name = build_wheel(str(folder))
    with zipfile.ZipFile(folder / name) as archive:
        return {member: archive.read(member) for member in archive.namelist()}


def beside(wheel: dict[str, bytes], name: str) -> bytes:
    """A file of the wheel's metadata folder."""
    return wheel[f"kv_secrets-{kv.__version__}.dist-info/{name}"]


@pytest.fixture(scope="module")
def metadata(wheel: dict[str, bytes]) -> EmailMessage:
    """The wheel's core metadata."""
    return email.message_from_bytes(beside(wheel, "METADATA"), policy=email.policy.default)


def project_files(*folders: str) -> list[Path]:
    """What git has of the project or would add, beneath `folders`; relative to its root."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *folders],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=60,
    )
    names = {Path(os.fsdecode(name)) for name in done.stdout.split(b"\0") if name}
    return sorted(name for name in names if (ROOT / name).is_file())


def test_make_test_runs_against_the_wheel() -> None:
    """Under `make test` the kv that is tested is the one that pip installed into its environment."""
    installed = INSTALLED.name == "site-packages" and INSTALLED.is_relative_to(sys.prefix)
    assert installed or not UNDER_MAKE


def test_what_is_tested_is_what_a_wheel_of_this_tree_holds(wheel: dict[str, bytes]) -> None:
    """Byte for byte: neither a stale build nor a file left behind by an older one passes for the product."""
    product = {name: data for name, data in wheel.items() if name.startswith(("kv/", "brokers/"))}
    assert {name for name, data in product.items() if (INSTALLED / name).read_bytes() != data} == set()
    there = {path for package in ("kv", "brokers") for path in (INSTALLED / package).rglob("*") if path.is_file()}
    assert {str(path.relative_to(INSTALLED)) for path in there if path.suffix != ".pyc"} == set(product)


@pytest.mark.needs("git")
def test_every_file_of_the_packages_is_in_the_wheel(wheel: dict[str, bytes]) -> None:
    """The specifications, the provider packs and the other data travel with the code."""
    expected = {str(name) for name in project_files("kv", "brokers")}
    assert expected <= set(wheel)
    assert {"kv/WIRE.md", "kv/vault/FORMAT.md", "kv/clients.toml", "brokers/http/providers/openai.toml"} <= set(wheel)


def test_nothing_else_is_in_the_wheel(wheel: dict[str, bytes]) -> None:
    """No test, no script, no second package goes to users."""
    tops = {name.partition("/")[0] for name in wheel}
    assert tops == {"kv", "brokers", "editor_setup", f"kv_secrets-{kv.__version__}.dist-info"}
    assert not [name for name in wheel if re.search(r"\btests?\b|test_|\.pth$|\.pyc$", name)]


def test_the_wheel_says_what_it_is(wheel: dict[str, bytes], metadata: EmailMessage) -> None:
    """Name, version, licence and Python are as documented, and the version is said in one place."""
    assert metadata["Name"] == "kv-secrets"
    assert metadata["Version"] == kv.__version__ == "0.1.0"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"
    assert beside(wheel, "licenses/LICENSE").startswith(b"MIT License")
    assert beside(wheel, "entry_points.txt").split() == [b"[console_scripts]", b"kv", b"=", b"kv.__main__:main"]


def test_the_command_runs() -> None:
    """`kv version` answers with the version, and with nothing on the other stream."""
    command = [str(Path(sys.executable).parent / "kv")] if UNDER_MAKE else [sys.executable, "-m", "kv"]
    done = subprocess.run([*command, "version"], capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == (f"kv {kv.__version__}\n", "")


def pinned() -> dict[str, str]:
    """Every distribution that constraints.txt pins, with its version."""
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9][a-z0-9-]*)==(\S+)", text, re.MULTILINE))


def test_constraints_pin_what_is_declared(metadata: EmailMessage) -> None:
    """Each run-time dependency is pinned, and each pin carries the hash that pip will ask for."""
    required = {re.split(r"[^a-z0-9-]", line)[0] for line in metadata.get_all("Requires-Dist", [])}
    assert required
    assert required <= set(pinned())
    blocks = re.split(r"^(?=[a-z0-9])", (ROOT / "constraints.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [block.partition(" ")[0] for block in blocks if block and "--hash=sha256:" not in block] == []


def test_no_dependency_runs_at_every_start_of_python() -> None:
    """A `.pth` file of a dependency would cost every start of every verb, and run before the first line of kv."""
    looked, starters = 0, []
    for name in pinned():
        try:
            shipped = files(name) or []
        except PackageNotFoundError:  # pinned for another Python or system
            continue
        looked += 1
        starters += [f"{name}: {file}" for file in shipped if file.suffix == ".pth"]
    assert looked > len(pinned()) // 2
    assert starters == []


# The last letter in brackets, so that this file does not match itself.
ELSEWHERE = re.compile(
    r"(?<![\w.])/wor[k]/|\bpypi\.or[g]\b|pythonhoste[d]|registry\.npmj[s]|registry\.yarnpk[g]|crates\.i[o]"
)


@pytest.mark.needs("git")
def test_the_project_names_no_machine_and_no_registry() -> None:
    """Where files come from is the business of whoever installs; where kv was written is nobody's."""
    found = []
    for name in project_files():
        text = (ROOT / name).read_bytes().decode(errors="replace")
        found += [f"{name}: {match[0]}" for match in ELSEWHERE.finditer(text)]
    assert found == []
