"""python -m audit [PART ...] [--seed N]: ask somebody else about every number, and print who agrees.

The seed is new each time unless it is given. Exits with 1 if anybody disagrees.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from collections import Counter

import numpy as np

from audit import law, metrics, samplers, sentences
from audit.row import MARKS, Row, markdown

PARTS = {"mixture": law.rows, "samplers": samplers.rows, "metrics": metrics.rows, "sentences": sentences.rows}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m audit", description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)}; all by default")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="of everything that is drawn")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"unknown part: {', '.join(sorted(unknown))}")
    rows: list[Row] = []
    for part in args.parts or PARTS:
        print(part, file=sys.stderr, flush=True)
        rows += PARTS[part](np.random.default_rng(args.seed))
    print(markdown(rows))
    counts = Counter(row.agrees for row in rows)
    print(f"\n{', '.join(f'{MARKS[mark]}: {counts[mark]}' for mark in MARKS)}; --seed {args.seed}")
    return 1 if counts[False] else 0


if __name__ == "__main__":
    sys.exit(main())
