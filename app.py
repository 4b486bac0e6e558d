"""Start the diffusion lab: python app.py, then open http://localhost:7860."""

from ddpm_ui.__main__ import main

if __name__ == "__main__":
    main()
