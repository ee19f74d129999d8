"""Bad input and faults: each ends in one clear error with a hint and its status; nothing leaks, the keeper lives."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from scene import Scene
    from world import World

UPSTREAM, DENIED, USAGE, UNKNOWN, PROOF, DAMAGED = 8, 3, 2, 6, 7, 9


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/hang", UPSTREAM),
        ("/hang-body", UPSTREAM),
        ("/drip", UPSTREAM),
        ("/bomb", UPSTREAM),
        ("/br", UPSTREAM),
        ("/gzip-twice", UPSTREAM),
        ("/truncated-gzip", UPSTREAM),
        ("/garbage", UPSTREAM),
        ("/flood", UPSTREAM),
        ("/many-headers", UPSTREAM),
        ("/two-lengths", UPSTREAM),
        ("/short", UPSTREAM),
        ("/drop", UPSTREAM),
    ],
)
def test_a_misbehaving_service_ends_in_one_error(shared: Scene, path: str, status: int) -> None:
    """A service that hangs, bombs, floods or breaks its protocol costs one error with a hint, never the keeper."""
    world = shared.world
    pid = world.must("status", "--json").json["pid"]
    ran = world.kv("api", "echo", "GET", path, "--timeout", "2", "--max-bytes", str(16 << 20), "--json")
    assert ran.status == status, ran.all
    assert "error" in ran.json
    assert world.leaked(shared.key) == []
    assert world.must("status", "--json").json["pid"] == pid


def test_a_gigabyte_is_cut_at_the_cap(shared: Scene) -> None:
    """A body without end is read to the cap and marked as truncated."""
    found = shared.world.must("api", "echo", "GET", "/big", "--max-bytes", "100000", "--json").json
    assert found["truncated"] is True
    assert len(found["body"]) <= 100_000


def test_a_redirect_is_returned_and_never_followed(shared: Scene) -> None:
    """Status and Location come back, scrubbed; the credential goes nowhere else."""
    found = shared.world.must("api", "echo", "GET", "/redirect", "--json").json
    assert 300 <= found["status"] < 400
    assert "location" in found["headers"]
    assert len(shared.upstream.requests) == 1


def test_a_wrong_certificate_gets_no_request(scene: Scene) -> None:
    """A server that cannot prove the declared name receives nothing, whatever address it has."""
    world = scene.world
    world.connect("other", scene.key, scene.upstream.port, scene.upstream.ca_pem, host="other.test")
    ran = world.kv("api", "other", "GET", "/echo")
    assert ran.status == UPSTREAM
    assert "certificate" in ran.err
    assert not scene.upstream.requests


def test_loopback_without_a_pin_is_blocked(scene: Scene) -> None:
    """A connection to a private address needs an exact pin by the person."""
    world = scene.world
    ca = world.folder / "ca.pem"
    ca.write_text(scene.upstream.ca_pem)
    options = ("--host", f"https://localhost:{scene.upstream.port}", "--auth", "bearer", "--ca", str(ca))
    world.store("demo/LOOP", scene.key, "--connection", "loop", *options, "--admission", "always")
    ran = world.kv("api", "loop", "GET", "/echo")
    assert ran.status == DENIED, ran.all
    assert not scene.upstream.requests


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.test/x",
        "//evil.test/x",
        "/../x",
        "/%2e%2e/x",
        "/a/%252e%252e/x",
        "/a%2fb",
        "/a\\b",
        "/a%5cb",
        "/a%00b",
        "/a\r\nHost: evil",
        "relative",
        "/a#fragment",
    ],
)
def test_a_path_that_two_servers_could_read_differently_is_refused(shared: Scene, path: str) -> None:
    """The agent gives a canonical relative path or nothing is sent."""
    ran = shared.world.kv("api", "echo", "GET", path, "--json")
    assert ran.status == USAGE, ran.all
    assert not shared.upstream.requests


def test_an_at_sign_in_a_path_is_a_path(shared: Scene) -> None:
    """It names no user and no host here: it goes out as it is, to the declared host."""
    assert shared.world.must("api", "echo", "GET", "/@evil.test", "--json").json["status"] == 200
    (request,) = shared.upstream.requests
    assert (request.sni, request.target) == ("api.test", "/@evil.test")


@pytest.mark.parametrize(
    "header",
    [
        "Authorization: Bearer mine",
        "Host: evil.test",
        "Cookie: a=b",
        "Proxy-Authorization: x",
        "X-HTTP-Method-Override: DELETE",
        "Connection: upgrade",
        "Transfer-Encoding: chunked",
        "Range: bytes=0-10",
        "X-A: {{kv:demo/ECHO}}",
    ],
)
def test_a_header_that_is_not_the_agents_is_refused(shared: Scene, header: str) -> None:
    """Auth, host, cookie, hop-by-hop, override and range headers, and references, are refused."""
    ran = shared.world.kv("api", "echo", "GET", "/echo", "-H", header, "--json")
    assert ran.status == USAGE, ran.all
    assert not shared.upstream.requests


def test_unknown_names_come_with_a_suggestion(shared: Scene) -> None:
    """An unknown connection or verb is answered by the nearest known one."""
    ran = shared.world.kv("api", "ech", "GET", "/echo")
    assert ran.status == UNKNOWN
    assert "did you mean 'echo'" in ran.err
    assert "unlock" in shared.world.kv("unlok").err


def test_values_that_may_not_be_stored_are_refused(world: World) -> None:
    """Empty, two-megabyte and mask-shaped values, and values as arguments, are refused; nothing is stored."""
    for value in (b"", b"x" * (2 << 20), b"{{kv:demo/ECHO}}", b"********", b"sk-..."):
        ran = world.kv("set", "demo/BAD", "--stdin", stdin=value, proof=True)
        assert ran.status == USAGE, (value[:20], ran.all)
    for arguments in (("set", "demo/BAD=hunter2hunter2"), ("set", "demo/BAD", "hunter2hunter2")):
        ran = world.kv(*arguments, proof=True)
        assert ran.status == USAGE
        assert "history" in ran.err
        assert "hunter2hunter2" not in ran.all
    assert world.must("ls", "--json").json == [] or "demo/BAD" not in world.must("ls").out


def test_a_wrong_passphrase_is_one_clear_line(world: World) -> None:
    """Wrong passphrase: status 7, one error, one hint, nothing started."""
    world.must("lock")
    right, world.passphrase = world.passphrase, b"not the right one at all"
    ran = world.kv("unlock", proof=True)
    world.passphrase = right
    assert ran.status == PROOF, ran.all
    assert "wrong passphrase" in ran.err
    assert world.kv("status", "--json").json["locked"] is True


def test_a_damaged_or_foreign_file_is_refused(world: World) -> None:
    """Flipped, truncated and foreign vault files end with status 9 and stay as they are."""
    world.must("lock")
    path = world.folder / "vault.kv"
    good = path.read_bytes()
    middle = len(good) // 2
    for bad in (good[:-1], good + b"\0", b"not a vault", b"", good[:middle] + bytes(64) + good[middle + 64 :]):
        path.write_bytes(bad)
        ran = world.kv("unlock", proof=True)
        if ran.status == 0:  # the flip fell into a page's free space: nothing that is sealed was touched
            world.must("lock")
            continue
        assert ran.status == DAMAGED, (len(bad), ran.all)
        assert path.read_bytes() == bad
    path.write_bytes(good)
    path.chmod(0o600)
    world.must("unlock", proof=True)


def test_unsafe_files_are_refused(world: World) -> None:
    """A vault that others can read, or that is a link, is not opened."""
    world.must("lock")
    path = world.folder / "vault.kv"
    path.chmod(0o644)
    assert world.kv("unlock", proof=True).status == 1
    path.chmod(0o600)
    moved = world.folder / "elsewhere.kv"
    path.rename(moved)
    path.symlink_to(moved)
    assert world.kv("unlock", proof=True).status != 0
    path.unlink()
    moved.rename(path)
    world.must("unlock", proof=True)


def test_twenty_writers_lose_nothing(world: World) -> None:
    """Twenty `kv set` at once: every acknowledged name is there."""
    running = []
    for number in range(20):
        read_end, write_end = os.pipe()
        os.write(write_end, world.passphrase)
        os.close(write_end)
        argv = world.argv("set", f"w/N{number}", "--stdin", "--passphrase-fd", str(read_end))
        process = subprocess.Popen(
            argv, env=world.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            pass_fds=(read_end,), cwd=world.folder,
        )  # fmt: skip
        os.close(read_end)
        running.append((number, process))
    for number, process in running:
        out, _ = process.communicate(f"value-of-number-{number:03}".encode(), timeout=100)
        assert process.returncode == 0, out
    names = {row["name"] for row in world.must("ls", "--json").json}
    assert {f"w/N{number}" for number in range(20)} <= names


def test_save_goes_beneath_the_working_folder_only(shared: Scene) -> None:
    """`--save` makes a new file below the working folder: no links, no dot-files, no way up, no overwriting."""
    world = shared.world
    work = world.folder / "work"
    work.mkdir()
    (work / "sub").mkdir()
    outside = world.folder / "outside"
    outside.mkdir()
    (work / "link").symlink_to(outside)
    (work / "taken").write_text("mine")
    (work / "dangling").symlink_to(outside / "new")
    assert world.kv("api", "echo", "GET", "/encodings", "--save", "sub/out.json", cwd=work).status == 0
    saved = (work / "sub" / "out.json").read_bytes()
    assert saved
    assert world.leaked(shared.key, [saved.decode("latin-1")]) == []
    for path in ("link/x", "../x", "/tmp/x", ".hidden", "sub/.git/x", "taken", "dangling", "a/../../x", ""):  # noqa: S108
        ran = world.kv("api", "echo", "GET", "/encodings", "--save", path, cwd=work)
        assert ran.status != 0 or path == "", (path, ran.all)
    assert list(outside.iterdir()) == []
    assert (work / "taken").read_text() == "mine"


def test_a_closed_reader_is_no_error(world: World) -> None:
    """`kv ls | head` ends quietly."""
    done = subprocess.run(
        ["bash", "-c", '"$@" | head -c 1 >/dev/null; exit "${PIPESTATUS[0]}"', "-", *world.argv("providers")],
        env=world.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
