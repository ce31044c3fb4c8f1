"""Runs the steps of `make test`, `make lint` and `make bench`, each to its end, and sums up what passed and failed.

python .ci/steps.py test|lint|bench     runs the steps, leaves the counts in build/checks
python .ci/steps.py total               one line over the last `test` and `lint`
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
CHECKS = ROOT / "build" / "checks"

# pytest-jupyter keeps an event loop that Playwright cannot start beside, and nbval collects nothing but notebooks:
# hence four calls.
TESTS = {
    "unit": ["-n", str(os.cpu_count() or 1), "--dist", "loadfile", "kernelkit", "tests"],
    "server": ["-p", "pytest_jupyter.jupyter_server", "tests/server"],
    "notebooks": ["--nbval", "--nbval-current-env", "notebooks"],
    "ui": ["tests/ui"],
}
PRETTY = [
    *("extension/src", "extension/style", "extension/schema", "extension/*.json", "extension/*.mjs"),
    "kernelkit/notebook/widgets/static",
]
LINTS = {
    "ruff": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "mypy": ["mypy"],
    "imports": ["lint-imports"],
    "templates": ["nbstripout", "--verify", "templates/*.ipynb", "templates/*/*.ipynb"],
    "typescript": ["extension/node_modules/.bin/tsc", "--noEmit", "--project", "extension"],
    "eslint": ["extension/node_modules/.bin/eslint", "--config", "extension/eslint.config.mjs", "extension/src"],
    "prettier": ["extension/node_modules/.bin/prettier", "--config", "extension/.prettierrc.json", "--check", *PRETTY],
}
BENCHES = {"bench": ["--table", "README.md", "--clone", "tests/bench"]}


@dataclass
class Count:
    """Tests, or lint steps, by how they ended."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other: Count) -> None:
        """Count `other` in."""
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed"


def run_pytest(name: str, arguments: list[str]) -> Count:
    """One call of pytest; a call that ends badly without a failed test (nothing collected, a crash) counts as one."""
    report = CHECKS / f"{name}.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *arguments]
    code = subprocess.run(command, cwd=ROOT).returncode
    count = Count()
    if report.exists():
        for suite in ElementTree.parse(report).iter("testsuite"):
            failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped = int(suite.get("skipped", 0))
            count.add(Count(int(suite.get("tests", 0)) - failed - skipped, failed, skipped))
    if code != 0 and count.failed == 0:
        count.failed = 1
    return count


def run_lint(command: list[str]) -> Count:
    """One lint step; patterns of files are expanded, and one that matches nothing fails."""
    expanded: list[str] = []
    for word in command:
        found = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(word)) if "*" in word else [word]
        if not found:
            print(f"no file matches {word}")
            return Count(failed=1)
        expanded += found
    code = subprocess.run(expanded, cwd=ROOT).returncode
    return Count(passed=1) if code == 0 else Count(failed=1)


def provide_node_modules() -> None:
    """Install TypeScript's compiler and linters where the build of the extension did not leave them."""
    extension = ROOT / "extension"
    if not (extension / "node_modules").is_dir():
        subprocess.run(["jlpm", "install", "--immutable"], cwd=extension, check=True)


def provide_chromium() -> None:
    """Install Debian's chromium where this may be done; elsewhere the tests say what to type."""
    if shutil.which("chromium") or shutil.which("apt-get") is None or os.geteuid() != 0:
        return
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-qq", "-y", "chromium"]):
        subprocess.run(command, env=quiet, check=True, stdout=subprocess.DEVNULL)


def run_step(kind: str, name: str) -> Count:
    """One step by its name; a step whose tools cannot be installed fails."""
    try:
        if name in ("unit", "ui"):  # one of the unit tests looks at a report
            provide_chromium()
        if name in ("typescript", "eslint", "prettier"):
            provide_node_modules()
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"{name}: {error}")
        return Count(failed=1)
    if kind == "lint":
        return run_lint(LINTS[name])
    return run_pytest(name, (TESTS if kind == "test" else BENCHES)[name])


def run_steps(kind: str) -> Count:
    """Every step of this kind, whether or not an earlier one failed."""
    CHECKS.mkdir(parents=True, exist_ok=True)
    total, lines = Count(), []
    for name in {"test": TESTS, "lint": LINTS, "bench": BENCHES}[kind]:
        print(f"== {name}", flush=True)
        start = time.monotonic()
        count = run_step(kind, name)
        skipped = f", {count.skipped} skipped" if count.skipped else ""
        lines.append(f"{name:<12}{count}{skipped} in {time.monotonic() - start:.0f} s")
        total.add(count)
    (CHECKS / f"{kind}.json").write_text(json.dumps(asdict(total)))
    print("\n".join(["", *lines, str(total)]))
    return total


def sum_up() -> Count:
    """The last `test` and `lint` together; one that did not get as far as counting is a failure."""
    total = Count()
    for kind in ("test", "lint"):
        counts = CHECKS / f"{kind}.json"
        if counts.exists():
            total.add(Count(**json.loads(counts.read_text())))
        else:
            print(f"make {kind} ended before its first step")
            total.failed += 1
    print(total)
    return total


def main() -> int:
    """The exit status: 0 if nothing failed."""
    if len(sys.argv) != 2 or sys.argv[1] not in ("test", "lint", "bench", "total"):
        print(__doc__)
        return 2
    kind = sys.argv[1]
    total = sum_up() if kind == "total" else run_steps(kind)
    return 1 if total.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
