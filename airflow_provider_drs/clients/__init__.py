"""The clients: tokens from IAM, requests over ``requests`` and ``aiohttp``. Private: use the hook.

They wait and send; ``protocol`` decides.
"""
