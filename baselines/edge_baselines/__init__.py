"""Heuristics, production routers and references to compare with, all as policies of `edge_gym`."""
