"""The root error, its leaves, and the optional packages."""

import pytest

from kernelkit import errors


@pytest.mark.parametrize(
    ("leaf", "builtin"),
    [
        (errors.DataError, ValueError),
        (errors.StrategyError, TypeError),
        (errors.LookaheadError, IndexError),
        (errors.OrderError, ValueError),
        (errors.UsageError, ValueError),
        (errors.RunError, RuntimeError),
        (errors.MissingExtraError, ImportError),
    ],
)
def test_leaf__is_caught_as_root_and_as_builtin(leaf, builtin):
    assert issubclass(leaf, errors.KernelkitError)
    assert issubclass(leaf, builtin)


def test_message__has_what_found_wanted_fix_in_order():
    text = errors.message("WHAT", "FOUND", "WANTED", "FIX.")
    assert [text.index(word) for word in ("WHAT", "FOUND", "WANTED", "FIX")] == sorted(
        text.index(word) for word in ("WHAT", "FOUND", "WANTED", "FIX")
    )


def test_extra__missing_package_says_what_to_install():
    with pytest.raises(errors.MissingExtraError, match=r'pip install "kernelkit\[gpu\]"') as caught:
        errors.extra("no_such_package_of_ours.part", "gpu")
    assert caught.value.name == "no_such_package_of_ours"


def test_extra__package_whose_own_import_is_missing_keeps_its_error(tmp_path, monkeypatch):
    (tmp_path / "half_installed_package.py").write_text("import not_there_either\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="not_there_either") as caught:
        errors.extra("half_installed_package", "gpu")
    assert not isinstance(caught.value, errors.MissingExtraError)
