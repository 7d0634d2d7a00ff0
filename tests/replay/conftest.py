"""Property tests here are judged by what they find, not by how long a busy machine takes for it."""

from hypothesis import HealthCheck, settings

settings.register_profile("replay", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("replay")
