"""A real agent, moved between real processes on this machine: where the law of migration is measured."""
