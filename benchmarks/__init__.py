"""Timings, as ratios of ways that take turns in one run; the machine may be shared and noisy."""
