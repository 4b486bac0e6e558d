"""All exhibits. A new one is its folder and one line here."""

from importlib import import_module

from ddpm_ui.exhibits.exhibit import EXHIBITS, register

__all__ = ["EXHIBITS"]

FOLDERS = (
    "forward",
    "reverse",
    "train",
    "views",
    "solvers",
    "images",
)

for folder in FOLDERS:
    register(import_module(f"ddpm_ui.exhibits.{folder}.tab").EXHIBIT)
