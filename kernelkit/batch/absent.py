"""Files that values name and that are not there, found before anything is run."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath

from kernelkit.batch.choices import Look
from kernelkit.batch.parameters import Parameter
from kernelkit.errors import UsageError, message
from kernelkit.files import is_file

# The parameters of templates whose values are names or files, and how these files end.
ENDINGS = {"data": (".zarr",), "strategy": (".py", ".ipynb")}
# Of the files that are near to what was named, so many are told.
_TOLD = 3


def faults(
    parameters: Sequence[Parameter], given: Mapping[str, Iterable[object]], root: Path, without: Path
) -> dict[str, str]:
    """A sentence for each parameter that names a file which is not there, by its default where `given` has it not.

    Files count from `root`; near ones are looked for below it, but not in the folder `without`, that of the runs. What
    has none of the `ENDINGS` is a name, or somebody's own kind of file, and what has a scheme lies elsewhere: neither
    is looked at.
    """
    found = dict[str, str]()
    for parameter in parameters:
        if parameter.name in ENDINGS and parameter.kind == "str":
            for value in given.get(parameter.name, (parameter.default,)):
                sentence = _fault(parameter.name, str(value), root, without)
                if sentence and parameter.name not in found:
                    found[parameter.name] = sentence
    return found


def check_files(
    parameters: Sequence[Parameter], points: Sequence[Mapping[str, object]], root: Path, without: Path
) -> None:
    """UsageError with the `faults` of all `points`, the values of a run each."""
    given = {name: dict.fromkeys(point[name] for point in points) for name in ENDINGS if name in points[0]}
    if wrong := faults(parameters, given, root, without):
        raise UsageError("; ".join(wrong.values()))


def _fault(name: str, value: str, root: Path, without: Path) -> str:
    endings = ENDINGS[name]
    file = value if name == "data" else value.partition(":")[0]
    path = PurePath(file)
    if "://" in value or path.suffix not in endings:
        return ""
    if is_file(root / path / "zarr.json" if name == "data" else root / path):
        return ""
    if near := _near(path, endings, root, without):
        verb = "is" if len(near) == 1 else "are"
        return f"{name}: there is no {file} here; {', '.join(near)} {verb}"
    wanted = f"a name, or a {'folder' if name == 'data' else 'file'} {' or '.join(endings)}"
    return message(name, f"no {file}", wanted, f"Paths count from {root}.")


def _near(path: PurePath, endings: tuple[str, ...], root: Path, without: Path) -> list[str]:
    """The files below `root` with the name of `path`, or names like it, the nearest first."""
    files = [file.parent if file.name == "zarr.json" else file for file in Look(root, without).files()]
    by_name = dict[str, list[str]]()
    for file in files:
        if file.suffix in endings:
            by_name.setdefault(file.name, []).append(file.relative_to(root).as_posix())
    close = difflib.get_close_matches(path.name, by_name, _TOLD)
    return [one for name in (close[:1] if path.name in close else close) for one in by_name[name]][:_TOLD]
