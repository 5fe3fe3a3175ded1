"""The clients: tokens from IAM, requests over ``requests`` and ``aiohttp``.

They wait and send; ``protocol`` decides.
"""
