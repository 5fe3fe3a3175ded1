"""A simulated DRS with its IAM: an HTTPS server for tests and demonstrations, which needs no Airflow.

::

    with Simulator(jobs=[Job("260e27fd-4976-44dc-9948-e1265e4jb201", running=True)]) as simulator:
        connection = simulator.connection()

It uses nothing of the rest of the provider, so that a misreading of DRS there shows in the tests.
"""

from airflow_provider_drs.simulator.faults import Fault
from airflow_provider_drs.simulator.jobs import Job
from airflow_provider_drs.simulator.journal import Entry
from airflow_provider_drs.simulator.server import Simulator
from airflow_provider_drs.simulator.vips import Vip

__all__ = ["Entry", "Fault", "Job", "Simulator", "Vip"]
