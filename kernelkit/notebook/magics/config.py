"""`%kkconfig`: what cells take where an option is left out."""

from __future__ import annotations

from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand
from traitlets import TraitError

from kernelkit.errors import UsageError
from kernelkit.notebook import fault
from kernelkit.notebook.config import SETTINGS, Kernelkit, config_of, setting
from kernelkit.notebook.listing import listing, say, show
from kernelkit.notebook.options import Option, Table, parse

TABLE = Table("%kkconfig", (), "setting")


def table_of_settings() -> str:
    """The settings as ``%kkconfig?`` shows them."""
    options = (Option(name, "", str(getattr(Kernelkit, name).help)) for name in SETTINGS)
    return Table("", tuple(options)).help().replace("    --", "    ")


HELP = f"""What the magics take where an option is left out; a result names what of it came from here.

    %kkconfig
    %kkconfig cash=50_000 fee=0.001
    %kkconfig fee= cash=

The first lists all settings, the second says two, the third takes them back. The same in ipython_config.py is
c.Kernelkit.cash = 50_000, and %config Kernelkit.cash = 50_000 in a notebook.

{table_of_settings()}
"""


@magics_class
class ConfigMagics(Magics):
    """`%kkconfig`."""

    tables = (TABLE,)

    @no_var_expand
    @line_magic
    @fault.told
    def kkconfig(self, line: str) -> None:  # noqa: D102  written below, from the settings
        config = config_of(self.shell)
        changes = dict(map(setting, parse(TABLE, line).words))
        if not changes:
            show(listing(("Setting", "Value", "What it is"), rows(config)))
            return
        before = {name: getattr(config, name) for name in changes}
        try:
            for name, text in changes.items():
                setattr(config, name, text)
        except TraitError as error:
            for name, text in before.items():  # all of them or none
                setattr(config, name, text)
            raise UsageError(str(error)) from None
        for name in changes:
            text = getattr(config, name)
            say(f"{name} = {text}" if text else f"{name} is not set")


ConfigMagics.kkconfig.__doc__ = HELP


def rows(config: Kernelkit) -> list[tuple[str, str, str]]:
    """Every setting: its name, its value, what it is."""
    return [(name, getattr(config, name), str(config.trait_metadata(name, "help"))) for name in SETTINGS]
