from overread.governance import handlers
from overread.governance.settings import GovernanceSettings
from overread.runtime.clock import Clock, utc_now
from overread.runtime.publisher import Publisher
from overread.runtime.service import Service


def make_service(
    settings: GovernanceSettings, *, publisher: Publisher | None = None, clock: Clock = utc_now
) -> Service:
    """Return the service: it listens to everything and keeps the audit chain and pseudonymous facts."""
    service = Service("governance", settings, owns="overread.governance", publisher=publisher, clock=clock)
    handlers.register(service)
    return service


def main() -> None:
    """Run the service with the settings of its environment."""
    make_service(GovernanceSettings()).run()
