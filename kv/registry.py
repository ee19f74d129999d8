"""THE PAGE: everything pluggable, by name. A new member is one new file and one line here (a kind of connection: two).

Rules of this file
- Literal tables, name to "module:attribute"; nothing is imported before it is asked for by name, since a broker
  brings a driver of tens of megabytes.
- A provider needs no line: it is one TOML file in `brokers/http/providers/`.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

# kind of connection: the broker that performs its calls
BROKERS = {
    "http": "brokers.http.broker:HttpBroker",
    "mysql": "brokers.sql.mysql:MysqlBroker",
    "postgres": "brokers.sql.postgres:PostgresBroker",
    "sqlite": "brokers.sql.sqlite:SqliteBroker",
    "ssh": "brokers.ssh.broker:SshBroker",
}

# the same kinds, as a person declares them: light, without the drivers
KINDS = {
    "http": "brokers.http.kind:HttpKind",
    "mysql": "brokers.sql.kind:Mysql",
    "postgres": "brokers.sql.kind:Postgres",
    "sqlite": "brokers.sql.kind:Sqlite",
    "ssh": "brokers.ssh.kind:SshKind",
}

DEFAULT_KIND = "http"  # of a connection that a person declares without saying one

# auth scheme of an http connection: how the credential enters a request
AUTH = {
    "basic": "brokers.http.auth.basic:Basic",
    "bearer": "brokers.http.auth.bearer:Bearer",
    "cookie": "brokers.http.auth.cookie:Cookie",
    "device": "brokers.http.auth.device:Device",
    "github-app": "brokers.http.auth.github_app:GithubApp",
    "google-service": "brokers.http.auth.google_service:GoogleService",
    "header": "brokers.http.auth.header:Header",
    "hmac": "brokers.http.auth.hmac_signing:HmacSigning",
    "mtls": "brokers.http.auth.mtls:Mtls",
    "oauth2-client": "brokers.http.auth.oauth2_client:Oauth2Client",
    "oauth2-refresh": "brokers.http.auth.oauth2_refresh:Oauth2Refresh",
    "path": "brokers.http.auth.path:Path",
    "query": "brokers.http.auth.query:Query",
    "several": "brokers.http.auth.several:Several",
    "sigv4": "brokers.http.auth.sigv4:Sigv4",
    "totp": "brokers.http.auth.totp:Totp",
}


def load(table: dict[str, str], name: str) -> type:
    """The class that `table` names. Raises `KeyError` for a name it does not have."""
    return _attribute(table[name])


@cache
def _attribute(place: str) -> type:
    module, _, attribute = place.partition(":")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, type):
        raise TypeError(place)
    return found
