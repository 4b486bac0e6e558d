"""The grid over the plane on which several exhibits draw fields, and how many of them there are along the noise."""

from ddpm_core.analysis.fields import pixel_centres
from ddpm_ui.server.wire import VIEW

SIDE = 40
LEVELS = 20
POINTS = pixel_centres(VIEW, SIDE)  # [SIDE^2, 2]
