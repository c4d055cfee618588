"""Asking a language model, safely: client, guards, budgets, transcripts. Knows nothing of worlds or routing.

Start with `pipeline.Advisor`; `docs/llm.md` says how to use it. The packages that it needs (openai, pydantic) are
imported when they are first used, so that importing this package never needs them.
"""
