"""One colour per meaning, in figures and on the page; lab.css has those of the dark theme."""

from __future__ import annotations

import numpy as np
from plotly.colors import sample_colorscale

# Okabe & Ito 2008, safe for colour-blind readers.
COLOURS = {"data": "#0072B2", "noise": "#767676", "learned": "#D55E00", "exact": "#009E73", "error": "#CC79A7"}
# Solvers in a comparison, by place (Tol 2021, muted).
COLOURS |= {f"racer{k}": c for k, c in enumerate(("#1B1F24", "#882255", "#7D7D1C", "#332288", "#CC6677", "#2A7F9E"), 1)}
# A colour scale from good to bad: meanings, and shades between them.
HEAT = ((0, "exact"), (0.17, "#bfe3d6"), (0.4, "#f3d9c6"), (1, "learned"))
# Position in the data: 256 steps, all of them visible on a white and on a black background.
PALETTE = sample_colorscale("Plasma", np.linspace(0.15, 0.86, 256), colortype="rgb")
PALETTE = ["#" + "".join(f"{int(v):02x}" for v in colour[4:-1].split(",")) for colour in PALETTE]
