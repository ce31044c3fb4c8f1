"""The trial ledger: every trial that was run, appended by the engine before its result is seen.

Nothing is ever taken out of it. A family is read from it: all that competed for the same asset and span.
"""

from __future__ import annotations

from kernelkit.ledger.family import Family, family
from kernelkit.ledger.lineage import Lineage, lineage
from kernelkit.ledger.log import DamagedLog
from kernelkit.ledger.notes import declare, narrowed, proxy, sealed
from kernelkit.ledger.seals import looks
from kernelkit.ledger.store import compact, place, record, root, rows, verify
from kernelkit.ledger.tables import export, summary, trials
from kernelkit.ledger.trials import ROLES, audit_row, competing, digest_of, proposed_from, role, source_rows, trials_row

__all__ = (
    "ROLES",
    "DamagedLog",
    "Family",
    "Lineage",
    "audit_row",
    "compact",
    "competing",
    "declare",
    "digest_of",
    "export",
    "family",
    "lineage",
    "looks",
    "narrowed",
    "place",
    "proposed_from",
    "proxy",
    "record",
    "role",
    "root",
    "rows",
    "sealed",
    "source_rows",
    "summary",
    "trials",
    "trials_row",
    "verify",
)
