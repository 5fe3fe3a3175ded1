"""Makes the people of the tests in the database of the Airflow whose environment this runs in.

``python -m tests.e2e.people``, with a JSON object of passwords by name on standard input.
"""

from __future__ import annotations

import json
import sys
from typing import Any

# The one DAG that VIEWER may see.
VISIBLE_DAG = "gated_cutover"
ADMIN, VIEWER = "ada", "vic"
VIEWER_ROLE = "ViewerOfOneDag"


def make_people(passwords: dict[str, str]) -> None:
    """Make an administrator, and somebody who may look at one DAG and at nothing else."""
    from airflow.providers.fab.www.app import create_app
    from airflow.providers.fab.www.security import permissions

    app = create_app(enable_plugins=False)
    with app.app_context():
        manager: Any = app.appbuilder.sm
        role = manager.add_role(VIEWER_ROLE)
        for action, resource in manager.VIEWER_PERMISSIONS:
            if resource != permissions.RESOURCE_DAG or action != permissions.ACTION_CAN_READ:
                manager.add_permission_to_role(role, manager.create_permission(action, resource))
        # Airflow shows the page of a plugin to nobody else; FAB's own Viewer has not got it.
        manager.add_permission_to_role(
            role, manager.create_permission(permissions.ACTION_CAN_READ, permissions.RESOURCE_PLUGIN)
        )
        one = permissions.resource_name(VISIBLE_DAG, permissions.RESOURCE_DAG)
        manager.add_permission_to_role(role, manager.create_permission(permissions.ACTION_CAN_READ, one))
        for name, of in ((ADMIN, manager.find_role("Admin")), (VIEWER, role)):
            made = manager.add_user(name, name.title(), "Test", f"{name}@example.com", of, password=passwords[name])
            if not made:
                raise RuntimeError(f"{name} could not be made")


if __name__ == "__main__":
    make_people(json.load(sys.stdin))
