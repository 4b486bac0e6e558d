"""Guidance: wrappers that make of one denoiser, or of two, another denoiser. No sampler knows about them."""
