"""What the brokers of database servers have in common: each act is its driver's, which is loaded with the first one.

Rules of this file
- Declaring and planning work without a driver, which takes as long to load as a call.
- A call that needs one and does not find it says what to install.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from brokers.contract import BrokerError
from brokers.resolver import system_resolver
from brokers.sql.broker import SqlBroker

if TYPE_CHECKING:
    from brokers.contract import Connection, Credential, Outcome, Plan
    from brokers.personal import Findings
    from brokers.resolver import Resolver


class Acts(Protocol):
    """What is done on one kind of server, as `SqlBroker` says of each."""

    async def query(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""

    async def estimate(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""

    async def schema(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""

    async def load(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""

    async def inspect(self, connection: Connection, credential: Credential) -> Findings:
        """See `ServedBroker`."""

    async def aclose(self) -> None:
        """Close every session."""


A = TypeVar("A", bound=Acts)


class ServedBroker(SqlBroker, Generic[A]):
    """Calls on one kind of database server. An engine gives `_made` besides, and the `driver` that it needs."""

    driver: str  # as pip install takes it

    def __init__(self, resolver: Resolver = system_resolver) -> None:
        super().__init__(resolver)
        self._loaded: A | None = None

    def _made(self) -> A:
        """The acts, whose module imports the driver. Raises `ImportError`."""
        raise NotImplementedError

    @property
    def _acts(self) -> A:
        if self._loaded is None:
            try:
                self._loaded = self._made()
            except ImportError:
                raise BrokerError("missing", what=self.driver) from None
        return self._loaded

    async def query(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        return await self._acts.query(plan, credential)

    async def estimate(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        return await self._acts.estimate(plan, credential)

    async def schema(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        return await self._acts.schema(plan, credential)

    async def load(self, plan: Plan, credential: Credential) -> Outcome:
        """See `SqlBroker`."""
        return await self._acts.load(plan, credential)

    async def inspect(self, connection: Connection, credential: Credential) -> Findings:
        """What the role may do that no reader should, and the SQL of a proper one."""
        return await self._acts.inspect(connection, credential)

    async def aclose(self) -> None:
        """Close every session."""
        if self._loaded is not None:
            await self._loaded.aclose()
