"""A vault against the simplest thing that could be one: a dictionary."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vault.world import NOW, Template, contents

from kv.errors import KvError

if TYPE_CHECKING:
    from kv.vault.session import Vault

Revision = tuple[int, dict[str, object], bytes]
Model = dict[tuple[str, str], list[Revision]]

KIND = st.sampled_from(["secret", "connection", "setting"])
NAME = st.sampled_from(["a", "b", "dev/a", "prod/x.y/z_-"])
META = st.dictionaries(st.sampled_from("xyz"), st.integers(0, 2) | st.text(max_size=3), max_size=2)
VALUE = st.none() | st.binary(min_size=1, max_size=300)
STEP = st.one_of(
    st.tuples(st.just("put"), KIND, NAME, META, VALUE),
    st.tuples(st.just("put"), KIND, NAME, META, VALUE),
    st.tuples(st.just("delete"), KIND, NAME),
    st.tuples(st.just("rename"), KIND, NAME, NAME),
    st.tuples(st.just("restore"), KIND, NAME, st.integers(1, 12)),
    st.tuples(st.just("reopen")),
)


def model_put(model: Model, kind: str, name: str, meta: dict[str, object], value: bytes | None) -> None:
    """What `put` should do."""
    kept = model.setdefault((kind, name), [])
    if kept and value is None and kept[0][1] == meta:
        return
    carried = kept[0][2] if kept else b""
    kept.insert(0, (kept[0][0] + 1 if kept else 1, meta, carried if value is None else value))
    del kept[10:]


def model_step(model: Model, verb: str, kind: str, name: str, *rest: object) -> str:
    """What a step should do, and the code of the error that it should end in."""
    kept = model.get((kind, name))
    if verb == "put":
        model_put(model, kind, name, rest[0], rest[1])  # type: ignore[arg-type]
        return ""
    if kept is None:
        return "unknown-secret"
    if verb == "delete":
        del model[kind, name]
    elif verb == "rename":
        if (kind, str(rest[0])) in model:
            return "exists"
        del model[kind, name]
        model[kind, str(rest[0])] = [(kept[0][0] + 1, *kept[0][1:]), *kept][:10]
    else:
        found = next((each for each in kept if each[0] == rest[0]), None)
        if found is None:
            return "unknown-revision"
        kept.insert(0, (kept[0][0] + 1, *found[1:]))
        del kept[10:]
    return ""


def vault_step(vault: Vault, verb: str, kind: str, name: str, *rest: object) -> str:
    """The same step on a vault; the code of the error, or "" for none."""
    try:
        if verb == "put":
            vault.put(kind, name, rest[0], rest[1], now=NOW)  # type: ignore[arg-type]
        elif verb == "delete":
            vault.delete(kind, name)
        elif verb == "rename":
            vault.rename(kind, name, str(rest[0]), now=NOW)
        else:
            vault.restore(kind, name, rest[0], now=NOW)  # type: ignore[arg-type]
    except KvError as error:
        return error.code
    return ""


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEP, min_size=5, max_size=40))
def test_like_a_dictionary(template: Template, steps: list[tuple[str, ...]]) -> None:
    """Whatever is done in whatever order, with unlocks between, a vault holds what a dictionary would."""
    folder = Path(tempfile.mkdtemp())
    model: Model = {}
    try:
        world = template.put_down(folder)
        vault = world.open()
        for step in steps:
            if step[0] == "reopen":
                vault.close()
                vault = world.open()
            else:
                assert vault_step(vault, *step) == model_step(model, *step)
        assert contents(vault) == model
        vault.close()
        assert world.contents() == model
    finally:
        shutil.rmtree(folder)
