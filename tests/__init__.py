"""Tests: named for behaviour, through public doors, against real servers."""
