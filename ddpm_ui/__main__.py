"""Start the lab: `diffusion-lab`, `python -m ddpm_ui` and `python app.py` all run this."""

import argparse
import os
import sys

import torch

from ddpm_core import __version__

SETTINGS = """environment variables:
  GRADIO_SERVER_NAME  address to listen on; 0.0.0.0 lets other machines in (default: 127.0.0.1)
  GRADIO_SERVER_PORT  port (default: 7860, or the next free one)
  GRADIO_ROOT_PATH    path under which a proxy serves the lab (default: none)
  DDPM_DEVICE         where networks run: cpu, cuda, cuda:1, mps (default: the best there is)"""


def main() -> None:
    parser = argparse.ArgumentParser(
        "diffusion-lab",
        description="Serve the diffusion lab on http://localhost:7860.",
        epilog=SETTINGS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.parse_args()
    # Gradio's analytics would be the server's only two outgoing calls; the variable is read at import.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        from ddpm_ui.page import build, launch_options  # noqa: PLC0415  # a core without the app has this command too
    except ModuleNotFoundError as missing:
        sys.exit(f"{missing}. Install what the app needs: pip install 'diffusion-lab[app]'")
    # One core per trajectory: tensors this small do not need a second thread, but a second visitor needs the core.
    torch.set_num_threads(1)
    build().launch(server_name=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), **launch_options())


if __name__ == "__main__":
    main()
