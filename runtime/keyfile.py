"""The key that encrypts secrets at rest: from the settings, or from a file made once."""

import base64
import os
from pathlib import Path

from runtime.data_folder import make_data_folder, new_private_file
from runtime.setting_types import SECRETS_KEY_BYTES, decode_keys
from runtime.settings import Settings

KEY_FILE = "secrets-key"


def secrets_keys(settings: Settings) -> tuple[bytes, ...]:
    """The keys, newest first: the first encrypts, each of them decrypts."""
    if given := decode_keys(settings.secrets_key.get_secret_value()):
        return given
    return decode_keys(_kept_key(settings.data_dir / KEY_FILE))


def _kept_key(path: Path) -> str:
    make_data_folder(path.parent)
    if not path.exists():
        new_private_file(path, base64.b64encode(os.urandom(SECRETS_KEY_BYTES)).decode() + "\n")
    return path.read_text()
