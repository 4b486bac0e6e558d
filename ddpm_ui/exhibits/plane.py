"""The grid on which several exhibits draw vector fields, and the number of noise levels."""

from ddpm_core.analysis.fields import pixel_centres
from ddpm_ui.server.wire import VIEW

SIDE = 40
LEVELS = 20
POINTS = pixel_centres(VIEW, SIDE)  # [SIDE^2, 2]
