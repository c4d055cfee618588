"""Policies about AI agents: where they are placed, when they move."""
