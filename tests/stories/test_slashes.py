"""An encoded slash in a path: refused, until a person says that the service takes one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kv.errors import DENIED, USAGE

if TYPE_CHECKING:
    from scene import Scene

PATH = "/projects/shop%2fapi/issues"


def test_a_person_declares_that_a_segment_may_hold_a_slash(scene: Scene) -> None:
    """Without the declaration nothing is sent; with it the slash travels as `%2F`; rules meet it whole and split."""
    world, upstream = scene.world, scene.upstream
    ran = world.kv("api", "echo", "GET", PATH, "--json")
    assert (ran.status, ran.json["error"]["code"]) == (USAGE, "bad-argument")
    assert not upstream.requests

    world.must("connect", "echo", "--encoded-slash", proof=True)
    world.must("connect", "echo", "--deny", "/projects/shop/secrets/**", proof=True)
    assert world.must("api", "echo", "GET", PATH, "--json").json["status"] == 200
    (request,) = upstream.requests
    assert request.target == "/projects/shop%2Fapi/issues"
    assert request.header("authorization") == f"Bearer {scene.key.decode()}"

    for path in ("/projects/shop%2Fsecrets/a", "/projects/shop%2Fsecrets%2Fa"):
        assert world.kv("api", "echo", "GET", path).status == DENIED
    for path in ("/projects/%2e%2e%2fx", "/a%2F..%2Fb", "/a%2F%2Fb", "/a%252Fb"):
        assert world.kv("api", "echo", "GET", path).status == USAGE
    assert len(upstream.requests) == 1

    world.must("connect", "echo", "--no-encoded-slash", proof=True)
    assert world.kv("api", "echo", "GET", PATH).status == USAGE


@pytest.mark.parametrize(("provider", "taken"), [("gitlab", True), ("github", False)])
def test_a_provider_that_takes_encoded_slashes_says_so(scene: Scene, provider: str, *, taken: bool) -> None:
    """GitLab's projects are named by their whole path, so its pack declares it; others do not."""
    scene.world.store("demo/FORGE", scene.key, "--connection", "forge", "--provider", provider)
    ran = scene.world.kv("explain", "forge", "GET", PATH, "--json")
    assert ran.status == (0 if taken else USAGE), ran.all
    if taken:
        assert ran.json["title"] == "GET https://gitlab.com/api/v4/projects/shop%2Fapi/issues"
