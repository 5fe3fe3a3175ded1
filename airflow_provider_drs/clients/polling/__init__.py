"""The polls that all waits of an event loop share."""
