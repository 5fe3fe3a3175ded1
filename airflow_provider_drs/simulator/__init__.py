"""A simulated DRS with its IAM: an HTTPS server for tests and demonstrations, which needs no Airflow.

::

    with Simulator(jobs=[Job("260e27fd-4976-44dc-9948-e1265e4jb201", running=True)]) as simulator:
        connection = simulator.connection()

It stands alone on purpose: nothing of the provider's own reading of DRS is used here, so that it can contradict it.
"""

from .faults import Fault
from .jobs import Job
from .journal import Entry
from .server import Simulator

__all__ = ["Entry", "Fault", "Job", "Simulator"]
