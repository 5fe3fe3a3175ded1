"""The DRS protocol, pure: no sockets, no Airflow, no clock of its own.

``errors`` says what can go wrong and what may be tried again, ``statuses`` what a status means, ``settings`` what a
connection must hold, ``calls`` what is asked, ``answers`` what came back, ``exchange`` in which order token, request
and answer follow each other, ``waiting`` when a wait is over.
"""
