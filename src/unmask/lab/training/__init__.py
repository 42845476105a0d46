"""Training: augmentation, pseudo-fakes, loader, checkpoints, the loop."""
