"""What happened, kept so that it can be read and proved afterwards: no record, no action.

- `entry`   the closed form of one entry, and its canonical JSON
- `chain`   keys, message authentication codes and heads; walking a chain (pure)
- `store`   the SQLite file, opened as a hostile one
- `log`     `AuditLog`: intend before, settle after
- `verify`  the whole chain against the head that the vault sealed
- `view`    entries as lines for a person and for export

What it proves, and to whom: whoever holds the vault's audit subkey can tell whether any entry up to the sealed
head was edited, removed, moved, inserted or re-chained. What follows the head (at most 256 entries or 60 s, and
only after a crash) can be cut off unnoticed: the next unlock records how many entries it found there. A process
that steals the log's key from memory can forge what comes after in that epoch, never what came before. Whoever
restores the vault *and* the log of the same older moment goes back in time with both: only a head kept elsewhere
shows that. The file is not encrypted: it holds names, paths and reasons, never values, bodies or queries.
"""

from kv.audit.chain import Head
from kv.audit.entry import Entry, Peer
from kv.audit.log import AuditLog
from kv.audit.verify import Report, verify, verify_export

__all__ = ["AuditLog", "Entry", "Head", "Peer", "Report", "verify", "verify_export"]
