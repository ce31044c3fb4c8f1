"""A run on the disk: what it says of itself as JSON, its files, and what is known of it when it is taken up again."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.errors import RunError, message
from kernelkit.kernels import layout as L
from kernelkit.kernels.cache import build_id
from kernelkit.kernels.context import Rolling
from kernelkit.kernels.job import Backing, Costs, Homes
from kernelkit.kernels.plan import Each, Plan, Ring, Site
from kernelkit.kernels.rules import Rules
from kernelkit.kernels.source import Source
from kernelkit.market.account import Account, Rates
from kernelkit.market.several import Accounts

if TYPE_CHECKING:
    from kernelkit.market.fill_model import FillModel
    from kernelkit.recipe import Recipe

FORMAT = 2
RATES = ("interest", "loan", "borrow")
DAMAGED = "Start again, or restore the folder."
OWN = re.compile(r"\.?(state|bars|run)-[0-9a-f]{32}\..*")  # files of one save, finished or not


def rate_to_json(rate: Any) -> Any:
    """A rate of the account as JSON: a number, or its times and values; of several assets by name."""
    if isinstance(rate, Mapping):
        return {"of": {asset: rate_to_json(r) for asset, r in rate.items()}}
    return asdict(rate) if isinstance(rate, Rates) else rate


def rate_from_json(rate: Any) -> Any:
    """The rate again."""
    if not isinstance(rate, dict):
        return rate
    if "of" in rate:
        return {asset: rate_from_json(r) for asset, r in rate["of"].items()}
    return Rates(tuple(rate["times"]), tuple(rate["values"]))


def account_to_json(account: Account | Accounts) -> dict[str, Any]:
    """Money at the start and its rates, of each account where there are several; the rest is in `Costs` and `Homes`."""
    if isinstance(account, Accounts):
        return {"at": {name: account_to_json(one) for name, one in account.by_venue.items()}}
    return {"cash": account.cash, **{name: rate_to_json(getattr(account, name)) for name in RATES}}


def account_from_json(saved: Mapping[str, Any]) -> Account | Accounts:
    """The account again, as far as a run that goes on reads it."""
    if "at" in saved:
        return Accounts({name: Account(**rates_from_json(one)) for name, one in saved["at"].items()})
    return Account(**rates_from_json(saved))


def rates_from_json(saved: Mapping[str, Any]) -> dict[str, Any]:
    """An account's cash and rates again."""
    return {name: rate_from_json(rate) for name, rate in saved.items()}


def homes_from_json(saved: Mapping[str, Any] | None) -> Homes | None:
    """Where the assets of a portfolio trade."""
    return None if saved is None else Homes(**{name: tuple(values) for name, values in saved.items()})


def costs_from_json(saved: Mapping[str, Any]) -> Costs:
    """A venue, as the kernel sees it, from JSON."""
    slots = {n: tuple(saved[n]) for n in ("fee_slots", "slippage_slots")}
    more: dict[str, Any] = {"backing": backing_from_json(saved["backing"]), "rules": Rules.of(saved["rules"])}
    return Costs(**{**saved, **slots, **more, "sizes": tuple(tuple(row) for row in saved["sizes"])})


def backing_from_json(saved: Mapping[str, Any]) -> Backing:
    """What its positions must be backed with."""
    tiers = {side: tuple(map(tuple, saved[side])) for side in ("long", "short")}
    return Backing(**{**saved, **tiers})


def document(recipe: Recipe, venue: Any, fill_model: FillModel, block: bytes) -> dict[str, Any]:
    """What a run says of itself, its files apart; ``block`` is its state."""
    build = {"format": FORMAT, "layout": L.VERSION, "build": build_id(), "crc": zlib.crc32(block)}
    return build | made_of(recipe, venue, fill_model)


def made_of(recipe: Recipe, venue: Any, fill_model: FillModel) -> dict[str, Any]:
    """What a run was started with, as JSON has it."""
    job = recipe.job
    return {
        "strategy": recipe.strategy.name,
        "source": recipe.strategy.source.text,
        "identity": recipe.strategy.identity,
        "program": job.text,
        "plan": plan_to_json(job.plan),
        "params": job.params.tolist(),
        "bound": recipe.params,
        "trial": [float(x) if isinstance(x, float) else int(x) for x in job.trials[0].item()],
        "custom_state": job.custom_state,
        "ring_sizes": {str(k): v for k, v in job.ring_sizes.items()},
        "waits": job.waits,
        "called": None if job.called is None else job.called.tolist(),
        "venue": [asdict(c) for c in job.venues],
        "venue_name": venue.name,
        "costs": venue.costs,
        "fill_model": asdict(fill_model),
        "account": account_to_json(recipe.account),
        "homes": None if job.homes is None else asdict(job.homes),
    }


def digest(document: Mapping[str, Any]) -> str:
    """Hash of what a ``run.json`` says, its own digest apart."""
    told = {k: v for k, v in document.items() if k != "digest"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def write(path: Path, content: bytes) -> None:
    """A new file, on the disk when this returns."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """What a folder lists is on the disk when this returns."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(paths: Iterable[Path]) -> None:
    """Delete what no run needs; what cannot be deleted now is deleted by the next save."""
    for path in list(paths):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class SavedStrategy:
    """What a resumed run knows of its strategy: name and source, for the ledger and the result."""

    name: str
    text: str
    identity: str

    @property
    def source(self) -> Source:
        """Its tree."""
        tree = ast.parse(self.text).body[0]
        if not isinstance(tree, ast.FunctionDef):
            found, fix = type(tree).__name__, "Start again, or restore the folder."
            raise RunError(message("source of a saved run", found, "the function of its strategy", fix))
        return Source(tree, "saved run", 1)


@dataclass(frozen=True)
class SavedVenue:
    """What a resumed run knows of its venue: name and costs in words."""

    name: str
    costs: str
    models: tuple[Any, ...] = ()  # it has no Python of them


def state_to_json(value: Any) -> Any:
    """Declared state as JSON: a number, a ring's length, what each asset begins with."""
    if isinstance(value, Ring):
        return {"ring": value.n}
    return {"each": value.value} if isinstance(value, Each) else value


def state_from_json(value: Any) -> Any:
    """The declared state again."""
    if not isinstance(value, dict):
        return value
    return Ring(value["ring"]) if "ring" in value else Each(value["each"])


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """A plan as JSON."""
    return {
        "params": {n: t.__name__ for n, t in plan.params.items()},
        "state": {n: state_to_json(v) for n, v in plan.state.items()},
        "shared": plan.shared,
        "by_asset": plan.by_asset,
        "features": plan.features,
        "records": plan.records,
        "reach": plan.reach,
        "raises": plan.raises,
        "words": plan.words,
        "closing": plan.closing,
        "sizes": plan.sizes,
        "timeframes": plan.timeframes,
        "moments": plan.moments,
        "told": plan.told,
        "timed": plan.timed,
        "sites": [
            [s.kind, s.column, list(s.arguments), list(s.rolling), s.slot, s.custom, s.timeframe] for s in plan.sites
        ],
    }


def plan_from_json(data: Mapping[str, Any]) -> Plan:
    """The plan again."""
    kinds = {"int": int, "float": float, "bool": bool}
    plan = Plan(
        {n: kinds[t] for n, t in data["params"].items()},
        {n: state_from_json(v) for n, v in data["state"].items()},
        list(data["features"]),
        [],
        list(data["records"]),
        data["reach"],
        data["raises"],
        shared=data["shared"],
        by_asset=data["by_asset"],
    )
    plan.sites = [Site(k, c, tuple(a), Rolling(*r), *rest) for k, c, a, r, *rest in data["sites"]]
    plan.words, plan.closing, plan.sizes = data["words"], data["closing"], data["sizes"]
    plan.timeframes = dict(data["timeframes"])
    plan.moments, plan.told, plan.timed = list(data["moments"]), data["told"], data["timed"]
    return plan


def read(folder: Path) -> tuple[dict[str, Any], np.ndarray]:
    """What a saved run says of itself, and its state block."""
    try:
        document = json.loads((folder / "run.json").read_text())
        if not isinstance(document, dict) or document.get("digest") != digest(document):
            raise RunError(message(f"run at {folder}", "a damaged run.json", "what was saved", DAMAGED))
        if (document["format"], document["layout"], document["build"]) != (FORMAT, L.VERSION, build_id()):
            found, wanted = f"build {document['build']}", f"this build, {build_id()}"
            again = "Run it again with kk.start: other code may compute other bits."
            raise RunError(message(f"run at {folder}", found, wanted, again))
        raw = (folder / document["state"]).read_bytes()
    except (OSError, ValueError) as error:
        wanted = "a folder written by run.save"
        raise RunError(message(f"run at {folder}", str(error), wanted, "Check the path.")) from None
    if zlib.crc32(raw) != document["crc"]:
        raise RunError(
            message(f"run at {folder}", f"a damaged {document['state']}", "the bytes that were saved", DAMAGED)
        )
    return document, np.frombuffer(raw, "u1").copy()
