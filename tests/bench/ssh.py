"""`kv_ssh` through the socket, audited and redacted, beside ssh(1), on a real OpenSSH server."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from bench.measure import MILLISECONDS, NotMeasured, alternate, p50
from bench.stage import a_stage
from bench.table import Goal, Row
from ssh_server import SshServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.measure import Scale

_CALL: dict[str, object] = {"connection": "web", "argv": ["whoami"]}


def rows(scale: Scale) -> Iterator[Row]:
    """A second call, beside a fresh `ssh` and one over a connection that is held (ControlMaster)."""
    if os.geteuid() != 0:
        raise NotMeasured("sshd lets nobody in unless root runs it")
    with SshServer() as server, a_stage() as stage:
        where = ("--ssh", f"{server.user}@127.0.0.1:{server.port}", "--host-key", server.host_key)
        key = server.folder / "user"
        stage.world.store("web/KEY", key.read_bytes(), "--connection", "web", *where, "--admission", "always")
        known = server.folder / "known"
        known.write_text(f"[127.0.0.1]:{server.port} {server.host_key}\n")
        options = ["-i", str(key), "-o", f"UserKnownHostsFile={known}", "-o", "LogLevel=ERROR", "-p", str(server.port)]
        to = f"{server.user}@127.0.0.1"
        control = ["-o", f"ControlPath={server.folder}/control"]
        with stage.client() as client:

            def ours() -> object:
                return client.ask("ssh", _CALL).body

            def fresh() -> object:
                return subprocess.run(["ssh", *options, to, "whoami"], capture_output=True, check=True).stdout

            def held() -> object:
                return subprocess.run(["ssh", *options, *control, to, "whoami"], capture_output=True, check=True).stdout

            if ours() != fresh():
                raise RuntimeError("the two were told different things")
            subprocess.run(["ssh", *options, *control, "-fNM", to], check=True, capture_output=True)
            try:
                for name, theirs, goal in (("a fresh ssh", fresh, 0.1), ("ssh over ControlMaster", held, 1.0)):
                    mine, other = alternate(
                        lambda: p50(ours, 8, MILLISECONDS),
                        lambda t=theirs: p50(t, 2, MILLISECONDS),  # type: ignore[misc]  # bound
                        scale.of(12, 5),
                    )
                    yield Row("kv_ssh, second call, audited, redacted: p50", "ms", mine, name, other, Goal(goal))
            finally:
                subprocess.run(["ssh", *options, *control, "-O", "exit", to], check=False, capture_output=True)
