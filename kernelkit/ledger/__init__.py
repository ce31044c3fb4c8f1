"""The trial ledger: every trial that was run, appended by the engine before its result is seen.

Nothing is ever taken out of it. A family is read from it: all that competed for the same asset and span.
"""

from __future__ import annotations

from kernelkit.ledger.family import Family, family
from kernelkit.ledger.lineage import Lineage, lineage
from kernelkit.ledger.log import DamagedLog
from kernelkit.ledger.notes import declare, narrowed, proxy, sealed
from kernelkit.ledger.parquet import covered
from kernelkit.ledger.place import place, root
from kernelkit.ledger.seals import SealedWarning, looks, warn_of_looks
from kernelkit.ledger.store import compact, rows, verify
from kernelkit.ledger.tables import Families, call, call_of, export, families, summary, trials
from kernelkit.ledger.trials import (
    KEY_BYTES,
    ROLES,
    audit_row,
    competing,
    digest_of,
    keys_of,
    proposed_from,
    record_trials,
    role,
    trials_rows,
    with_results,
)
from kernelkit.ledger.writing import record

__all__ = (
    "KEY_BYTES",
    "ROLES",
    "DamagedLog",
    "Families",
    "Family",
    "Lineage",
    "SealedWarning",
    "audit_row",
    "call",
    "call_of",
    "compact",
    "competing",
    "covered",
    "declare",
    "digest_of",
    "export",
    "families",
    "family",
    "keys_of",
    "lineage",
    "looks",
    "narrowed",
    "place",
    "proposed_from",
    "proxy",
    "record",
    "record_trials",
    "role",
    "root",
    "rows",
    "sealed",
    "summary",
    "trials",
    "trials_rows",
    "verify",
    "warn_of_looks",
    "with_results",
)
