"""An agent's folder that does not answer: what was judged, lent and looked for is as of when the call goes out."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from nouns import a_caller
from vault.world import make_template

from brokers.contract import Outcome
from brokers.http.broker import HttpBroker
from kv.audit import AuditLog
from kv.daemon import save
from kv.daemon.aside import Aside
from kv.daemon.budget import Budget
from kv.daemon.dispatch import Conversation, Exchange
from kv.daemon.entry import catalogued, scheme
from kv.daemon.house import House
from kv.daemon.pipeline import Pipeline
from kv.daemon.requests import Request, decode
from kv.daemon.save import Saving
from kv.daemon.secrets import Secrets
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from brokers.contract import Credential, Plan

OLD, NEW = b"old_5Hq2LsVb4XzRt8Wm", b"new_Jt5RmW8cHq2LsVb4"
SHOP = {"name": "shop", "host": "https://shop.test", "auth": {"scheme": "bearer"}, "admission": "always"}
AGENT = replace(a_caller(), uid=os.geteuid())


class Echo(HttpBroker):
    """Plans as ever; performs nothing, and answers with the credential that it was lent."""

    performed = 0

    async def perform(self, plan: Plan, credential: Credential) -> Outcome:
        """See the class."""
        del plan
        self.performed += 1
        said = b"you sent " + credential["secret"].expose()

        async def body() -> AsyncIterator[bytes]:
            yield said

        async def aclose() -> None:
            pass

        return Outcome({"status": 200, "headers": []}, body(), aclose)


class Door:
    """The way to the agent's folder, which opens when a test says so."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.reached, self._open = threading.Event(), threading.Event()
        descend = save._descend

        def hang(parts: list[str], here: int) -> int:
            self.reached.set()
            self._open.wait(60)
            return descend(parts, here)

        patch.setattr(save, "_descend", hang)

    def open(self) -> None:
        """Let everybody through."""
        self._open.set()


class Scene:
    """An open vault with the connection `shop`, and the path of a call, without sockets."""

    def __init__(self, folder: Path) -> None:
        self.vault = make_template(folder).put_down(folder).open()
        (folder / "vault.kv.d").mkdir(exist_ok=True)
        with self.vault.subkey("audit") as key:
            self.audit = AuditLog.open(folder / "audit.kv", bytes(key), None)
        self.house = House(self.vault, self.audit, Budget())
        self.echo = self.house._brokers["http"] = Echo(schemes=scheme, catalogue=catalogued)
        self.secrets = Secrets(self.house)
        self.folder = folder / "agent"
        self.folder.mkdir()

    async def begin(self) -> None:
        """Ready the needles and store the secret."""
        await self.house.prepare()
        await self.do("set", {"name": "prod/SHOP", "connection": SHOP}, OLD)

    async def do(self, verb: str, args: dict[str, object], body: bytes = b"") -> None:
        """A verb whose proof was given."""
        await self.secrets.perform(_request(verb, args, body))

    async def call(self, door: Door, meanwhile: Callable[[], Any]) -> dict[str, object]:
        """A call that saves its answer; `meanwhile` is awaited while its folder hangs."""
        pipeline = Pipeline(self.house)
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        request = _request("call", {"connection": "shop", "path": "/v1/x", "save": "out"})

        async def say(header: dict[str, object], body: bytes = b"") -> None: ...

        try:
            task = asyncio.create_task(pipeline.call(Exchange(request, AGENT, Conversation(), folder, say)))
            await asyncio.to_thread(door.reached.wait, 30)
            await meanwhile()
            door.open()
            return (await task)[0]
        finally:
            os.close(folder)
            await self.house.close()


def _request(verb: str, args: dict[str, object], body: bytes = b"") -> Request:
    return decode({"verb": verb, "args": args, "client": "cli"}, body, "kv")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """See `Scene`."""
    return Scene(tmp_path)


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """See `Door`; it is open in the end."""
    made = Door(monkeypatch)
    yield made
    made.open()


def test_a_value_rotated_meanwhile_is_looked_for(scene: Scene, door: Door) -> None:
    """The call goes out with the new value, and the new value is taken out of what comes back."""

    async def story() -> dict[str, object]:
        await scene.begin()
        return await scene.call(door, lambda: scene.do("set", {"name": "prod/SHOP", "replace": True}, NEW))

    assert asyncio.run(story())["redactions"] == 1
    assert (scene.folder / "out").read_bytes() == b"you sent {{kv:prod/SHOP}}"


def test_a_connection_changed_meanwhile_is_not_used(scene: Scene, door: Door) -> None:
    """What was judged for one destination goes to no other, and the credential is not lent."""

    async def story() -> None:
        await scene.begin()
        declaration = {**SHOP, "host": "https://other.test"}
        await scene.call(door, lambda: scene.do("connect", {"name": "shop", "declaration": declaration}))

    with pytest.raises(KvError) as refused:
        asyncio.run(story())
    assert refused.value.code == "denied"
    assert scene.echo.performed == 0


def test_a_session_frozen_meanwhile_gets_nothing(scene: Scene, door: Door) -> None:
    """A freeze reaches the call that a folder holds up."""

    async def freeze() -> None:
        scene.house.approvals.freeze(AGENT.session, "a test")

    async def story() -> None:
        await scene.begin()
        await scene.call(door, freeze)

    with pytest.raises(KvError) as refused:
        asyncio.run(story())
    assert refused.value.code == "frozen"
    assert scene.echo.performed == 0


@pytest.mark.usefixtures("door")
def test_a_folder_is_not_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A yes is for now: a folder that does not answer ends its call before anything was sent."""
    monkeypatch.setattr(save, "_OPEN_SECONDS", 0.2)
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(KvError) as refused:
            asyncio.run(Saving(str(tmp_path)).open("a", folder, "out"))
    finally:
        os.close(folder)
    assert (refused.value.code, "does not answer" in refused.value.message) == ("save", True)


def test_one_sessions_hanging_folders_leave_places_for_others(
    door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen threads of one session may hang, be their calls gone or not; another session's file is still made."""
    monkeypatch.setattr(save, "_OPEN_SECONDS", 0.5)
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)

    async def story() -> list[BaseException | object]:
        saving = Saving(str(tmp_path))
        ended = await asyncio.gather(*(saving.open("a", folder, "x") for _ in range(20)), return_exceptions=True)
        more = await asyncio.gather(saving.open("a", folder, "x"), return_exceptions=True)
        door.open()
        (await saving.open("b", folder, "y")).close()
        return [*ended, *more]

    try:
        codes = [error.code for error in asyncio.run(story()) if isinstance(error, KvError)]
    finally:
        os.close(folder)
    assert sorted(codes) == ["busy"] * 5 + ["save"] * 16


def test_a_close_that_fails_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full may say so at the close: nothing is saved, and no number is closed that is another's now."""
    others: list[int] = []
    close = os.close

    def failing(descriptor: int) -> None:
        file = Path(f"/proc/self/fd/{descriptor}").readlink()
        close(descriptor)
        if file == tmp_path / "out":
            others.extend(os.open("/dev/null", os.O_RDONLY) for _ in range(8))  # as connections come in meanwhile
            raise OSError(errno.EIO, "")

    async def story() -> None:
        folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
        saved = await Saving(str(tmp_path)).open("a", folder, "out")
        saved.write(b"x" * 100)
        monkeypatch.setattr(os, "close", failing)
        try:
            await saved.keep()
        finally:
            saved.close()
            monkeypatch.undo()
            close(folder)

    with pytest.raises(KvError) as refused:
        asyncio.run(story())
    assert refused.value.code == "save"
    assert not (tmp_path / "out").exists()
    for other in others:
        os.close(other)  # each is still ours


def test_places_come_back_when_the_work_has_ended() -> None:
    """Work whose caller is gone holds its place until it ends, and then somebody is told, once."""
    go = threading.Event()

    async def story() -> int:
        aside, ended = Aside(1, "places"), asyncio.Event()
        told: list[int] = []

        def tell() -> None:
            told.append(1)
            ended.set()

        task = asyncio.create_task(aside.do(go.wait, ended=tell))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(KvError):
            await aside.do(lambda: None)
        assert not told
        go.set()
        await asyncio.wait_for(ended.wait(), 30)
        await asyncio.sleep(0.05)
        return len(told)

    assert asyncio.run(story()) == 1
