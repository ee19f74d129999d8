"""Through a jump host: both keys pinned, two credentials apart, and the way is a part of the plan."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

import pytest
from ssh_server import SshServer, call, lent, once, opened, public

from brokers.contract import BrokerError, Connection, Credential
from brokers.ssh import pool
from brokers.ssh.broker import SshBroker
from brokers.ssh.jump import through

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.needs("sshd")


@pytest.fixture(scope="module")
def bastion() -> Iterator[SshServer]:
    """Another server."""
    with SshServer() as server:
        yield server


def joined(sshd: SshServer, bastion: SshServer, scheme: str = "key", **members: object) -> Connection:
    """A connection to `sshd` by way of `bastion`."""
    jump = bastion.connection(scheme, name="bastion", **members)
    return through(sshd.connection(jump="bastion"), jump)


def both(sshd: SshServer, bastion: SshServer, scheme: str = "key") -> Credential:
    """What such a connection is lent."""
    inner = {f"jump.{slot}": held for slot, held in bastion.credential(scheme).slots.items()}
    return Credential({**sshd.credential().slots, **inner})


def test_a_command_runs_behind_a_jump_host(sshd: SshServer, bastion: SshServer) -> None:
    """One login at each, and the second call needs none."""

    async def run() -> list[object]:
        before = (sshd.logins(), bastion.logins())
        async with opened() as broker:
            to = joined(sshd, bastion, "password")
            seen = [(await call(broker, to, both(sshd, bastion, "password"), argv=["whoami"])).out for _ in range(2)]
            held = both(sshd, bastion, "password")
            large = await call(broker, to, held, argv=["head", "-c", "3000000", "/dev/zero"])
            await asyncio.gather(*(call(broker, to, both(sshd, bastion, "password"), argv=["true"]) for _ in range(12)))
        return [*seen, len(large.out), sshd.logins() - before[0], bastion.logins() - before[1]]

    name = f"{sshd.user}\n".encode()
    assert asyncio.run(run()) == [name, name, 3000000, 1, 1]


def test_a_session_is_not_used_on_with_another_secret_of_the_jump_hosts(sshd: SshServer, bastion: SshServer) -> None:
    """Whoever replaced the jump host's secret meant it for the next call, and not for when the session has ended."""

    async def run() -> str:
        async with opened() as broker:
            to, good = joined(sshd, bastion, "password"), both(sshd, bastion, "password")
            await call(broker, to, good, argv=["true"])
            wrong = Credential({**good.slots, "jump.secret": lent(secret=b"another").slots["secret"]})
            with pytest.raises(BrokerError) as caught:
                await call(broker, to, wrong, argv=["true"])
            return caught.value.code

    assert asyncio.run(run()) == "login"


def test_the_way_is_a_part_of_the_plan(sshd: SshServer, bastion: SshServer) -> None:
    """Another jump host, another key or account of it: another digest. The card says it."""
    plan = SshBroker().plan(joined(sshd, bastion), {"argv": ["uptime"]})
    other = SshBroker().plan(
        joined(sshd, bastion, host_key=[public(bastion.folder / "stranger.pub")]), {"argv": ["uptime"]}
    )
    assert plan.digest() != other.digest()
    assert ("through", f"{bastion.user}@127.0.0.1:{bastion.port}") in plan.details


@pytest.mark.parametrize("which", ["bastion", "server"])
def test_both_host_keys_are_pinned(sshd: SshServer, bastion: SshServer, which: str) -> None:
    """A jump host that shows another key is an alarm, and so is what it leads to."""
    wrong = [public(sshd.folder / "stranger.pub")]
    jump = bastion.connection(name="bastion", host_key=wrong if which == "bastion" else [bastion.host_key])
    behind = sshd.connection(jump="bastion", host_key=wrong if which == "server" else [sshd.host_key])
    to = through(behind, jump)
    with pytest.raises(BrokerError) as caught:
        once(to, both(sshd, bastion), argv=["true"])
    assert caught.value.code == "host-key"


def test_secrets_stay_with_their_server(sshd: SshServer, bastion: SshServer) -> None:
    """The server's key is not tried on the jump host, nor the other way round."""
    swapped = Credential(
        {"secret": bastion.credential().slots["secret"], "jump.secret": sshd.credential().slots["secret"]}
    )
    before = (sshd.logins(), bastion.logins())
    for held in (swapped, sshd.credential()):
        with pytest.raises(BrokerError) as caught:
            once(joined(sshd, bastion), held, argv=["true"])
        assert caught.value.code in {"login", "credential"}
    assert (sshd.logins(), bastion.logins()) == before


def test_a_way_that_leads_nowhere_says_so(sshd: SshServer, bastion: SshServer) -> None:
    """A port that nobody listens on behind the jump host; one that opens no way; the jump host lives on."""

    async def run() -> list[str]:
        codes = []
        async with opened() as broker:
            to = joined(sshd, bastion)
            nowhere = dataclasses.replace(to, target={**to.target, "port": 1})
            for _ in range(3):
                with pytest.raises(BrokerError) as caught:
                    await call(broker, nowhere, both(sshd, bastion), argv=["true"])
                codes.append(caught.value.code)
            assert (await call(broker, to, both(sshd, bastion), argv=["true"])).head["exit"] == 0
        return codes

    assert asyncio.run(run()) == ["connect"] * 3
    with SshServer(config="AllowTcpForwarding no\n") as closed:
        # sshd takes the first value of an option: see that this one is meant
        text = (closed.folder / "sshd_config").read_text().replace("AllowTcpForwarding yes\n", "")
        (closed.folder / "sshd_config").write_text(text)
        closed.stop()
        closed.start()
        with pytest.raises(BrokerError) as caught:
            once(joined(sshd, closed), both(sshd, closed), argv=["true"])
        assert caught.value.code == "refused"


def test_the_jump_host_is_let_go(sshd: SshServer, bastion: SshServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the session behind it is closed for idleness, its own is closed in its turn."""
    monkeypatch.setattr(pool, "KEEP_IDLE", 0.05)

    async def run() -> None:
        async with opened() as broker:
            await call(broker, joined(sshd, bastion), both(sshd, bastion), argv=["true"])
            lanes = list(broker._pool._lanes.values())
            assert len(lanes) == 2
            while any(lane.session is not None for lane in lanes):  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.01)
            assert [lane.users for lane in lanes] == [0, 0]

    asyncio.run(run())


def test_a_jump_host_that_dies_is_replaced(sshd: SshServer) -> None:
    """With it the session behind; the next call goes the whole way again."""

    async def run(bastion: SshServer) -> object:
        async with opened() as broker:
            to, held = joined(sshd, bastion), both(sshd, bastion)
            await call(broker, to, held, argv=["true"])
            await asyncio.to_thread(bastion.stop)
            await asyncio.to_thread(bastion.start)
            return (await call(broker, to, held, argv=["true"])).head["exit"]

    with SshServer() as own:
        assert asyncio.run(run(own)) == 0


def test_what_is_no_way_is_refused(sshd: SshServer, bastion: SshServer) -> None:
    """A name that was not looked up, another name, a second jump, a one-command certificate."""
    named = sshd.connection(jump="bastion")
    with pytest.raises(BrokerError, match="options"):
        SshBroker().plan(named, {"argv": ["true"]})
    for jump in (
        bastion.connection(name="other"),
        bastion.connection(name="bastion", jump="third"),
        bastion.connection("ca", name="bastion"),
        dataclasses.replace(bastion.connection(name="bastion"), kind="http"),
    ):
        with pytest.raises(BrokerError, match="options"):
            through(named, jump)
    assert lent(secret=b"x").slots.keys() == {"secret"}
