"""python -m benchmarks [PART ...]: run the named parts, or all of PARTS, and print one table."""

import platform
import sys

import torch

from benchmarks import crowd, images, page, quality, sampling, solvers, training
from benchmarks.row import Row, markdown
from ddpm_core import device

MODULES = (quality, sampling, solvers, images, training, crowd, page)
PARTS = {module.__name__.partition(".")[2]: module.rows for module in MODULES}

if __name__ == "__main__":
    rows: list[Row] = []
    for name in sys.argv[1:] or PARTS:
        for row in PARTS[name]():
            print(*row, sep=" | ", file=sys.stderr, flush=True)
            rows.append(row)
    print(markdown(rows))
    print(
        f"\n{device.describe(device.pick())}, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, Python {platform.python_version()}"
    )
