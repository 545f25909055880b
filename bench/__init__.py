"""Measurements: our engine beside its physical floor, in the same process and the same minutes."""
