"""Inference: how sure one may be of what many trials found."""
