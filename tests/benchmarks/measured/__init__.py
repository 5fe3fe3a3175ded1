"""The processes that are measured, one module a kind: each reads its task from its command line, and writes figures."""
