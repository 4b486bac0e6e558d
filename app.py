"""Start the diffusion lab: python app.py, then open http://localhost:7860."""

import os

# Gradio's analytics are the only two calls that the server would make to the outside.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import torch

from ddpm_ui.page import build, launch_options

# A core for each trajectory: tensors this small gain nothing from a second thread, a second person everything.
torch.set_num_threads(1)

demo = build()

if __name__ == "__main__":
    demo.launch(server_name=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), **launch_options())
