"""Policies on the same worlds: rollouts, metrics, intervals, run folders, reports."""
