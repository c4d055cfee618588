"""Ant colony and a language model for AI agents: placement (`place`) and migration (`migrate`); docs/antllm.md."""
