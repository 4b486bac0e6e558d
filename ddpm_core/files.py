"""Where the files that come with the lab lie: beside the packages in a checkout, inside this one once installed."""

from pathlib import Path

HERE = Path(__file__).resolve().parent


def shipped(folder: str) -> Path:
    """`checkpoints` or `assets`."""
    installed = HERE / folder
    return installed if installed.is_dir() else HERE.parent / folder
