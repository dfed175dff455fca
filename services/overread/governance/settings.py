from overread.runtime.settings import ServiceSettings


class GovernanceSettings(ServiceSettings):
    """What `governance` may be told: nothing beyond what every service is."""
