"""The ready file: what a running stack tells whoever waits for it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from runtime.data_folder import write_private_file


@dataclass(frozen=True)
class Ready:
    """Where everything answers, and as which process. `api_key` is None where it is not known."""

    api_url: str
    api_key: str | None
    temporal_address: str
    temporal_namespace: str
    temporal_ui_url: str
    database_url: str
    pids: Mapping[str, int | None]

    @classmethod
    def read(cls, path: Path) -> Self:
        return cls(**json.loads(path.read_text()))

    def write(self, path: Path) -> None:
        """Whole or not at all, and for the owner's eyes: the key is in it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private_file(path, json.dumps(asdict(self), indent=2) + "\n")
