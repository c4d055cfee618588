"""Announcements in plain language: the phrases of the world, and a parser by rules that reads them."""
