"""All switchovers of one Airflow, read from what their tasks have left behind: the page, the commands, the report."""
