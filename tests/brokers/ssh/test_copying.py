"""Files and folders over SFTP on a real server: within the roots, and never out of them."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING

import pytest
from ssh_server import SshServer, call, once, opened

from brokers.contract import BrokerError, Effect
from brokers.ssh.broker import SshBroker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from brokers.contract import Connection

pytestmark = pytest.mark.needs("sshd")


@pytest.fixture
def root(sshd: SshServer, request: pytest.FixtureRequest) -> Path:
    """A fresh folder of the account's, which the connection declares."""
    path = sshd.home / f"root-{abs(hash(request.node.name))}"
    path.mkdir()
    os.chown(path, (home := sshd.home.stat()).st_uid, home.st_gid)
    return path


def to(sshd: SshServer, root: Path) -> Connection:
    """A connection with that root."""
    return sshd.connection(roots=[str(root)])


async def slowly(stream: AsyncIterator[bytes]) -> None:
    """Read to the end, and take longer than it has."""
    async for _ in stream:
        await asyncio.sleep(0.05)


def refused(sshd: SshServer, root: Path, body: bytes = b"", **arguments: object) -> BrokerError:
    """The error of a copy, without a word of the server's."""
    with pytest.raises(BrokerError) as caught:
        once(to(sshd, root), sshd.credential(), body, **arguments)
    return caught.value


def test_a_file_is_got(sshd: SshServer, root: Path) -> None:
    """Byte for byte, of every size around a request's."""
    for size in (0, 1, 32767, 32768, 32769, 16 * 32768, 5_000_000):
        data = os.urandom(size)
        (root / "file").write_bytes(data)
        done = once(to(sshd, root), sshd.credential(), act="get", path=f"{root}/file")
        assert done.out == data
        assert done.head["size"] == size


def test_a_file_is_put_once(sshd: SshServer, root: Path) -> None:
    """Created where nothing was; what is there stays as it is, unless it is to be overwritten."""
    first, second = os.urandom(3_000_000), b"second"
    done = once(to(sshd, root), sshd.credential(), first, act="put", path=f"{root}/new")
    assert done.head["size"] == len(first)
    assert (root / "new").read_bytes() == first
    assert refused(sshd, root, second, act="put", path=f"{root}/new").code == "refused"
    assert (root / "new").read_bytes() == first
    once(to(sshd, root), sshd.credential(), second, act="put", path=f"{root}/new", overwrite=True)
    assert (root / "new").read_bytes() == second
    once(to(sshd, root), sshd.credential(), act="put", path=f"{root}/empty")
    assert (root / "empty").read_bytes() == b""


def test_a_folder_is_listed(sshd: SshServer, root: Path) -> None:
    """Names in their order, with type, size and mode."""
    (root / "b").write_bytes(b"12345")
    (root / "a").mkdir()
    (root / "c").symlink_to("/etc")
    (root / "\N{SNOWMAN} x").write_bytes(b"")
    done = once(to(sshd, root), sshd.credential(), act="list", path=str(root))
    found = json.loads(done.out)
    assert [(entry["name"], entry["type"]) for entry in found["entries"]] == [
        ("a", "folder"),
        ("b", "file"),
        ("c", "link"),
        ("\N{SNOWMAN} x", "file"),
    ]
    assert found["entries"][1]["size"] == 5
    assert done.head["truncated"] is False


def test_a_name_that_is_no_text_is_listed_and_not_copied(sshd: SshServer, root: Path) -> None:
    """It is escaped and says so; the same letters as a name of text are another file, which is copied."""
    odd, plain = b"caf\xe9\\\xc3\xa9", r"caf\xe9\\é"
    (root / os.fsdecode(odd)).write_bytes(b"odd")
    listed = once(to(sshd, root), sshd.credential(), act="list", path=str(root))
    (entry,) = json.loads(listed.out)["entries"]
    assert (entry["name"], entry["escaped"], entry["type"], entry["size"]) == (plain, True, "file", 3)
    error = refused(sshd, root, act="get", path=f"{root}/{plain}")
    assert (error.code, "not UTF-8" in str(error.fields["why"])) == ("refused", True)
    (root / plain).write_bytes(b"plain")
    (root / "link").symlink_to(root / os.fsdecode(odd))
    listed = once(to(sshd, root), sshd.credential(), act="list", path=str(root))
    names = [(entry["name"], entry.get("escaped")) for entry in json.loads(listed.out)["entries"]]
    assert sorted(names, key=str) == sorted([(plain, True), (plain, None), ("link", None)], key=str)
    assert once(to(sshd, root), sshd.credential(), act="get", path=f"{root}/{plain}").out == b"plain"
    error = refused(sshd, root, act="get", path=f"{root}/link")
    assert (error.code, "not UTF-8" in str(error.fields["why"])) == ("refused", True)


def test_a_link_out_of_the_root_is_refused(sshd: SshServer, root: Path) -> None:
    """For reading, for listing, for writing; at the end of a path and in the middle. The account itself could."""
    outside = sshd.folder / "outside"
    outside.mkdir()
    outside.chmod(0o777)
    secret = outside / "secret"
    secret.write_text("outside")
    secret.chmod(0o666)
    (root / "file").symlink_to(secret)
    (root / "folder").symlink_to(outside)
    (root / "loop").symlink_to("loop")
    for arguments in (
        {"act": "get", "path": f"{root}/file"},
        {"act": "get", "path": f"{root}/folder/secret"},
        {"act": "list", "path": f"{root}/folder"},
        {"act": "put", "path": f"{root}/folder/new"},
        {"act": "put", "path": f"{root}/file"},
        {"act": "put", "path": f"{root}/file", "overwrite": True},
        {"act": "get", "path": f"{root}/loop"},
    ):
        assert refused(sshd, root, **arguments).code == "refused", arguments
    (root / "inner").symlink_to("within")
    (root / "within").write_text("as it was")
    assert refused(sshd, root, b"x", act="put", path=f"{root}/inner", overwrite=True).code == "refused"
    assert (root / "within").read_text() == "as it was"
    assert secret.read_text() == "outside"
    assert [path.name for path in outside.iterdir()] == ["secret"]


def test_a_link_within_the_root_leads_where_it_leads(sshd: SshServer, root: Path) -> None:
    """`current` to a release is what people have; a root that is a link itself too."""
    (root / "release-7").mkdir()
    (root / "release-7" / "x").write_text("seven")
    (root / "current").symlink_to("release-7")
    assert once(to(sshd, root), sshd.credential(), act="get", path=f"{root}/current/x").out == b"seven"
    declared = sshd.connection(roots=[f"{root}/current"])
    assert once(declared, sshd.credential(), act="get", path=f"{root}/current/x").out == b"seven"


def test_only_regular_files_are_read(sshd: SshServer, root: Path) -> None:
    """A pipe would be waited for, a device never ends, a folder is no file."""
    os.mkfifo(root / "pipe")
    (root / "pipe").chmod(0o666)
    (root / "folder").mkdir()
    assert refused(sshd, root, act="get", path=f"{root}/pipe", timeout=5).code == "refused"
    assert refused(sshd, root, act="get", path=f"{root}/folder").code == "refused"
    device = sshd.connection(roots=["/dev"])
    with pytest.raises(BrokerError) as caught:
        once(device, sshd.credential(), act="get", path="/dev/zero")
    assert caught.value.code == "refused"


def test_what_is_not_there_and_what_is_not_ours_say_so(sshd: SshServer, root: Path) -> None:
    """In our words, and without the path."""
    (root / "closed").write_text("x")
    (root / "closed").chmod(0)
    for path, why in ((f"{root}/nothing", "no such"), (f"{root}/closed", "no right")):
        error = refused(sshd, root, act="get", path=path)
        assert error.code == "refused"
        assert why in str(error.fields["why"])
        assert str(root) not in str(error.fields)
    assert refused(sshd, root, act="put", path=f"{root}/no/such/folder").code == "refused"


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/srv/../etc/passwd", "srv/x", "/srvx/x", "/srv/x/", "/srv//x", "/srv/\0", "", "/"]
)
def test_what_lies_outside_is_never_asked_for(path: str, sshd: SshServer) -> None:
    """The plan refuses it, whatever the act."""
    for act in ("get", "put", "list"):
        with pytest.raises(BrokerError) as caught:
            SshBroker().plan(sshd.connection(roots=["/srv"]), {"act": act, "path": path})
        assert caught.value.code == "argument"


def test_the_effects_of_copies(sshd: SshServer) -> None:
    """Reading, creating and overwriting are three things; without roots nothing is copied."""
    through, there = SshBroker(), sshd.connection(roots=["/srv"])
    for act, overwrite, effect in (
        ("get", False, Effect.READ),
        ("list", False, Effect.READ),
        ("put", False, Effect.WRITE),
        ("put", True, Effect.DESTROY),
    ):
        plan = through.plan(there, {"act": act, "overwrite": overwrite, "path": "/srv/x"})
        assert (plan.effect, plan.request["method"]) == (effect, act.upper())
    bad: tuple[dict[str, object], ...] = ({"act": "get", "overwrite": True}, {"act": "put", "argv": ["x"]})
    for arguments in bad:
        with pytest.raises(BrokerError, match="argument"):
            through.plan(there, {**arguments, "path": "/srv/x"})
    with pytest.raises(BrokerError, match="argument"):
        through.plan(sshd.connection(), {"act": "get", "path": "/srv/x"})
    with pytest.raises(BrokerError, match="argument"):
        through.plan(there, {"act": "get", "path": "/srv/x"}, b"body")


def test_what_is_hidden_is_asked_about(sshd: SshServer) -> None:
    """It lets somebody in (`.ssh/authorized_keys`) or holds keys; a root that names it declares it."""
    through = SshBroker()
    for roots, path, plain in (
        (["/srv"], "/srv/.env", False),
        (["/srv"], "/srv/.ssh/authorized_keys", False),
        (["/"], "/.profile", False),
        (["/srv", "/srv/app"], "/srv/app/.config/systemd/user/x.service", False),
        (["/srv", "/srv/.config"], "/srv/.config/app.toml", True),
        (["/srv/.config"], "/srv/.config/.x", False),
        (["/srv"], "/srv/a.b/c.", True),
    ):
        there = sshd.connection(roots=roots)
        for act, effect, hidden in (
            ("get", Effect.READ, Effect.UNKNOWN),
            ("list", Effect.READ, Effect.UNKNOWN),
            ("put", Effect.WRITE, Effect.MINT),
        ):
            plan = through.plan(there, {"act": act, "path": path})
            assert plan.effect is (effect if plain else hidden), (path, act)
        plan = through.plan(there, {"act": "put", "path": path, "overwrite": True})
        assert plan.effect is (Effect.DESTROY if plain else Effect.MINT)


def test_no_link_leads_to_what_is_hidden(sshd: SshServer, root: Path) -> None:
    """Who was asked for one file was not asked for the other; named itself, it is got."""
    (root / ".ssh").mkdir()
    os.chown(root / ".ssh", root.stat().st_uid, root.stat().st_gid)
    (root / ".ssh" / "id").write_text("key")
    (root / "plain").symlink_to(root / ".ssh")
    assert refused(sshd, root, act="get", path=f"{root}/plain/id").code == "refused"
    assert refused(sshd, root, b"x", act="put", path=f"{root}/plain/authorized_keys").code == "refused"
    assert not (root / ".ssh" / "authorized_keys").exists()
    assert once(to(sshd, root), sshd.credential(), act="get", path=f"{root}/.ssh/id").out == b"key"


def test_a_copy_left_early_costs_nothing(sshd: SshServer, root: Path) -> None:
    """The next call uses the same connection."""
    (root / "large").write_bytes(bytes(20 << 20))

    async def run() -> int:
        before = sshd.logins()
        async with opened() as through:
            plan = through.plan(to(sshd, root), {"act": "get", "path": f"{root}/large"})
            for _ in range(3):
                outcome = await through.perform(plan, sshd.credential())
                await anext(outcome.body)
                await outcome.aclose()
            assert (
                len((await call(through, to(sshd, root), sshd.credential(), act="get", path=f"{root}/large")).out)
                == 20 << 20
            )
        return sshd.logins() - before

    assert asyncio.run(run()) == 1


def test_a_copy_that_takes_too_long_is_no_whole_file(sshd: SshServer, root: Path) -> None:
    """Time that is up in the middle of a file is an error, not the file's end."""
    (root / "large").write_bytes(bytes(20 << 20))

    async def run() -> str:
        async with opened() as through:
            plan = through.plan(to(sshd, root), {"act": "get", "path": f"{root}/large", "timeout": 0.5})
            outcome = await through.perform(plan, sshd.credential())
            with pytest.raises(BrokerError) as caught:
                await slowly(outcome.body)
            await outcome.aclose()
        return caught.value.code

    assert asyncio.run(run()) == "timeout"


def test_a_server_without_sftp_says_so() -> None:
    """It is the server's to offer."""
    with SshServer() as server:
        path = server.folder / "sshd_config"
        path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if "Subsystem" not in line))
        server.stop()
        server.start()
        with pytest.raises(BrokerError) as caught:
            once(server.connection(roots=["/tmp"]), server.credential(), act="list", path="/tmp")  # noqa: S108 - as above
        assert caught.value.code == "refused"
