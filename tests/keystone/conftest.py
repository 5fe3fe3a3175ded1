from __future__ import annotations

from tests.clients.fixtures import connect, plain_environment

from .fixtures import brief_keystone, keystone, keystone_project, keystone_user

__all__ = ["brief_keystone", "connect", "keystone", "keystone_project", "keystone_user", "plain_environment"]
