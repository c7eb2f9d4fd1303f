"""What every command shares: where it prints, how it reads settings, how it refuses."""

import os
from typing import NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console

from runtime.setting_problems import problems, unknown_variables
from runtime.settings import Settings

EXIT_FAILED = 1
EXIT_REFUSED = 2  # Something must be corrected before it is worth trying again.

# Text is printed as it is: no markup in it is obeyed, no long line broken.
screen = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
errors = Console(markup=False, emoji=False, highlight=False, soft_wrap=True, stderr=True)


def load_settings() -> Settings:
    """The settings, or one line for each that is wrong and exit code 2."""
    for name in unknown_variables(os.environ):
        errors.print(f"{name}: there is no such setting; `sagapost settings` lists them")
    try:
        return Settings()
    except ValidationError as error:
        for line in problems(error):
            errors.print(line)
        raise typer.Exit(EXIT_REFUSED) from None


def refuse(text: str, code: int = EXIT_REFUSED) -> NoReturn:
    errors.print(f"sagapost: {text}")
    raise typer.Exit(code)
