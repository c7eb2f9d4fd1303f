"""What is wrong with the environment's settings, in a line for each."""

from collections.abc import Mapping

from pydantic import SecretStr, ValidationError

from runtime.settings import PREFIX, Settings

# Not settings of a server: `sagapost trigger` reads them to find one.
CLIENT_VARIABLES = frozenset({f"{PREFIX}API_URL", f"{PREFIX}API_KEY"})


def problems(error: ValidationError) -> list[str]:
    """One line for each setting that is wrong, without the value of anything secret."""
    lines = []
    for found in error.errors(include_url=False, include_context=False):
        text = found["msg"].removeprefix("Value error, ")
        name = str(found["loc"][0]) if found["loc"] else ""
        field = Settings.model_fields.get(name)
        if field is None:
            lines.append(text)
            continue
        shown = "" if field.annotation is SecretStr or not field.repr else f" ({found['input']!r})"
        lines.append(f"{PREFIX}{name.upper()}{shown}: {text[0].lower()}{text[1:]}")
    return lines


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Variables with our prefix that no setting reads: most likely misspelt."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | CLIENT_VARIABLES
    return sorted(
        name
        for name in environment
        if name.upper().startswith(PREFIX) and name.upper() not in known
    )
