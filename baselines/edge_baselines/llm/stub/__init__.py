"""A stand-in for a language model, for tests and for trying things out without one: see `server.StubServer`."""
