"""The world: compiled, explicit state, no gymnasium, no input or output."""
