"""Three views: one model as noise predictor, denoiser, score and velocity."""
