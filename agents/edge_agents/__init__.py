"""Learned controllers and adapters to training libraries; the only package that may import torch."""
