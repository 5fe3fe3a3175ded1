"""The server that is polled: one process, far cheaper than any client, so that only the client is measured.

It imports nothing of the provider, and not its simulator either, which is made to be right, not fast.
"""
