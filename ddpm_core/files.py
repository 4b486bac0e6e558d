"""Where shipped files are: beside the packages in a checkout, inside this package once it is installed."""

from pathlib import Path

HERE = Path(__file__).resolve().parent


def shipped(folder: str) -> Path:
    """`checkpoints` or `assets`."""
    installed = HERE / folder
    return installed if installed.is_dir() else HERE.parent / folder
